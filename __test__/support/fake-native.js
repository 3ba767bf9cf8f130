'use strict';

// The addon's functions without the addon: keeps what it was told, so that tests of the façade can ask. `install` puts it
// in place of what lib/native.js would find.
//
// As a preload (`node --require fake-native.js --require interceptor-loader.js app.js`) it installs itself when
// FAKE_NATIVE is set: `ok`; `absent` (there is no addon); `closed` (open fails); `broken` (begin, chunk and mark throw).
// With FAKE_NATIVE_JOURNAL each call becomes a line of that file, led by process and thread.

const fs = require('node:fs');
const path = require('node:path');

const NATIVE = path.join(__dirname, '..', '..', 'lib', 'native.js');

const LATENCY = Object.freeze({ count: 0, mean: 0, min: 0, p50: 0, p95: 0, p99: 0, max: 0, withinTarget: 1 });

const SSE = Object.freeze({ streams: 0, events: 0, bytes: 0, cutLines: 0, cutEvents: 0, reconnects: 0, replayedEvents: 0 });

const SPREAD = Object.freeze({ count: 1, mean: 2, min: 1, p50: 2, p95: 3, p99: 3, max: 3 });

/** Numbers of interceptors, each another one. */
const INTERCEPTORS = Object.freeze({
  exchanges: 1, batches: 2, events: 3, dropped: 4, replaced: 5, annotated: 6, passed: 7, overruns: 8, late: 9, duplicates: 10, errors: 11,
  discarded: 12, batchSize: SPREAD, delay: SPREAD, interceptors: [],
});

/**
 * @param {object} [overrides] functions that replace the fake's own
 */
function createFakeNative(overrides = {}) {
  /** Every call but clockSync, prepare and interceptorStats: [name, ...arguments]. */
  const calls = [];
  /** What stats() says beside its own counts. */
  const stats = { fallback: undefined };
  const chains = new Map();
  let clockSyncs = 0;
  let nextHandle = 0;

  const live = (handle) => {
    const chain = chains.get(handle);
    if (chain === undefined) throw new Error(`no chain ${handle}`);
    return chain;
  };
  const functions = {
    clockSync: () => void clockSyncs++,
    prepare: () => {},
    open(options) {
      const handle = nextHandle++;
      const file = path.join(options.logDirectory, `${options.logBaseName ?? 'log-2025-01-01-00-00-00'}.jsonl`);
      chains.set(handle, { options, file, open: new Set(), nextId: 1, pairs: 0, closed: false });
      return handle;
    },
    begin(handle) {
      const chain = live(handle);
      if (chain.closed) return 0;
      chain.open.add(chain.nextId);
      return chain.nextId++;
    },
    responseHead: (handle) => void live(handle),
    chunk: (handle) => void live(handle),
    mark(handle, id, kind) {
      const chain = live(handle);
      // RESPONSE_END, ERROR, ABANDON
      if (kind >= 6 && chain.open.delete(id) && kind !== 8) chain.pairs++;
    },
    stats(handle) {
      const chain = live(handle);
      return {
        totalPairs: chain.pairs, pendingRequests: chain.open.size, logFile: chain.file,
        mode: chain.options.zeroLatency && stats.fallback === undefined ? 'zero-latency' : 'standard',
        latency: { ...LATENCY }, chunkLatency: { ...LATENCY }, queueSize: 0, isProcessing: false, tasksProcessed: chain.pairs, workers: 1,
        bufferedLines: 0, bufferUtilization: 0, memoryBytes: 0, spoolBytes: 0, spoolSegments: 1, poolReused: 0, poolMapped: 1,
        flushes: 0, flushesPerSecond: 0, bytesWritten: 0, drops: 0, spills: 0, retries: 0, failed: 0, deadLetters: 0, abandoned: 0,
        recovered: 0, damaged: 0, sse: { ...SSE }, lastMeasurement: 0, ...stats,
      };
    },
    // Of interceptors, which the real addon is tested with, only what every logger asks.
    interceptorStats: () => INTERCEPTORS,
    intercept: () => 1,
    unintercept() {},
    take: () => [],
    awaitDelivery: () => false,
    watched: () => 0,
    answer() {},
    endOpen() {},
    drain: () => true,
    close(handle) {
      const chain = live(handle);
      chain.pairs += chain.open.size;
      chain.open.clear();
      chain.closed = true;
      return true;
    },
    ...overrides,
  };
  const native = {};
  for (const [name, fn] of Object.entries(functions)) {
    native[name] = (...args) => {
      if (!['clockSync', 'prepare', 'interceptorStats'].includes(name)) calls.push([name, ...args]);
      return fn(...args);
    };
  }
  return { native, calls, stats, clockSyncs: () => clockSyncs, opened: () => [...chains.values()].map(({ options }) => options) };
}

/** @param {() => object} loadNative what lib/native.js shall do when the façade asks for the addon */
function install(loadNative) {
  const module = { id: NATIVE, filename: NATIVE, loaded: true, exports: { loadNative } };
  require.cache[NATIVE] = /** @type {any} */ (module);
}

/** @param {string} mode */
function preload(mode) {
  const failure = (code, message) => Object.assign(new Error(message), { code });
  if (mode === 'absent') {
    install(() => {
      throw failure('TRACE_ERR_ADDON', 'there is no addon for this platform: run "npm rebuild claude-trace-native"');
    });
    return;
  }
  const boom = () => {
    throw new Error('a caught panic');
  };
  const overrides = {
    ok: {},
    closed: { open: () => { throw failure('TRACE_ERR_OPEN', 'the log folder cannot be written'); } },
    broken: { begin: boom, responseHead: boom, chunk: boom, mark: boom, stats: boom, close: boom },
  }[mode];
  const fake = createFakeNative(overrides);
  const journal = process.env.FAKE_NATIVE_JOURNAL;
  if (journal) {
    const { threadId } = require('node:worker_threads');
    const push = fake.calls.push.bind(fake.calls);
    fake.calls.push = (call) => {
      fs.appendFileSync(journal, `${JSON.stringify([process.pid, threadId, ...call])}\n`);
      return push(call);
    };
  }
  install(() => fake.native);
}

if (process.env.FAKE_NATIVE) preload(process.env.FAKE_NATIVE);

module.exports = { createFakeNative, install };
