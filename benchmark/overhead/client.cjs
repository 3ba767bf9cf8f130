'use strict';

// The measured process: a real SDK, and nothing else that could be measured by accident. It knows nothing of recorders but
// one symbol, to read the numbers that ours keeps of itself.

/** Since the start of the process, with whatever was preloaded. */
const startUpMs = performance.now();

const fs = require('node:fs');
const { Anthropic } = require('@anthropic-ai/sdk');

const { requests, warmUp, atOnce, isStream, events, promptChars, model, resultFile } = JSON.parse(process.argv[2]);

// Neither its address nor its key: the SDK takes both from the environment.
const client = new Anthropic({ maxRetries: 0 });
const body = { model, max_tokens: 1024, messages: [{ role: /** @type {const} */ ('user'), content: 'p'.repeat(promptChars) }] };

const now = performance.now.bind(performance);
const firstByteMs = new Float64Array(Math.max(requests, warmUp));
const gapMs = new Float64Array(isStream ? firstByteMs.length * (events - 1) : 0);
let gaps = 0;

/** @param {number} index */
async function stream(index) {
  const start = now();
  let last = 0;
  let seen = 0;
  for await (const _ of await client.messages.create({ ...body, stream: true })) {
    const at = now();
    if (seen++ === 0) firstByteMs[index] = at - start;
    else gapMs[gaps++] = at - last;
    last = at;
  }
  if (seen !== events) throw new Error(`${seen} events instead of ${events}`);
}

/** @param {number} index */
async function call(index) {
  const start = now();
  const message = await client.messages.create(body);
  firstByteMs[index] = now() - start;
  if (message.stop_reason !== 'end_turn') throw new Error('half an answer');
}

/** @param {number} count */
async function run(count) {
  gaps = 0;
  let next = 0;
  const one = isStream ? stream : call;
  const worker = async () => {
    while (next < count) await one(next++);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
}

/**
 * CPU time of this thread in ms; null where nobody says. Linux counts it in every Node, Node itself from 22.19 on.
 * @returns {number | null}
 */
function threadCpuMs() {
  try {
    return Number(fs.readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ', 1)[0]) / 1e6;
  } catch {
    const usage = /** @type {any} */ (process).threadCpuUsage?.();
    return usage === undefined ? null : (usage.user + usage.system) / 1e3;
  }
}

function processCpuMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
}

const ourStats = () => /** @type {any} */ (globalThis)[Symbol.for('claude-trace-native.hub.1')]?.singleton?.logger.getStats().capture ?? null;

/** Our own hook time of the very first request, whose code ran for the first time; null if it is not ours that records. */
async function firstHookMs() {
  for (let tries = 0; ourStats()?.latency.count === 0 && tries < 200; tries++) await new Promise((resolve) => setTimeout(resolve, 5));
  return ourStats()?.latency.max ?? null;
}

async function main() {
  await run(1);
  const firstHook = await firstHookMs();
  await run(warmUp - 1);

  const before = { cpu: processCpuMs(), thread: threadCpuMs(), loop: performance.eventLoopUtilization(), at: now() };
  await run(requests);
  const wallMs = now() - before.at;
  const busyMs = performance.eventLoopUtilization(before.loop).active;
  const rssEnd = process.memoryUsage.rss();

  // A recorder finishes its log when the process exits. Its own exit handler stands before this one, being older, so that
  // the CPU time counted here includes what it put off.
  process.once('exit', (code) => {
    const thread = threadCpuMs();
    const totalCpuMs = processCpuMs();
    const { quantile, ascending } = require('../support/statistics.js');
    const first = ascending(firstByteMs.subarray(0, requests));
    const between = ascending(gapMs.subarray(0, gaps));
    const MIB = 1024 * 1024;
    const result = {
      startUpMs,
      firstByteP50Ms: quantile(first, 0.5),
      firstByteP99Ms: quantile(first, 0.99),
      gapP50Us: quantile(between, 0.5) * 1e3,
      gapP99Us: quantile(between, 0.99) * 1e3,
      wallMs,
      requestsPerSecond: requests / (wallMs / 1e3),
      cpuPerRequestMs: (totalCpuMs - before.cpu) / requests,
      jsCpuPerRequestMs: thread === null || before.thread === null ? NaN : (thread - before.thread) / requests,
      busyPerRequestMs: busyMs / requests,
      rssEndMiB: rssEnd / MIB,
      rssMaxMiB: process.resourceUsage().maxRSS / 1024,
    };
    const stats = ourStats();
    const hooks = stats === null ? null : { mode: stats.mode, firstMs: firstHook, request: stats.latency, chunk: stats.chunkLatency, drops: stats.drops, spills: stats.spills, faults: stats.hookFaults };
    fs.writeFileSync(resultFile, JSON.stringify({ code, result, hooks, totalCpuMs }));
  });
}

main();
