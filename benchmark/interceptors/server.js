'use strict';

// Streams events as fast as it is asked to: `{"url": …}` on stdout, ends with its stdin. The path is /v1/messages, the
// headers x-rate and x-seconds say how many events a second and for how long.

const http = require('node:http');

const TICK_MS = 10;
const EVENT = 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" a word or two"}}\n\n';

const server = http.createServer((request, response) => {
  const rate = Number(request.headers['x-rate']);
  const total = rate * Number(request.headers['x-seconds']);
  request.resume();
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const started = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    // By the clock and not by the tick: a late timer is made up for.
    const due = Math.min(total, Math.round(((performance.now() - started) / 1000) * rate));
    if (due > sent) response.write(EVENT.repeat(due - sent));
    sent = due;
    if (sent < total) return;
    clearInterval(timer);
    response.end();
  }, TICK_MS);
});
server.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  console.log(JSON.stringify({ url: `http://127.0.0.1:${port}` }));
});
process.stdin.resume().on('end', () => process.exit());
