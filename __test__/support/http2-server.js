'use strict';

// An HTTP/2 server on 127.0.0.1 that keeps its own account of every stream: what it read from the wire and what it wrote.

const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const http2 = require('node:http2');
const path = require('node:path');

const TLS = path.join(__dirname, '../../fixtures/standin/tls');

class StreamAccount {
  /** @param {http2.ServerHttp2Stream} stream @param {string[]} rawHeaders */
  constructor(stream, rawHeaders) {
    this.stream = stream;
    this.rawHeaders = rawHeaders;
    /** @type {Buffer[]} */
    this.read = [];
    /** @type {Buffer[]} */
    this.written = [];
    this.status = 0;
  }

  header(name) { return this.rawHeaders[this.rawHeaders.indexOf(name) + 1]; }
  get requestBody() { return Buffer.concat(this.read); }
  get responseBody() { return Buffer.concat(this.written); }

  /** `[[name, value], …]` without pseudo headers. */
  get headers() {
    const pairs = [];
    for (let i = 0; i < this.rawHeaders.length; i += 2) pairs.push(this.rawHeaders.slice(i, i + 2));
    return pairs.filter(([name]) => name[0] !== ':');
  }

  head(status, headers = {}, options = {}) {
    this.status = status;
    this.stream.respond({ ':status': status, ...headers }, options);
    return this;
  }

  async write(bytes) {
    const buffer = Buffer.from(bytes);
    this.written.push(buffer);
    await new Promise((resolve) => { this.stream.write(buffer, resolve); });
  }

  end(bytes = '') {
    const buffer = Buffer.from(bytes);
    if (buffer.length > 0) this.written.push(buffer);
    this.stream.end(buffer);
  }

  answer(status, headers, body) {
    this.head(status, headers).end(body);
  }
}

/**
 * @param {(account: StreamAccount) => unknown} handler called once the request is read, or at its head if `early`
 * @param {{ early?: boolean, secure?: boolean }} [options]
 */
async function serveHttp2(handler, { early = false, secure = false } = {}) {
  const server = secure
    ? http2.createSecureServer({ cert: readFileSync(path.join(TLS, 'cert.pem')), key: readFileSync(path.join(TLS, 'key.pem')) })
    : http2.createServer();
  const sessions = new Set();
  /** @type {StreamAccount[]} */
  const accounts = [];
  server.on('session', (session) => {
    sessions.add(session);
    session.on('error', () => {});
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', (stream, _, __, rawHeaders) => {
    const account = new StreamAccount(stream, rawHeaders);
    accounts.push(account);
    stream.on('error', () => {});
    stream.on('data', (chunk) => account.read.push(Buffer.from(chunk)));
    if (early) handler(account);
    else stream.on('end', () => handler(account));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  return {
    accounts,
    sessions,
    port,
    origin: `${secure ? 'https' : 'http'}://127.0.0.1:${port}`,
    async close() {
      for (const session of sessions) session.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

module.exports = { serveHttp2 };
