'use strict';

// The upstream: a bare HTTP/1.1 server on raw sockets, so that it is not the limit. `/stream?chunks=20&ms=25` is answered in
// chunks of 150 bytes, each with the time at which it was written; anything else with 500 bytes of JSON. Says its port, and
// ends with its stdin.

const net = require('node:net');
const { CHUNK_BYTES, JSON_BYTES, REQUEST_BYTES, now } = require('./wire.js');

const JSON_ANSWER = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${JSON_BYTES}\r\n\r\n${JSON.stringify({ text: 'x'.repeat(JSON_BYTES - 11) })}`;
const STREAM_HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n';

function chunk() {
  const text = `data: T${now().toFixed(3)};`;
  return `${CHUNK_BYTES.toString(16)}\r\n${text}${'.'.repeat(CHUNK_BYTES - text.length - 2)}\n\n\r\n`;
}

/** @param {net.Socket} socket @param {number} chunks @param {number} paceMs */
function stream(socket, chunks, paceMs) {
  const start = performance.now();
  let sent = 0;
  const next = () => {
    if (socket.destroyed) return;
    const last = ++sent === chunks;
    socket.write(`${sent === 1 ? STREAM_HEAD : ''}${chunk()}${last ? '0\r\n\r\n' : ''}`);
    // Against drift: the pace is kept from the start on.
    if (!last) setTimeout(next, start + sent * paceMs - performance.now());
  };
  next();
}

const server = net.createServer({ noDelay: true }, (socket) => {
  let waiting = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (data) => {
    waiting += data.toString('latin1');
    const head = waiting.indexOf('\r\n\r\n');
    if (head === -1 || waiting.length < head + 4 + REQUEST_BYTES) return;
    const asked = /chunks=(\d+)&ms=(\d+)/.exec(waiting.slice(0, head));
    waiting = waiting.slice(head + 4 + REQUEST_BYTES);
    if (asked === null) socket.write(JSON_ANSWER);
    else stream(socket, Number(asked[1]), Number(asked[2]));
  });
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => console.log(/** @type {net.AddressInfo} */ (server.address()).port));
process.stdin.resume().on('end', () => process.exit());
