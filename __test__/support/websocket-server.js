'use strict';

// A WebSocket server that greets, echoes, and keeps the bytes that passed on each connection after its 101.

const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const path = require('node:path');
const { WebSocketServer } = require('ws');

const TLS = path.join(__dirname, '../../fixtures/standin/tls');

/** @typedef {{ url: string, sent: Buffer, received: Buffer }} Account of a connection, as the server sees it */

class SocketServer {
  /** @type {{ url: string, out: Buffer[], in: Buffer[] }[]} */
  #connections = [];
  #server;
  #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: { threshold: 0 } });
  /** `host:port` */
  host = '';
  /** Of its certificate. */
  static CA = path.join(TLS, 'cert.pem');

  /** @param {boolean} secure */
  constructor(secure) {
    const read = (/** @type {string} */ name) => fs.readFileSync(path.join(TLS, name));
    this.#server = secure ? https.createServer({ key: read('key.pem'), cert: read('cert.pem') }) : http.createServer();
  }

  /** @param {boolean} secure */
  static async start(secure) {
    const self = new SocketServer(secure);
    self.#server.on('upgrade', (request, socket, head) => self.#onUpgrade(request, /** @type {import('node:net').Socket} */ (socket), head));
    self.#server.listen(0, 'localhost');
    await once(self.#server, 'listening');
    self.host = `localhost:${/** @type {import('node:net').AddressInfo} */ (self.#server.address()).port}`;
    return self;
  }

  /** @param {http.IncomingMessage} request @param {import('node:net').Socket} socket @param {Buffer} head */
  #onUpgrade(request, socket, head) {
    if (request.url === '/v1/declined') return void socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno');
    const connection = { url: String(request.url), out: /** @type {Buffer[]} */ ([]), in: [head] };
    this.#connections.push(connection);
    const { write } = socket;
    socket.write = /** @type {any} */ (
      function (/** @type {any} */ data) {
        connection.out.push(Buffer.from(data));
        return Reflect.apply(write, socket, arguments);
      }
    );
    socket.on('data', (bytes) => connection.in.push(Buffer.from(bytes))); // unmasked in place later
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      webSocket.send('early');
      webSocket.on('message', (data, isBinary) => {
        if (connection.url.endsWith('?break')) return void socket.destroy();
        webSocket.send(data, { binary: isBinary });
        if (connection.url.endsWith('?close')) webSocket.close(4001, 'enough');
      });
      webSocket.on('error', () => {});
    });
  }

  /** Ends it, and tells of each connection. @returns {Promise<Account[]>} */
  async stop() {
    this.#server.close();
    this.#server.closeAllConnections();
    await once(this.#server, 'close');
    return this.#connections.map(({ url, out, in: received }) => {
      const sent = Buffer.concat(out);
      return { url, sent: sent.subarray(sent.indexOf('\r\n\r\n') + 4), received: Buffer.concat(received) };
    });
  }
}

module.exports = { SocketServer };
