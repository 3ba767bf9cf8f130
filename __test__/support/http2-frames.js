'use strict';

// A server that writes HTTP/2 frames by hand: Node's own ends a stream properly before it resets it. RFC 9113, section 4.

const { once } = require('node:events');
const net = require('node:net');

const TYPE = { DATA: 0, HEADERS: 1, RST_STREAM: 3, SETTINGS: 4, GOAWAY: 7 };
const END_STREAM = 1;
const END_HEADERS = 4;
const ACK = 1;
const PREFACE_LENGTH = 24;
/** `:status: 200` in HPACK's static table. */
const STATUS_200 = Buffer.from([0x88]);

function frame(type, flags, id, payload = Buffer.alloc(0)) {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}

function uint32(...numbers) {
  const bytes = Buffer.alloc(4 * numbers.length);
  numbers.forEach((number, i) => bytes.writeUInt32BE(number, 4 * i));
  return bytes;
}

class Peer {
  /** @param {net.Socket} socket */
  constructor(socket) {
    this.socket = socket;
  }

  /** The head of a 200, and what else is to be in the same segment. */
  answer(id, ...more) { this.socket.write(Buffer.concat([frame(TYPE.HEADERS, END_HEADERS, id, STATUS_200), ...more])); }
  rst(id, code) { this.socket.write(frame(TYPE.RST_STREAM, 0, id, uint32(code))); }
  goaway(lastId, code) { this.socket.write(frame(TYPE.GOAWAY, 0, 0, uint32(lastId, code))); }
}

const data = (id, text, end = false) => frame(TYPE.DATA, end ? END_STREAM : 0, id, Buffer.from(text));

/** @param {(peer: Peer, id: number) => void} onRequest called at the end of each request */
async function serveFrames(onRequest) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    const peer = new Peer(socket);
    socket.write(frame(TYPE.SETTINGS, 0, 0));
    let buffer = Buffer.alloc(0);
    let skip = PREFACE_LENGTH;
    socket.on('data', (chunk) => {
      buffer = Buffer.concat([buffer, chunk]);
      for (;;) {
        if (buffer.length < skip + 9) return;
        const length = 9 + buffer.readUIntBE(skip, 3);
        if (buffer.length < skip + length) return;
        const [type, flags, id] = [buffer[skip + 3], buffer[skip + 4], buffer.readUInt32BE(skip + 5)];
        buffer = buffer.subarray(skip + length);
        skip = 0;
        if (type === TYPE.SETTINGS && flags !== ACK) socket.write(frame(TYPE.SETTINGS, ACK, 0));
        if ((type === TYPE.HEADERS || type === TYPE.DATA) && (flags & END_STREAM) !== 0) onRequest(peer, id);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

module.exports = { data, serveFrames };
