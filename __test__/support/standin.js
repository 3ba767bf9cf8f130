'use strict';

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const net = require('node:net');
const path = require('node:path');
const readline = require('node:readline');

/** @typedef {import('../../fixtures/standin/account').Entry} Entry */

const SERVER = path.join(__dirname, '../../fixtures/standin/server.js');

/** The local LLM API of fixtures/standin, in a process of its own so that a tested client's pauses are not its pauses. */
class Standin {
  /** @type {import('node:child_process').ChildProcess} */ #process;

  /**
   * @param {import('node:child_process').ChildProcess} child
   * @param {{ url: string, https: string, http2: string, proxy: string }} origins
   * @param {string} closed an origin where nobody listens
   */
  constructor(child, origins, closed) {
    this.#process = child;
    this.url = origins.url;
    this.closed = closed;
    /** What every client of __test__/clients reads; a traced one records whatever it sends to this machine. */
    this.env = Object.freeze({
      STANDIN_URL: origins.url,
      STANDIN_HTTPS: origins.https,
      STANDIN_HTTP2: origins.http2,
      STANDIN_PROXY: origins.proxy,
      STANDIN_CLOSED: closed,
      NODE_EXTRA_CA_CERTS: path.join(__dirname, '../../fixtures/standin/tls/cert.pem'),
      ANTHROPIC_BASE_URL: origins.url,
      CLAUDE_TRACE_HOSTS: '127.0.0.1',
    });
  }

  static async start() {
    const child = spawn(process.execPath, [SERVER], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = readline.createInterface({ input: /** @type {import('node:stream').Readable} */ (child.stdout) });
    const [line] = await Promise.race([
      once(lines, 'line'),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`the stand-in ended with ${code} before it was listening`))),
    ]);
    return new Standin(child, JSON.parse(line), await closedOrigin());
  }

  /** What was received and sent since the last reset; waits until no exchange is open. @returns {Promise<Entry[]>} */
  async account() {
    const response = await fetch(`${this.url}/__account`);
    return /** @type {Promise<Entry[]>} */ (response.json());
  }

  async reset() {
    await fetch(`${this.url}/__account`, { method: 'DELETE' });
  }

  async stop() {
    if (this.#process.exitCode !== null) throw new Error(`the stand-in had ended with ${this.#process.exitCode}`);
    const exited = once(this.#process, 'exit');
    this.#process.stdin?.end();
    await exited;
  }
}

async function closedOrigin() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return `http://127.0.0.1:${port}`;
}

exports.Standin = Standin;
