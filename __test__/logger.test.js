'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { afterEach, beforeEach, describe, mock, test } = require('node:test');
const { KIND, SOURCE } = require('../lib/kinds.js');
const { createFakeNative, install } = require('./support/fake-native.js');
const { installFakeHooks } = require('./support/fake-hooks.js');

/** @type {ReturnType<typeof createFakeNative>} */
let fake;
/** @type {() => any} */
let loadNative;
install(() => loadNative());

const hooks = installFakeHooks();
const { ClaudeTrafficLogger, getLogger, initializeInterceptor } = require('../index.js');
const { existingHub } = require('../lib/hub.js');

/** Lines that we wrote to stderr. @type {string[]} */
let lines;
/** @type {any[]} */
let loggers;

beforeEach(() => {
  fake = createFakeNative();
  loadNative = () => fake.native;
  lines = [];
  loggers = [];
  hooks.log.length = 0;
  const { writeSync } = fs;
  mock.method(fs, 'writeSync', (/** @type {any[]} */ ...args) => {
    if (args[0] !== 2) return Reflect.apply(writeSync, fs, args);
    lines.push(args[1]);
    return args[1].length;
  });
});
afterEach(async () => {
  for (const logger of loggers) await logger.cleanup();
  mock.restoreAll();
});

/** @param {import('..').InterceptorConfig} [config] */
function logger(config) {
  const made = new ClaudeTrafficLogger(config);
  loggers.push(made);
  return made;
}

/** Calls of the addon by name, without the handle. */
const calls = (...names) => fake.calls.filter(([name]) => names.includes(name));

const URL = ['https://api.anthropic.com', '/v1/messages', 'POST'];

/** Plays one complete exchange through a hook's port. */
function exchange(port, [origin, target, method] = URL) {
  const recorder = port.match(origin, target, method);
  if (recorder === null) return null;
  const id = recorder.begin(SOURCE.UNDICI, origin, `${method} ${target} HTTP/1.1\r\n`, 1);
  recorder.mark(id, KIND.RESPONSE_HEAD, 'HTTP/1.1 200 OK\r\n', 2);
  recorder.chunk(id, KIND.RESPONSE_BODY, Buffer.from('x'), 3);
  recorder.mark(id, KIND.RESPONSE_END, '', 4);
  return id;
}

