'use strict';

// A program with many conversations at once, to be killed in the middle of them. What it has received it says at once, and
// in a place that outlives it: a file, appended to after each chunk that was handed to it. So whoever reads that file knows
// what had passed the hooks, which see a chunk before the program does.
//
//   node kill.cjs '{"account":"FILE","seed":1,"first":0,"lanes":3,"threads":0,"stalls":1,"large":false,"limit":null}'

const fs = require('node:fs');
const http = require('node:http');
const { isMainThread, Worker } = require('node:worker_threads');
const { TOLD, encode } = require('../../scripts/kill-test/told.js');
const { stalled, workload } = require('../../scripts/kill-test/workload.js');

/** @typedef {import('../../scripts/kill-test/workload.js').Wanted} Wanted */

const task = JSON.parse(process.argv[2]);
const { account, seed, first, lanes, threads, stalls, large, limit } = task;
const origin = String(process.env.STANDIN_URL);
/** Numbers for a worker thread's exchanges, and exchanges in each of its lanes: it ends, and another takes its place. */
const PER_THREAD = 10_000;
const THREAD_LIMIT = 6;

// One `write` for each, appended: those of several threads do not mix.
const file = fs.openSync(account, 'a');
/** @param {number} what @param {number} exchange @param {number} bytes */
const tell = (what, exchange, bytes) => fs.writeSync(file, encode(what, exchange, bytes));

/** @param {Wanted} wanted */
async function viaFetch({ number, method, path, headers, body }) {
  const response = await fetch(origin + path, { method, headers, body });
  tell(TOLD.BEGUN, number, body?.length ?? 0);
  let received = 0;
  for await (const chunk of /** @type {any} */ (response.body)) {
    received += chunk.length;
    tell(TOLD.RECEIVED, number, received);
  }
  tell(TOLD.ENDED, number, received);
}

/** @param {Wanted} wanted */
function viaHttp({ number, method, path, headers, body }) {
  return new Promise((resolve, reject) => {
    let received = 0;
    const request = http.request(origin + path, { method, headers }, (response) => {
      response.on('error', reject);
      response.on('data', (chunk) => {
        received += chunk.length;
        tell(TOLD.RECEIVED, number, received);
      });
      response.on('end', () => {
        tell(TOLD.ENDED, number, received);
        resolve(undefined);
      });
    });
    request.on('error', reject);
    request.end(body);
    tell(TOLD.BEGUN, number, body?.length ?? 0);
  });
}

/** @param {Wanted} wanted */
const converse = (wanted) => (wanted.api === 'fetch' ? viaFetch(wanted) : viaHttp(wanted));

/** @param {Iterator<Wanted>} exchanges shared by all lanes @param {number} count */
async function lane(exchanges, count) {
  for (let i = 0; i < count; i++) await converse(exchanges.next().value);
}

/** One after another, each with a chain of its own in the recorder. @param {number} number */
function startThread(number) {
  const own = { ...task, seed: seed + number, first: first + number * PER_THREAD, threads: 0, limit: THREAD_LIMIT };
  const worker = new Worker(__filename, { argv: [JSON.stringify(own)] });
  worker.on('error', (error) => {
    throw error;
  });
  worker.on('exit', () => startThread(number + threads));
}

async function main() {
  const exchanges = workload(seed, first + stalls, large);
  // They stay open whatever comes, so that the recorder has to carry them along.
  for (let i = 0; i < stalls; i++) converse(stalled(first + i));
  for (let i = 1; i <= threads; i++) startThread(i);
  await Promise.all(Array.from({ length: lanes }, () => lane(exchanges, limit ?? Infinity)));
  if (isMainThread) tell(TOLD.DONE, 0, 0);
  // What stalls has not ended; in a worker this ends the thread alone.
  process.exit(0);
}

main();
