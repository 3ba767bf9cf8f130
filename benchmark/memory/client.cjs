'use strict';

// The measured process: requests at a steady rate, and its own memory looked at after a garbage collection. It knows nothing
// of recorders but one symbol, to read the numbers that ours keeps of itself.

const { origin, rate, durationMs, lookMs } = JSON.parse(process.argv[2]);
const gc = /** @type {() => void} */ (/** @type {any} */ (globalThis).gc);
const MIB = 1024 * 1024;
/** A client that falls behind must not pile up requests: that would be a leak of its own. */
const MOST_AT_ONCE = 200;

const BODY = JSON.stringify({ model: 'claude-benchmark', max_tokens: 1024, messages: [{ role: 'user', content: 'p'.repeat(2000) }] });

let begun = 0;
let ended = 0;
let skipped = 0;

/** Seven of ten are JSON, the others streams of which every fifteenth is given up in the middle. @param {number} n */
async function request(n) {
  const isStream = n % 10 >= 7;
  const isGivenUp = isStream && n % 15 === 7;
  const abort = new AbortController();
  try {
    const response = await fetch(`${origin}/${isStream ? 'every-3-ms' : 'json'}/v1/messages`, {
      method: 'POST', body: BODY, signal: abort.signal,
      headers: { 'content-type': 'application/json', 'x-api-key': 'sk-ant-api03-benchmark-benchmark-benchmark', 'anthropic-version': '2023-06-01' },
    });
    if (!isGivenUp) return void (await response.arrayBuffer());
    for await (const _ of /** @type {any} */ (response.body)) abort.abort();
  } catch (error) {
    if (!abort.signal.aborted) throw error;
  } finally {
    ended++;
  }
}

const ourStats = () => /** @type {any} */ (globalThis)[Symbol.for('claude-trace-native.hub.1')]?.singleton?.logger.getStats() ?? null;

/** @param {number} atMs */
function look(atMs) {
  gc();
  const { rss, heapUsed, external } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const stats = ourStats();
  const ours = stats && {
    pairs: stats.totalPairs, pending: stats.pendingRequests, mode: stats.capture.mode, drops: stats.capture.drops,
    spills: stats.capture.spills, faults: stats.capture.hookFaults,
    memoryMiB: stats.zeroLatency.performance?.memoryUsage ?? 0, logMiB: (stats.zeroLatency.writer?.bytesWritten ?? 0) / MIB,
  };
  const look = { atMs, begun, ended, skipped, rssMiB: rss / MIB, heapMiB: heapUsed / MIB, externalMiB: external / MIB, cpuMs: (user + system) / 1e3, ours };
  process.send?.({ look });
}

async function main() {
  const start = performance.now();
  let nextLook = lookMs;
  /** @type {Set<Promise<void>>} */
  const open = new Set();
  for (let slot = 0, at = 0; at < durationMs; slot++) {
    const wait = start + (slot * 1e3) / rate - performance.now();
    if (wait > 1) await new Promise((resolve) => setTimeout(resolve, wait));
    else if (slot % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
    at = performance.now() - start;
    if (at >= nextLook) {
      look(at);
      nextLook += lookMs;
    }
    if (open.size >= MOST_AT_ONCE) {
      skipped++;
      continue;
    }
    const one = request(begun++).finally(() => open.delete(one));
    open.add(one);
  }
  await Promise.all(open);
  await settle();
  look(performance.now() - start);
  process.disconnect?.();
}

/** Until our recorder has written everything, or ten seconds. */
async function settle() {
  for (let tries = 0; tries < 200; tries++) {
    const stats = ourStats();
    if (stats === null || (stats.pendingRequests === 0 && stats.totalPairs === begun)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

main();
