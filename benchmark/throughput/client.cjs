'use strict';

// The measured process: as many requests as go through, so many of them at once. Node's own fetch and no SDK, which would be
// the limit.

const { url, concurrent, durationMs, warmUpMs } = JSON.parse(process.argv[2]);
const BODY = JSON.stringify({ model: 'claude-benchmark', max_tokens: 1024, messages: [{ role: 'user', content: 'p'.repeat(2000) }] });

let ended = 0;

async function request() {
  const response = await fetch(url, { method: 'POST', body: BODY, headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' } });
  if ((await response.arrayBuffer()).byteLength === 0 || response.status !== 200) throw new Error('half an answer');
  ended++;
}

/** @param {number} ms */
async function run(ms) {
  const until = performance.now() + ms;
  const worker = async () => {
    do await request();
    while (performance.now() < until);
  };
  await Promise.all(Array.from({ length: concurrent }, worker));
}

const stats = () => /** @type {any} */ (globalThis)[Symbol.for('claude-trace-native.hub.1')]?.singleton?.logger.getStats() ?? null;

async function main() {
  await run(warmUpMs);
  const before = { ended, at: performance.now(), cpu: process.cpuUsage() };
  await run(durationMs);
  const seconds = (performance.now() - before.at) / 1e3;
  const { user, system } = process.cpuUsage(before.cpu);
  const requests = ended - before.ended;
  for (let tries = 0; stats() !== null && stats().totalPairs < ended && tries < 200; tries++) await new Promise((resolve) => setTimeout(resolve, 50));
  process.send?.({ requestsPerSecond: requests / seconds, cpuMsPerRequest: (user + system) / 1e3 / requests, requests: ended, pairs: stats()?.totalPairs ?? null });
  process.disconnect?.();
}

main();
