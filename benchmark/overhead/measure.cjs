'use strict';

// What a measured process says of itself. It knows nothing of recorders but one symbol, to read the numbers that ours keeps
// of itself. Whoever records, the same is measured, the loop's delay included (whose timer wakes the process too).

const fs = require('node:fs');
const { monitorEventLoopDelay } = require('node:perf_hooks');

const MIB = 1024 * 1024;
const LOOP_RESOLUTION_MS = 10;

const now = performance.now.bind(performance);

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

/** @returns {number | null} bytes that this process has made the kernel write to a disk; null where nobody says */
function writtenBytes() {
  try {
    return Number(/^write_bytes: (\d+)/m.exec(fs.readFileSync('/proc/self/io', 'latin1'))?.[1]);
  } catch {
    return null;
  }
}

/** @param {number | null} value @param {number | null} before @param {number} by */
const since = (value, before, by) => (value === null || before === null ? null : (value - before) / by);

const ourStats = () => /** @type {any} */ (globalThis)[Symbol.for('claude-trace-native.hub.1')]?.singleton?.logger.getStats().capture ?? null;

/** Our own hook time of the very first request, whose code ran for the first time; null if it is not ours that records. */
async function firstHookMs() {
  for (let tries = 0; ourStats()?.latency.count === 0 && tries < 200; tries++) await new Promise((resolve) => setTimeout(resolve, 5));
  return ourStats()?.latency.max ?? null;
}

/**
 * The times that a client takes, of one run. They are kept in arrays of a fixed size: a growing one would be measured too.
 */
class Times {
  #firstMs;
  #gapMs;
  #gaps = 0;

  /** @param {number} requests at most @param {number} events of all requests together, at most */
  constructor(requests, events) {
    this.#firstMs = new Float64Array(requests);
    this.#gapMs = new Float64Array(events);
  }

  /** @param {number} index of the request @param {number} ms */
  first(index, ms) {
    this.#firstMs[index] = ms;
  }

  /** @param {number} ms */
  gap(ms) {
    this.#gapMs[this.#gaps++] = ms;
  }

  reset() {
    this.#gaps = 0;
  }

  /** @param {number} requests */
  figures(requests) {
    const { quantile, ascending } = require('../support/statistics.js');
    const first = ascending(this.#firstMs.subarray(0, requests));
    const between = ascending(this.#gapMs.subarray(0, this.#gaps));
    return {
      firstByteP50Ms: quantile(first, 0.5),
      firstByteP95Ms: quantile(first, 0.95),
      firstByteP99Ms: quantile(first, 0.99),
      gapP50Us: quantile(between, 0.5) * 1e3,
      gapP95Us: quantile(between, 0.95) * 1e3,
      gapP99Us: quantile(between, 0.99) * 1e3,
    };
  }
}

/**
 * Does `work` and has the result written when the process exits.
 * @param {object} run
 * @param {() => Promise<void>} run.work
 * @param {Times} run.times
 * @param {number} run.startUpMs
 * @param {number | null} run.firstHookMs
 * @param {number} run.requests
 * @param {number} run.events of all requests together; 0 when they are no streams
 * @param {string} run.resultFile
 */
async function measure({ work, times, startUpMs, firstHookMs: firstHook, requests, events, resultFile }) {
  const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  delay.enable();
  const before = { cpu: processCpuMs(), thread: threadCpuMs(), written: writtenBytes(), loop: performance.eventLoopUtilization(), at: now() };
  await work();
  const wallMs = now() - before.at;
  const cpuAtEnd = processCpuMs();
  const loop = performance.eventLoopUtilization(before.loop);
  delay.disable();
  const rssEnd = process.memoryUsage.rss();
  /** The monitor counts from one timer to the next. @param {number} percent */
  const loopDelayMs = (percent) => (delay.count === 0 ? null : Math.max(0, delay.percentile(percent) / 1e6 - LOOP_RESOLUTION_MS));

  // A recorder finishes its log when the process exits. Its own exit handler stands before this one, being older, so that
  // the CPU time counted here includes what it put off.
  process.once('exit', (code) => {
    const thread = threadCpuMs();
    const totalCpuMs = processCpuMs();
    const result = {
      startUpMs,
      ...times.figures(requests),
      wallMs,
      requestsPerSecond: requests / (wallMs / 1e3),
      cpuPerRequestMs: (totalCpuMs - before.cpu) / requests,
      jsCpuPerRequestMs: since(thread, before.thread, requests),
      exitCpuMs: totalCpuMs - cpuAtEnd,
      cpuPerChunkUs: events === 0 ? null : ((totalCpuMs - before.cpu) * 1e3) / events,
      jsCpuPerChunkUs: events === 0 ? null : since(thread, before.thread, events / 1e3),
      busyPerRequestMs: loop.active / requests,
      loopBusyPercent: loop.utilization * 100,
      loopDelayP50Ms: loopDelayMs(50),
      loopDelayP99Ms: loopDelayMs(99),
      rssEndMiB: rssEnd / MIB,
      rssMaxMiB: process.resourceUsage().maxRSS / 1024,
      writtenMiB: since(writtenBytes(), before.written, MIB),
    };
    const stats = ourStats();
    const hooks = stats === null ? null : { mode: stats.mode, firstMs: firstHook, request: stats.latency, chunk: stats.chunkLatency, drops: stats.drops, spills: stats.spills, faults: stats.hookFaults };
    fs.writeFileSync(resultFile, JSON.stringify({ code, result, hooks, totalCpuMs }));
  });
}

module.exports = { Times, firstHookMs, measure, now };