describe('construction', () => {
  test('opens nothing and installs nothing; the numbers open one chain with the settings, the clock compared before', () => {
    const made = logger({ logDirectory: 'logs', logBaseName: 'run.jsonl', spoolDir: 'spool', zeroLatency: { writeBufferSize: 7 } });
    assert.deepEqual(fake.calls, []);
    made.getStats();
    made.getStats();
    assert.deepEqual(fake.opened(), [{
      logDirectory: path.resolve('logs'), logBaseName: 'run', logLevel: 'info', zeroLatency: true, backgroundWorkers: 1, writeBufferSize: 7,
      writeBufferFlushMs: 100, deferredParsing: true, memoryPoolSize: 10485760, maxSpoolBytes: 536870912,
      maxDecodedBytes: 268435456, spoolDir: path.resolve('spool'), runtimeDir: undefined, whenFull: 'spill', durability: 'os', fsyncIntervalMs: 1000,
      retryMaxAttempts: 0, retryBaseDelayMs: 50, retryMaxDelayMs: 5000,
    }]);
    assert.equal(fake.clockSyncs(), 1);
    assert.deepEqual(hooks.log, []);
    assert.deepEqual(lines, []);
  });

  test('a later chdir does not move the log', () => {
    const before = process.cwd();
    const made = logger({ logDirectory: 'logs' });
    try {
      process.chdir(os.tmpdir());
      assert.ok(made.getStats().logFile.startsWith(path.join(before, 'logs') + path.sep));
    } finally {
      process.chdir(before);
    }
  });

  test('a bad option throws and opens nothing', () => {
    assert.throws(() => new ClaudeTrafficLogger(/** @type {any} */ ({ logLevel: 'loud' })), { code: 'TRACE_ERR_CONFIG' });
    assert.deepEqual(fake.calls, []);
  });

  test('variables that are ignored share one line', () => {
    process.env.CLAUDE_TRACE_ZERO_LATENCY_WORKERS = 'many';
    process.env.CLAUDE_TRACE_LOG_NAME = '../\u001b[31mx';
    try {
      logger();
    } finally {
      delete process.env.CLAUDE_TRACE_ZERO_LATENCY_WORKERS;
      delete process.env.CLAUDE_TRACE_LOG_NAME;
    }
    assert.equal(lines.length, 1);
    assert.match(lines[0], /^claude-trace: CLAUDE_TRACE_LOG_NAME="[^;]*: it is ignored; CLAUDE_TRACE_ZERO_LATENCY_WORKERS="many" [^;]*: using 1\n$/);
    assert.ok(!lines[0].includes('\u001b'));
  });
});

describe('when nothing can be recorded', () => {
  const failures = {
    'the addon is missing': () => {
      loadNative = () => { throw Object.assign(new Error('there is no addon'), { code: 'TRACE_ERR_ADDON' }); };
      return 'there is no addon';
    },
    'the chain cannot be opened': () => {
      fake = createFakeNative({ open: () => { throw Object.assign(new Error('no folder'), { code: 'TRACE_ERR_LOG_DIR' }); } });
      return 'no folder';
    },
  };
  for (const [name, arrange] of Object.entries(failures)) {
    test(`${name}: one line, and every method is safe`, async () => {
      const reason = arrange();
      const made = logger();
      made.instrumentAll();
      made.instrumentFetch();
      made.instrumentNodeHTTP();
      const stats = made.getStats();
      assert.equal(stats.totalPairs, 0);
      assert.equal(stats.logFile, '');
      assert.deepEqual(stats.zeroLatency, { enabled: false });
      assert.equal(stats.capture.mode, 'off');
      assert.equal(stats.capture.reason, reason);
      assert.equal(made.getZeroLatencyReport(), null);
      assert.equal(exchange(hooks.ports.undici), null);
      assert.equal(await made.cleanup(), undefined);
      assert.deepEqual(lines, [`claude-trace: nothing is recorded: ${reason}\n`]);
    });
  }

  test('a second logger does not say it again, and a silent one not at all', () => {
    loadNative = () => { throw new Error('still no addon'); };
    logger({ logLevel: 'silent' }).getStats();
    assert.equal(lines.length, 0);
    logger().getStats();
    logger().getStats();
    assert.equal(lines.length, 1);
  });
});

describe('instrumentation', () => {
  test('of fetch and of node:http', () => {
    const made = logger();
    made.instrumentFetch();
    assert.deepEqual(hooks.log, ['+undici', '+fetch']);
    made.instrumentNodeHTTP();
    made.instrumentAll();
    assert.deepEqual(hooks.log, ['+undici', '+fetch', '+http', '+http2'], 'each hook once');
  });

  test('an exchange goes to the addon; what is not asked for does not', () => {
    const made = logger();
    made.instrumentAll();
    assert.equal(exchange(hooks.ports.undici), 1);
    assert.equal(exchange(hooks.ports.http, ['https://registry.npmjs.org', '/x', 'GET']), null);
    assert.deepEqual(calls('begin', 'chunk', 'mark'), [
      ['begin', 0, SOURCE.UNDICI, 'https://api.anthropic.com', 'POST /v1/messages HTTP/1.1\r\n', -1, 1, 1],
      ['mark', 0, 1, KIND.RESPONSE_HEAD, 'HTTP/1.1 200 OK\r\n', 2],
      ['chunk', 0, 1, KIND.RESPONSE_BODY, Buffer.from('x'), 3],
      ['mark', 0, 1, KIND.RESPONSE_END, '', 4],
    ]);
    assert.equal(made.getStats().totalPairs, 1);
  });

  test('of two loggers the first that matches records, and the second when that is gone', async () => {
    const first = logger({ logBaseName: 'first' });
    const second = logger({ logBaseName: 'second', hosts: ['a.example'] });
    first.instrumentAll();
    second.instrumentAll();
    exchange(hooks.ports.undici, ['https://a.example', '/', 'GET']);
    // The last thing that is asked for while the first is there, and the first one after it.
    exchange(hooks.ports.undici);
    assert.deepEqual([first.getStats().totalPairs, second.getStats().totalPairs], [1, 1]);
    await first.cleanup();
    assert.deepEqual(hooks.log, ['+undici', '+fetch', '+http', '+http2'], 'the hooks stay for the second');
    exchange(hooks.ports.undici);
    assert.equal(second.getStats().totalPairs, 2);
    await second.cleanup();
    assert.deepEqual(hooks.log.slice(4), ['-undici', '-fetch', '-http', '-http2']);
  });

  test('a logger of fetch alone leaves node:http to another', () => {
    const fetches = logger();
    const requests = logger();
    fetches.instrumentFetch();
    requests.instrumentNodeHTTP();
    exchange(hooks.ports.http);
    assert.deepEqual([fetches.getStats().totalPairs, requests.getStats().totalPairs], [0, 1]);
  });

  test('the fetch hook reaches the hooks below it', () => {
    logger().instrumentAll();
    const onWire = () => {};
    hooks.ports.fetch.onWire = onWire;
    assert.equal(hooks.ports.http.onWire, onWire);
    hooks.ports.fetch.onWire = null;
    assert.equal(hooks.ports.undici.onWire, null);
  });

  test('faults of hooks are counted, and told once at debug level', () => {
    const made = logger({ logLevel: 'debug', enableRealTimeHTML: false });
    made.instrumentAll();
    lines = [];
    const before = made.getStats().capture.hookFaults;
    hooks.ports.http.fault('http', new Error('tap broke'));
    hooks.ports.http.fault('http', null);
    hooks.ports.http.fault('http2', Object.create(null));
    assert.equal(made.getStats().capture.hookFaults - before, 3);
    assert.equal(lines.length, 2);
    assert.match(lines[0], /^claude-trace: the http hook failed: Error: tap broke /);
  });

  test('at debug level the log, the hooks and the missing HTML are named', () => {
    logger({ logLevel: 'debug', logDirectory: '/logs', logBaseName: 'x' }).instrumentFetch();
    assert.deepEqual(lines, [
      'claude-trace: recording undici, fetch in zero-latency mode to /logs/x.jsonl\n',
      'claude-trace: enableRealTimeHTML has no effect yet: HTML comes with a later version\n',
    ]);
  });
});

describe('hooks that cannot be installed', () => {
  test('taken by another recorder: one line; broken: counted', async () => {
    const taken = installFakeHooks({ http: () => false, fetch: () => false, http2: () => { throw new Error('no'); } });
    try {
      const made = logger();
      const before = made.getStats().capture.hookFaults;
      made.instrumentAll();
      assert.deepEqual(taken.log, ['+undici', '+fetch', '+http', '+http2']);
      assert.deepEqual(lines, ['claude-trace: another recorder is in place at fetch, http: what passes there may be in its log alone\n']);
      assert.equal(made.getStats().capture.hookFaults - before, 1);
      await made.cleanup();
      assert.deepEqual(taken.log.slice(4), ['-undici']);
    } finally {
      Object.assign(hooks, installFakeHooks());
    }
  });
});

describe('cleanup', () => {
  test('closes the chain within the deadline, works at once, returns a promise, and only once', async () => {
    const made = logger({ exitDrainMs: 123 });
    made.instrumentAll();
    const { ports } = hooks;
    const recorder = ports.undici.match(...URL);
    const id = recorder.begin(SOURCE.UNDICI, URL[0], '', 0);
    const promise = made.cleanup();
    assert.deepEqual(calls('close'), [['close', 0, false, 123]]);
    assert.deepEqual(ports, {}, 'the hooks are gone');
    assert.ok(promise instanceof Promise);
    assert.equal(await promise, undefined);
    await made.cleanup();
    made.instrumentAll();
    assert.equal(calls('close').length, 1);
    assert.deepEqual(ports, {});

    const told = fake.calls.length;
    recorder.chunk(id, KIND.RESPONSE_BODY, Buffer.from('late'), 0);
    recorder.mark(id, KIND.RESPONSE_END, '', 0);
    assert.equal(recorder.begin(SOURCE.UNDICI, URL[0], '', 0), 0);
    assert.equal(fake.calls.length, told, 'a hook that still holds the recorder reaches nothing');
    assert.equal(made.getStats().totalPairs, 1, 'the orphan is in the last numbers');
    assert.equal(made.getStats().pendingRequests, 0);
  });

  test('before anything was recorded: the numbers can still be asked for', async () => {
    const made = logger({ logDirectory: '/logs', logBaseName: 'x' });
    made.instrumentAll();
    await made.cleanup();
    assert.deepEqual(fake.calls, []);
    assert.deepEqual([made.getStats().totalPairs, made.getStats().logFile, made.getStats().capture.mode], [0, '/logs/x.jsonl', 'zero-latency']);
    assert.equal(calls('close').length, 1);
  });

  test('says when the log is not complete in time', async () => {
    fake = createFakeNative({ close: () => false });
    const made = logger({ exitDrainMs: 0 });
    made.getStats();
    await made.cleanup();
    assert.deepEqual(lines, ['claude-trace: the log was not complete after 0 ms: the next start completes it from the spool\n']);
  });

  test('does not throw when the addon does', async () => {
    fake = createFakeNative({ close: () => { throw new Error('a caught panic'); } });
    const made = logger();
    made.instrumentAll();
    made.getStats();
    await made.cleanup();
    assert.deepEqual(lines, ['claude-trace: the log could not be completed: a caught panic\n']);
    assert.deepEqual(hooks.ports, {});
  });

  test('the exit of the process does the same, by one listener for all loggers, gone with the last', async () => {
    const before = process.listenerCount('exit');
    const first = logger();
    const second = logger();
    first.instrumentAll();
    second.instrumentFetch();
    for (const made of [first, second]) made.getStats();
    assert.equal(process.listenerCount('exit'), before + 1);
    const ours = process.listeners('exit').at(-1);
    Reflect.apply(/** @type {any} */ (ours), process, [0]);
    assert.deepEqual(calls('close').map(([, handle, atExit]) => [handle, atExit]), [[0, true], [1, true]]);
    assert.equal(process.listenerCount('exit'), before);
  });

  test('no signal handlers', () => {
    const names = ['SIGINT', 'SIGTERM', 'SIGHUP', 'uncaughtException', 'unhandledRejection', 'beforeExit'];
    const counts = () => names.map((name) => process.listenerCount(name));
    const before = counts();
    logger().instrumentAll();
    assert.deepEqual(counts(), before);
  });
});

describe('statistics', () => {
  const numbers = {
    totalPairs: 12, pendingRequests: 3,
    latency: { count: 15, mean: 0.0234, min: 0.015, max: 0.0891, p50: 0.02, p95: 0.04, p99: 0.0889, withinTarget: 0.998 },
    chunkLatency: { count: 900, mean: 0.0004, min: 0.0001, p50: 0.00035, p95: 0.0006, p99: 0.0009, max: 0.01, withinTarget: 1 },
    queueSize: 2, isProcessing: true, tasksProcessed: 10, workers: 2, bufferedLines: 15, bufferUtilization: 0.15, memoryBytes: 47395635,
    spoolBytes: 4096, spoolSegments: 2, poolReused: 5, poolMapped: 6, flushes: 7, flushesPerSecond: 0.5, bytesWritten: 12345,
    drops: 1, spills: 2, retries: 3, failed: 4, deadLetters: 8, abandoned: 5, recovered: 6, damaged: 7, lastMeasurement: 1640995200000,
    sse: { streams: 1, events: 2, bytes: 3, cutLines: 4, cutEvents: 5, reconnects: 6, replayedEvents: 7 },
  };

  test('are the addon\'s numbers under the names of claude-trace and of the seeds', () => {
    Object.assign(fake.stats, numbers);
    assert.deepEqual(logger({ logDirectory: '/logs', logBaseName: 'x' }).getStats(), {
      totalPairs: 12, pendingRequests: 3, logFile: '/logs/x.jsonl', htmlFile: '/logs/x.html',
      zeroLatency: {
        enabled: true,
        performance: {
          interceptorLatency: 0.0234, min: 0.015, max: 0.0891, p50: 0.02, p95: 0.04, p99: 0.0889, withinTarget: 0.998,
          chunk: numbers.chunkLatency, totalRequests: 15, backgroundQueueSize: 2, memoryUsage: 47395635 / 1048576,
          lastMeasurement: 1640995200000,
        },
        processor: { queueSize: 2, isProcessing: true, totalTasksProcessed: 10, workers: 2 },
        meetsTarget: true, queueSize: 2, bufferUtilization: 0.15, pool: { reused: 5, mapped: 6 },
        writer: { bufferedLines: 15, flushes: 7, flushesPerSecond: 0.5, bytesWritten: 12345, retries: 3 },
        spool: { bytes: 4096, segments: 2, drops: 1, spills: 2 },
      },
      capture: {
        mode: 'zero-latency', reason: null, latency: numbers.latency, chunkLatency: numbers.chunkLatency,
        drops: 1, spills: 2, retries: 3, failed: 4, deadLetters: 8, abandoned: 5, recovered: 6, damaged: 7, hookFaults: existingHub()?.faults ?? 0,
      },
      sse: numbers.sse,
      interceptors: fake.native.interceptorStats(1),
    });
  });

  test('the report: the nine lines of the seeds, then ours', () => {
    Object.assign(fake.stats, numbers);
    const made = logger();
    assert.deepEqual(made.getZeroLatencyReport()?.split('\n'), [
      'Performance Report:',
      '- Average Latency: 0.023ms',
      '- Min Latency: 0.015ms',
      '- Max Latency: 0.089ms',
      '- Zero-Latency Target Met: ✓',
      '- Total Requests: 15',
      '- Queue Size: 2',
      '- Memory Usage: 45.20MB',
      '- Measurements: 15',
      '- P50 Latency: 0.020ms',
      '- P95 Latency: 0.040ms',
      '- P99 Latency: 0.089ms',
      '- Within Target: 99.8%',
      '- Chunks: 900',
      '- P50 Chunk Latency: 0.350µs',
      '- P99 Chunk Latency: 0.900µs',
    ]);
    fake.stats.latency = { ...numbers.latency, p95: 0.1 };
    assert.match(made.getZeroLatencyReport() ?? '', /^- Zero-Latency Target Met: ✗$/m);
    assert.equal(made.getStats().zeroLatency.meetsTarget, false, 'by the 95th percentile, not by the mean');
  });

  test('in standard mode the same capture is measured, and the seeds\' object says that it is off', () => {
    Object.assign(fake.stats, numbers);
    const made = logger({ zeroLatency: false });
    assert.deepEqual(made.getStats().zeroLatency, { enabled: false });
    assert.equal(made.getZeroLatencyReport(), null);
    assert.equal(made.getStats().capture.mode, 'standard');
    assert.equal(made.getStats().capture.reason, null);
    assert.deepEqual(made.getStats().capture.latency, numbers.latency);
  });

  test('a fallback to standard mode says why', () => {
    fake.stats.fallback = 'no room in /dev/shm';
    const made = logger();
    assert.deepEqual(made.getStats().zeroLatency, { enabled: false });
    assert.deepEqual([made.getStats().capture.mode, made.getStats().capture.reason], ['standard', 'no room in /dev/shm']);
  });
});

describe('initializeInterceptor', () => {
  test('makes one logger; a second call warns and returns it; after its cleanup there is a new one', async () => {
    const before = getLogger();
    const first = initializeInterceptor({ logBaseName: 'first' });
    assert.notEqual(first, before);
    assert.deepEqual(hooks.log, ['+undici', '+fetch', '+http', '+http2']);
    assert.equal(getLogger(), first);
    assert.deepEqual(lines, []);
    assert.equal(initializeInterceptor({ logBaseName: 'second' }), first);
    assert.deepEqual(lines, ['claude-trace: initializeInterceptor() was called again: the first logger goes on, the new config is ignored\n']);
    await first.cleanup();
    assert.equal(getLogger(), first, 'its numbers can still be read');
    const next = initializeInterceptor();
    loggers.push(next);
    assert.notEqual(next, first);
    assert.equal(getLogger(), next);
  });

  test('a bad option throws and leaves nothing behind', () => {
    const before = getLogger();
    assert.throws(() => initializeInterceptor(/** @type {any} */ ({ nope: 1 })), { code: 'TRACE_ERR_CONFIG' });
    assert.equal(getLogger(), before);
    assert.deepEqual(hooks.log, []);
  });

  test('a second copy of the package joins the first: it returns its logger and its own loggers yield', async () => {
    const first = initializeInterceptor();
    loggers.push(first);
    const copy = loadCopy();
    assert.notEqual(copy.ClaudeTrafficLogger, ClaudeTrafficLogger);
    assert.equal(copy.getLogger(), first);
    assert.equal(copy.initializeInterceptor(), first);
    const second = new copy.ClaudeTrafficLogger();
    loggers.push(second);
    second.instrumentAll();
    assert.deepEqual(hooks.log, ['+undici', '+fetch', '+http', '+http2'], 'each hook once in the process');
    exchange(hooks.ports.undici);
    assert.deepEqual([first.getStats().totalPairs, second.getStats().totalPairs], [1, 0]);
    assert.deepEqual(Object.keys(globalThis).filter((key) => key.includes('claude')), []);
  });
});

/** The package again, as another installation would load it; the fakes stay. */
function loadCopy() {
  const root = path.join(__dirname, '..');
  const ours = (file) => file === path.join(root, 'index.js') || (file.startsWith(path.join(root, 'lib') + path.sep) && !file.includes(`${path.sep}hooks${path.sep}`) && !file.endsWith('native.js'));
  const kept = new Map();
  for (const [file, module] of Object.entries(require.cache)) {
    if (!ours(file)) continue;
    kept.set(file, module);
    delete require.cache[file];
  }
  try {
    return require('../index.js');
  } finally {
    for (const file of Object.keys(require.cache)) if (ours(file)) delete require.cache[file];
    for (const [file, module] of kept) require.cache[file] = module;
  }
}
