'use strict';

// The measured process: requests one after another between the brackets, then both accounts of what the hooks have taken.

const { chunkMs, closeBrackets, requestMs } = require('./brackets.cjs');
const { ascending, quantile } = require('../support/statistics.js');

const { url, requests } = JSON.parse(process.argv[2]);
const BODY = JSON.stringify({ model: 'claude-benchmark', max_tokens: 1024, messages: [{ role: 'user', content: 'p'.repeat(2000) }] });

/** @param {readonly number[]} ms */
function summary(ms) {
  const sorted = ascending(ms);
  const us = (/** @type {number} */ q) => quantile(sorted, q) * 1e3;
  return { count: ms.length, mean: (ms.reduce((sum, value) => sum + value, 0) / ms.length) * 1e3, p50: us(0.5), p99: us(0.99) };
}

/** @typedef {{ count: number, mean: number, p50: number, p99: number }} Times */

/**
 * Counts and sums leave the first request out, percentiles cannot.
 * @param {Times} all in ms
 * @param {Times} first of the first request
 * @returns {Times} in µs
 */
function since(all, first) {
  const count = all.count - first.count;
  return { count, mean: ((all.mean * all.count - first.mean * first.count) / count) * 1e3, p50: all.p50 * 1e3, p99: all.p99 * 1e3 };
}

async function request() {
  const response = await fetch(url, { method: 'POST', body: BODY, headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' } });
  await response.arrayBuffer();
}

/**
 * What our recorder has counted, once that many requests are in it: hook times are taken in when an exchange has been read from
 * the spool. Null where nobody records.
 * @param {number} count
 */
async function ownAccount(count) {
  const ours = /** @type {any} */ (globalThis)[Symbol.for('claude-trace-native.hub.1')]?.singleton?.logger;
  for (let tries = 0; ours && ours.getStats().capture.latency.count < count && tries < 200; tries++) await new Promise((resolve) => setTimeout(resolve, 20));
  return ours?.getStats().capture ?? null;
}

async function main() {
  // What records is loaded with the first request: only then is all of it between the brackets.
  await request();
  const first = await ownAccount(1);
  closeBrackets();
  for (let n = 0; n < requests; n++) await request();
  const all = await ownAccount(requests + 1);
  process.send?.({
    outside: { request: summary(requestMs), chunk: summary(chunkMs) },
    own: all && { mode: all.mode, faults: all.hookFaults, request: since(all.latency, first.latency), chunk: since(all.chunkLatency, first.chunkLatency) },
  });
  process.disconnect?.();
}

main();
