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

/** @param {{ count: number, mean: number, p50: number, p99: number }} latency in ms */
const inUs = ({ count, mean, p50, p99 }) => ({ count, mean: mean * 1e3, p50: p50 * 1e3, p99: p99 * 1e3 });

async function main() {
  closeBrackets();
  for (let n = 0; n < requests; n++) {
    const response = await fetch(url, { method: 'POST', body: BODY, headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' } });
    await response.arrayBuffer();
  }
  const ours = /** @type {any} */ (globalThis)[Symbol.for('claude-trace-native.hub.1')]?.singleton?.logger;
  // Hook times are taken in when an exchange has been read from the spool.
  for (let tries = 0; ours && ours.getStats().capture.latency.count < requests && tries < 200; tries++) await new Promise((resolve) => setTimeout(resolve, 20));
  const capture = ours?.getStats().capture;
  process.send?.({
    outside: { request: summary(requestMs), chunk: summary(chunkMs) },
    own: capture ? { mode: capture.mode, faults: capture.hookFaults, request: inUs(capture.latency), chunk: inUs(capture.chunkLatency) } : null,
  });
  process.disconnect?.();
}

main();
