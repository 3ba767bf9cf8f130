'use strict';

// An upstream whose every step is a test's: it answers when it is told to, and tells what it got and when it was left.

const { once } = require('node:events');
const http = require('node:http');

/** @typedef {{ request: http.IncomingMessage, response: http.ServerResponse, body: string, closed: Promise<unknown> }} Asked */

/** @param {(asked: Asked) => unknown} answer called with each request when its body has come */
async function serveGated(answer) {
  /** @type {Asked[]} */
  const seen = [];
  let begun = 0;
  const server = http.createServer(async (request, response) => {
    begun++;
    const closed = new Promise((resolve) => response.on('close', resolve));
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    const asked = { request, response, body, closed };
    seen.push(asked);
    await answer(asked);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    seen,
    /** How many requests have begun, whether their bodies have come or not. */
    begun: () => begun,
    async close() {
      if (!server.listening) return;
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

/** A promise, and what fulfils it. */
function gate() {
  /** @type {() => void} */
  let open = () => {};
  const opened = new Promise((resolve) => (open = () => resolve(undefined)));
  return { open, opened };
}

module.exports = { gate, serveGated };
