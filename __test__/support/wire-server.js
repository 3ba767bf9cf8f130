'use strict';

// A server on 127.0.0.1 that keeps its own account of every exchange: what it read from the wire and what it wrote.

const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const net = require('node:net');
const path = require('node:path');

const TLS = path.join(__dirname, '../../fixtures/standin/tls');

/** One exchange as the server saw it. */
class Account {
  /** @param {http.IncomingMessage} request @param {http.ServerResponse} response */
  constructor(request, response) {
    this.request = request;
    this.response = response;
    this.line = `${request.method} ${request.url} HTTP/1.1`;
    /** @type {Buffer[]} */
    this.read = [];
    /** @type {Buffer[]} */
    this.written = [];
    /** Whether the client sent its whole body. */
    this.complete = false;
  }

  get headers() { return pairs(this.request.rawHeaders); }
  get requestBody() { return Buffer.concat(this.read); }
  get responseBody() { return Buffer.concat(this.written); }
  header(name) { return this.request.headers[name]; }

  head(status, headers) { this.response.writeHead(status, headers); return this; }

  /** Writes wire bytes; resolves once they have left for the socket. */
  async write(bytes) {
    const buffer = Buffer.from(bytes);
    this.written.push(buffer);
    await new Promise((resolve) => { this.response.write(buffer, resolve); });
  }

  async end(bytes = '') {
    const buffer = Buffer.from(bytes);
    if (buffer.length > 0) this.written.push(buffer);
    await new Promise((resolve) => { this.response.end(buffer, resolve); });
  }

  /** A whole answer. */
  async answer(status, headers, body = '') {
    this.head(status, headers);
    await this.end(body);
  }
}

/** @param {string[]} raw */
function pairs(raw) {
  const list = [];
  for (let i = 0; i < raw.length; i += 2) list.push([raw[i], raw[i + 1]]);
  return list;
}

class WireServer {
  /** @type {Account[]} in the order of their heads */
  accounts = [];

  /**
   * @param {(account: Account) => unknown} handler called once the request is read, or at its head if `early`
   * @param {{ early?: boolean, secure?: boolean, http2?: boolean }} [options] http2 implies secure, and speaks 1.1 too
   */
  static async start(handler, { early = false, secure = false, http2: h2 = false } = {}) {
    const wire = new WireServer();
    const tls = secure || h2
      ? { cert: readFileSync(path.join(TLS, 'cert.pem')), key: readFileSync(path.join(TLS, 'key.pem')) } : {};
    const server = h2 ? http2.createSecureServer({ ...tls, allowHTTP1: true })
      : secure ? require('node:https').createServer(tls) : http.createServer();
    server.on('request', async (request, response) => {
      const account = new Account(request, response);
      wire.accounts.push(account);
      request.on('data', (chunk) => account.read.push(Buffer.from(chunk)));
      request.on('error', () => {}); // a client that goes away is what some tests are about
      response.on('error', () => {});
      if (!early) {
        const [ended] = await Promise.race([
          once(request, 'end').then(() => [true]),
          once(request, 'close').then(() => [false]),
        ]).catch(() => [false]);
        account.complete = ended;
        if (!ended) return;
      }
      try {
        await handler(account);
      } catch (error) {
        wire.failure ??= error;
        response.destroy();
      }
    });
    wire.sessions = new Set();
    server.on('session', (session) => {
      wire.sessions.add(session);
      session.on('close', () => wire.sessions.delete(session));
    });
    wire.sockets = new Set();
    server.on(h2 || secure ? 'secureConnection' : 'connection', (socket) => {
      wire.sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => wire.sockets.delete(socket));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    wire.server = server;
    wire.port = server.address().port;
    wire.origin = `${secure || h2 ? 'https' : 'http'}://127.0.0.1:${wire.port}`;
    return wire;
  }

  async close() {
    for (const session of this.sessions) session.destroy();
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, 'close');
    if (this.failure) throw this.failure;
  }
}

/**
 * A port on which nothing listens, nor will while the test runs: it is the near end of a connection. A port that was merely
 * free a moment ago may be another test's server by now.
 */
async function refusedPort() {
  const server = net.createServer((socket) => socket.unref()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = net.connect(server.address().port, '127.0.0.1');
  await once(socket, 'connect');
  server.unref();
  socket.unref();
  taken.push(socket, server);
  return socket.localPort;
}

/** Kept open to the end of the process. */
const taken = [];

/** A promise and its resolver, to hold one side until the other has got there. */
function gate() {
  let open = () => {};
  const opened = new Promise((resolve) => { open = () => resolve(undefined); });
  return { opened, open };
}

module.exports = { Account, WireServer, gate, refusedPort };
