'use strict';

// A TCP server that answers by hand, for what an HTTP server would never send.

const { once } = require('node:events');
const net = require('node:net');

/**
 * @param {(socket: import('node:net').Socket, head: string, number: number) => unknown} onHead called with each request's
 *   head as it came, with what else was in the segment; the number counts the requests from 0
 */
async function serveRaw(onHead) {
  const sockets = new Set();
  let requests = 0;
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    let text = '';
    socket.on('data', (data) => {
      if (text.includes('\r\n\r\n') && !data.includes(' HTTP/1.1\r\n')) return; // a body
      text = data.includes(' HTTP/1.1\r\n') ? String(data) : text + data;
      if (text.includes('\r\n\r\n')) onHead(socket, text, requests++);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  return {
    port,
    origin: `http://127.0.0.1:${port}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

module.exports = { serveRaw };
