'use strict';

// The load, on raw sockets: `node client.js '{"port":…,"streams":100,"rounds":3,"chunks":20,"paceMs":25,"requestsMs":1500}'`.
// All connections are warmed by a stream of their own; then a `go` on stdin begins the streams, and another the requests.
// Prints a line of JSON after each.

const net = require('node:net');
const readline = require('node:readline');
const { JSON_BYTES, REQUEST_BYTES, now } = require('./wire.js');
const { quantile } = require('../support/statistics.js');

const load = JSON.parse(process.argv[2]);
const BODY = 'x'.repeat(REQUEST_BYTES);
const END = '0\r\n\r\n';

class Connection {
  #socket;
  #text = '';
  #hasHead = false;
  #asked = 0;
  /** @type {((error?: Error) => void) | null} */ #done = null;
  /** @type {number[]} */ firstBytes = [];
  /** @type {number[]} */ delays = [];

  /** @param {net.Socket} socket */
  constructor(socket) {
    this.#socket = socket.on('data', (data) => this.#heard(data.toString('latin1')));
    for (const event of ['error', 'close']) socket.on(event, (error) => this.#done?.(new Error(`a connection ended: ${error?.message ?? event}`)));
  }

  /** @param {number} port @returns {Promise<Connection>} */
  static async open(port) {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    return new Connection(socket);
  }

  /** @param {string} path @returns {Promise<void>} when the answer is whole */
  ask(path) {
    this.#text = '';
    this.#hasHead = false;
    return new Promise((resolve, reject) => {
      this.#done = (error) => ((this.#done = null), error ? reject(error) : resolve());
      this.#asked = now();
      this.#socket.write(`POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${REQUEST_BYTES}\r\n\r\n${BODY}`);
    });
  }

  /** @param {string} part */
  #heard(part) {
    const at = now();
    this.#text += part;
    if (!this.#hasHead) {
      const head = this.#text.indexOf('\r\n\r\n');
      if (head === -1) return;
      if (!this.#text.startsWith('HTTP/1.1 200 ')) return this.#done?.(new Error(this.#text.slice(0, 300)));
      this.#hasHead = true;
      this.#text = this.#text.slice(head + 4);
      this.firstBytes.push(at - this.#asked);
    }
    if (this.#text[0] === '{') return void (this.#text.length >= JSON_BYTES && this.#done?.());
    let taken = 0;
    for (const { 1: stamp, 0: { length }, index } of this.#text.matchAll(/T(\d+\.\d{3});/g)) {
      this.delays.push(at - Number(stamp));
      taken = index + length;
    }
    const isOver = this.#text.endsWith(END);
    this.#text = this.#text.slice(taken);
    if (isOver) this.#done?.();
  }

  clear() {
    this.firstBytes = [];
    this.delays = [];
  }

  close() {
    this.#socket.destroy();
  }
}

/** @param {number[]} values microseconds */
function inMs(values) {
  const sorted = Float64Array.from(values).sort();
  return { p50: quantile(sorted, 0.5) / 1e3, p99: quantile(sorted, 0.99) / 1e3, count: sorted.length };
}

/** @param {Connection[]} connections @param {number} chunks @param {number} rounds */
async function streams(connections, chunks, rounds) {
  const { paceMs } = load;
  await Promise.all(
    connections.map(async (connection, i) => {
      // Spread over a pace, as clients are that know nothing of each other.
      await new Promise((resolve) => setTimeout(resolve, (i * paceMs) / connections.length));
      for (let round = 0; round < rounds; round++) await connection.ask(`/v1/messages/stream?chunks=${chunks}&ms=${paceMs}`);
    }),
  );
}

/** @param {Connection[]} connections */
async function requests(connections) {
  const until = now() + load.requestsMs * 1e3;
  let count = 0;
  await Promise.all(
    connections.map(async (connection) => {
      for (; now() < until; count++) await connection.ask('/v1/messages');
    }),
  );
  return count;
}

/** @param {Connection[]} connections @param {() => Promise<unknown>} work */
async function measured(connections, work) {
  for (const connection of connections) connection.clear();
  const at = now();
  await work();
  const seconds = (now() - at) / 1e6;
  const firstByte = inMs(connections.flatMap((connection) => connection.firstBytes));
  return { seconds, firstByte, chunk: inMs(connections.flatMap(({ delays }) => delays)) };
}

(async () => {
  /** @type {Connection[]} */
  const connections = [];
  for (let i = 0; i < load.streams; i++) connections.push(await Connection.open(load.port));
  await streams(connections, 3, 1);
  const orders = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  console.log('ready');
  await orders.next();
  console.log(JSON.stringify(await measured(connections, () => streams(connections, load.chunks, load.rounds))));
  await orders.next();
  let count = 0;
  const said = await measured(connections, async () => (count = await requests(connections)));
  console.log(JSON.stringify({ ...said, count, perSecond: count / said.seconds }));
  await orders.next();
  for (const connection of connections) connection.close();
  process.stdin.destroy();
})();
