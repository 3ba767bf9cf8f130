'use strict';

// The addon's numbers as `getStats()` and `getZeroLatencyReport()` give them. Nothing is measured or estimated here.

const MIB = 1024 * 1024;

/** Upper bound of the 95th percentile, in milliseconds, for `meetsTarget`. */
const TARGET_MS = 0.1;

/**
 * @typedef {import('./native.js').NativeStats} NativeStats
 * @typedef {import('../index.js').TrafficStats} TrafficStats
 */

/** @type {import('./native.js').Latency} */
const UNMEASURED = Object.freeze({ count: 0, mean: 0, min: 0, p50: 0, p95: 0, p99: 0, max: 0, withinTarget: 1 });

/** @type {TrafficStats['capture']} */
const OFF = Object.freeze({
  mode: 'off',
  reason: null,
  latency: UNMEASURED,
  chunkLatency: UNMEASURED,
  drops: 0,
  spills: 0,
  retries: 0,
  failed: 0,
  deadLetters: 0,
  damaged: 0,
  abandoned: 0,
  recovered: 0,
  hookFaults: 0,
});

/** @type {TrafficStats['sse']} */
const NO_STREAMS = Object.freeze({ streams: 0, events: 0, bytes: 0, cutLines: 0, cutEvents: 0, reconnects: 0, replayedEvents: 0 });
const NONE = Object.freeze({ count: 0, mean: 0, min: 0, p50: 0, p95: 0, p99: 0, max: 0 });

/** @type {TrafficStats['interceptors']} */
const IDLE = Object.freeze({
  exchanges: 0,
  batches: 0,
  events: 0,
  dropped: 0,
  replaced: 0,
  annotated: 0,
  passed: 0,
  overruns: 0,
  late: 0,
  duplicates: 0,
  errors: 0,
  discarded: 0,
  batchSize: NONE,
  delay: NONE,
  interceptors: [],
});

/**
 * @param {NativeStats | null} native null: nothing is recorded
 * @param {string | null} reason why not
 * @param {number} hookFaults
 * @param {import('./native.js').NativeInterceptorStats | null} interceptors
 * @returns {TrafficStats}
 */
function toStats(native, reason, hookFaults, interceptors) {
  if (native === null) {
    const nothing = { totalPairs: 0, pendingRequests: 0, logFile: '', htmlFile: '' };
    return { ...nothing, zeroLatency: { enabled: false }, capture: { ...OFF, reason, hookFaults }, sse: NO_STREAMS, interceptors: interceptors ?? IDLE };
  }
  const { totalPairs, pendingRequests, logFile } = native;
  const isZeroLatency = native.mode === 'zero-latency';
  return {
    totalPairs,
    pendingRequests,
    logFile,
    htmlFile: logFile.replace(/\.jsonl$/, '.html'),
    zeroLatency: isZeroLatency ? zeroLatency(native) : { enabled: false },
    capture: {
      mode: isZeroLatency ? 'zero-latency' : 'standard',
      reason: native.fallback ?? null,
      latency: native.latency,
      chunkLatency: native.chunkLatency,
      drops: native.drops,
      spills: native.spills,
      retries: native.retries,
      failed: native.failed,
      deadLetters: native.deadLetters,
      damaged: native.damaged,
      abandoned: native.abandoned,
      recovered: native.recovered,
      hookFaults,
    },
    sse: native.sse,
    interceptors: interceptors ?? IDLE,
  };
}

/**
 * @param {NativeStats} n
 * @returns {import('../index.js').ZeroLatencyStats}
 */
function zeroLatency(n) {
  const { mean, count, ...spread } = n.latency;
  return {
    enabled: true,
    performance: {
      interceptorLatency: mean,
      ...spread,
      chunk: n.chunkLatency,
      totalRequests: count,
      backgroundQueueSize: n.queueSize,
      memoryUsage: n.memoryBytes / MIB,
      lastMeasurement: n.lastMeasurement,
    },
    processor: { queueSize: n.queueSize, isProcessing: n.isProcessing, totalTasksProcessed: n.tasksProcessed, workers: n.workers },
    meetsTarget: n.latency.p95 < TARGET_MS,
    queueSize: n.queueSize,
    bufferUtilization: n.bufferUtilization,
    pool: { reused: n.poolReused, mapped: n.poolMapped },
    writer: {
      bufferedLines: n.bufferedLines,
      flushes: n.flushes,
      flushesPerSecond: n.flushesPerSecond,
      bytesWritten: n.bytesWritten,
      retries: n.retries,
    },
    spool: { bytes: n.spoolBytes, segments: n.spoolSegments, drops: n.drops, spills: n.spills },
  };
}

/**
 * The first nine lines are claude-trace's, label by label; ours follow.
 * @param {TrafficStats['zeroLatency']} stats
 * @returns {string | null} null when zero-latency mode is off
 */
function toReport(stats) {
  if (!stats.enabled) return null;
  const p = stats.performance;
  return [
    'Performance Report:',
    `- Average Latency: ${ms(p.interceptorLatency)}`,
    `- Min Latency: ${ms(p.min)}`,
    `- Max Latency: ${ms(p.max)}`,
    `- Zero-Latency Target Met: ${stats.meetsTarget ? '✓' : '✗'}`,
    `- Total Requests: ${p.totalRequests}`,
    `- Queue Size: ${p.backgroundQueueSize}`,
    `- Memory Usage: ${p.memoryUsage.toFixed(2)}MB`,
    `- Measurements: ${p.totalRequests}`,
    `- P50 Latency: ${ms(p.p50)}`,
    `- P95 Latency: ${ms(p.p95)}`,
    `- P99 Latency: ${ms(p.p99)}`,
    `- Within Target: ${(p.withinTarget * 100).toFixed(1)}%`,
    `- Chunks: ${p.chunk.count}`,
    `- P50 Chunk Latency: ${us(p.chunk.p50)}`,
    `- P99 Chunk Latency: ${us(p.chunk.p99)}`,
  ].join('\n');
}

/** @param {number} value */
const ms = (value) => `${value.toFixed(3)}ms`;

/** @param {number} value in ms: a chunk takes so little that three decimals of them would say 0 */
const us = (value) => `${(value * 1000).toFixed(3)}µs`;

module.exports = { toStats, toReport };
