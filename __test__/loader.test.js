'use strict';

// The loader in processes of its own, with a fake addon: what it asks of the addon, and that the host does not notice.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, beforeEach, describe, test } = require('node:test');

const ROOT = path.join(__dirname, '..');
const LOADER = path.join(ROOT, 'interceptor-loader.js');
const FAKE = path.join(__dirname, 'support', 'fake-native.js');

/** @type {string} */
let folder;
/** @type {string} */
let journal;
before(() => (folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-loader-')))));
beforeEach(() => {
  journal = path.join(folder, 'journal');
  fs.rmSync(journal, { force: true });
});
after(() => fs.rmSync(folder, { recursive: true, force: true }));

/**
 * Runs a program to its end.
 * @param {string} program its source
 * @param {{ fake?: string, env?: Record<string, string>, args?: string[] }} [options]
 */
function run(program, { fake = 'ok', env = {}, args = ['--require', FAKE, '--require', LOADER] } = {}) {
  const script = path.join(folder, 'app.cjs');
  fs.writeFileSync(script, program);
  const child = spawnSync(process.execPath, [...args, script], {
    cwd: folder,
    env: { PATH: process.env.PATH, FAKE_NATIVE: fake, FAKE_NATIVE_JOURNAL: journal, ...env },
    encoding: 'utf8',
    timeout: 30_000,
    killSignal: 'SIGKILL',
  });
  const { status, signal, stdout, stderr } = child;
  return { status, signal, stdout, stderr, calls: readJournal() };
}

/** @returns {{ pid: number, thread: number, name: string, args: any[] }[]} */
function readJournal() {
  if (!fs.existsSync(journal)) return [];
  const lines = fs.readFileSync(journal, 'utf8').trim().split('\n');
  return lines.map((line) => JSON.parse(line)).map(([pid, thread, name, ...args]) => ({ pid, thread, name, args }));
}

const opens = (calls) => calls.filter(({ name }) => name === 'open');
const closes = (calls) => calls.filter(({ name }) => name === 'close');

/** Asks for the numbers, as the first exchange does: the addon is loaded then. */
const NUMBERS = `globalThis[Symbol.for('claude-trace-native.hub.1')]?.singleton.logger.getStats();`;

/** One request to a server of its own, which is made the base URL. */
const EXCHANGE = `
  const server = require('node:http').createServer((request, response) => response.end('answer'));
  server.listen(0, '127.0.0.1', async () => {
    process.env.ANTHROPIC_BASE_URL = 'http://127.0.0.1:' + server.address().port;
    const response = await fetch(process.env.ANTHROPIC_BASE_URL + '/v1/messages', { method: 'POST', body: 'question' });
    console.log(response.status, await response.text());
    server.close();
    server.closeAllConnections();
  });
`;

describe('a program that ends', () => {
  const ends = [
    ['by running out of work', '', 0],
    ['by process.exit', 'process.exit(7)', 7],
    ['by process.exitCode', 'process.exitCode = 9', 9],
    ['by an uncaught exception', 'throw new Error("host")', 1],
    ['by an unhandled rejection', 'Promise.reject(new Error("host"))', 1],
  ];
  for (const [how, program, status] of ends) {
    test(`${how}: the log is closed, the end is its own`, () => {
      const bare = run(NUMBERS + program, { args: [] });
      const traced = run(NUMBERS + program);
      assert.equal(traced.status, status);
      assert.equal(traced.stdout, bare.stdout);
      assert.equal(traced.stderr, bare.stderr);
      assert.equal(opens(traced.calls).length, 1);
      assert.deepEqual(closes(traced.calls).map(({ args }) => args), [[0, true, 2000]]);
    });
  }

  test('by a signal without listeners: it still dies of it', () => {
    const { status, signal, stderr } = run('process.kill(process.pid, "SIGTERM"); setInterval(() => {}, 1000)');
    assert.deepEqual([status, signal, stderr], [null, 'SIGTERM', '']);
  });
});

test('a program that talks to no LLM does not load the addon', () => {
  const program = `fetch('http://127.0.0.1:1/').catch(() => require('node:http').get('http://127.0.0.1:1/').on('error', () => console.log('refused')))`;
  for (const source of ['', program]) {
    const { status, stderr, calls } = run(source, { fake: 'absent' });
    assert.deepEqual([status, stderr, calls], [0, '', []]);
  }
});

test('an exchange is recorded, and the program prints what it prints', () => {
  const { status, stdout, stderr, calls } = run(EXCHANGE);
  assert.deepEqual([status, stdout, stderr], [0, '200 answer\n', '']);
  const begins = calls.filter(({ name }) => name === 'begin');
  assert.equal(begins.length, 1);
  assert.match(begins[0].args[3], /^POST \/v1\/messages HTTP\/1\.1\r\n/);
});

test('is configured by the environment', () => {
  const { calls, stderr } = run(NUMBERS, {
    env: {
      CLAUDE_TRACE_ZERO_LATENCY: 'false', CLAUDE_TRACE_LOG_NAME: 'named', CLAUDE_TRACE_LOG_DIR: 'logs',
      CLAUDE_TRACE_ZERO_LATENCY_BUFFER_SIZE: '5', CLAUDE_TRACE_EXIT_DRAIN_MS: '10', CLAUDE_TRACE_OPEN_BROWSER: 'false',
    },
  });
  assert.equal(stderr, '');
  const [options] = opens(calls)[0].args;
  assert.equal(options.zeroLatency, false);
  assert.equal(options.logBaseName, 'named');
  assert.equal(options.logDirectory, path.join(folder, 'logs'));
  assert.equal(options.writeBufferSize, 5);
  assert.equal(closes(calls)[0].args[2], 10);
});

test('does nothing to the loop, the globals or the streams of the host', () => {
  const program = `
    const names = Object.getOwnPropertyNames(globalThis).sort();
    console.log(JSON.stringify([names, process.getActiveResourcesInfo(), process.eventNames(), process.env]));
  `;
  const parse = ({ stdout }) => {
    const [names, active, events, env] = JSON.parse(stdout);
    return { names, active, events: events.filter((name) => name !== 'exit'), env };
  };
  assert.deepEqual(parse(run(program)), parse(run(program, { args: ['--require', FAKE] })));
});

describe('each thing that goes wrong is one line on stderr', () => {
  const cases = [
    ['the addon is missing', { fake: 'absent' }, /^claude-trace: nothing is recorded: there is no addon for this platform: run "npm rebuild claude-trace-native"\n$/],
    ['the log cannot be opened', { fake: 'closed' }, /^claude-trace: nothing is recorded: the log folder cannot be written\n$/],
    ['the addon is missing, at level silent', { fake: 'absent', env: { CLAUDE_TRACE_LOG_LEVEL: 'silent' } }, /^$/],
    ['variables are wrong', { env: { CLAUDE_TRACE_ZERO_LATENCY: 'x', CLAUDE_TRACE_LOG_NAME: '../x' } }, /^claude-trace: CLAUDE_TRACE_LOG_NAME=[^\n]*; CLAUDE_TRACE_ZERO_LATENCY=[^\n]*\n$/],
    ['variables are wrong and the addon is missing', { fake: 'absent', env: { CLAUDE_TRACE_ZERO_LATENCY: 'x' } }, /^claude-trace: CLAUDE_TRACE_ZERO_LATENCY=[^\n]*\nclaude-trace: nothing is recorded: [^\n]*\n$/],
    ['the addon panics in every call', { fake: 'broken' }, /^claude-trace: [^\n]*\n$/],
  ];
  for (const [name, options, stderr] of cases) {
    test(name, () => {
      const run1 = run(EXCHANGE, options);
      assert.equal(run1.status, 0, run1.stderr);
      assert.equal(run1.stdout, '200 answer\n');
      assert.match(run1.stderr, stderr);
    });
  }

  test('also when worker threads meet the same fault', () => {
    const program = `
      const { Worker, isMainThread } = require('node:worker_threads');
      ${NUMBERS}
      if (isMainThread) for (let i = 0; i < 3; i++) new Worker(__filename);
      else console.log('worker');
    `;
    const { status, stdout, stderr } = run(program, { fake: 'absent' });
    assert.deepEqual([status, stdout], [0, 'worker\n'.repeat(3)]);
    assert.match(stderr, /^claude-trace: nothing is recorded: [^\n]*\n$/);
  });

  test('also when our own code is broken', () => {
    const broken = path.join(folder, 'broken.cjs');
    fs.writeFileSync(broken, `
      const file = ${JSON.stringify(path.join(ROOT, 'lib', 'config.js'))};
      require.cache[file] = { id: file, filename: file, loaded: true, exports: {} };
    `);
    const { status, stdout, stderr } = run('console.log("host")', { args: ['--require', broken, '--require', FAKE, '--require', LOADER] });
    assert.deepEqual([status, stdout], [0, 'host\n']);
    assert.match(stderr, /^claude-trace: nothing is recorded: [^\n]*\n$/);
  });

  test('and when stderr is closed it is nothing', () => {
    const script = path.join(folder, 'app.cjs');
    fs.writeFileSync(script, 'require("node:fs").writeFileSync("ran", "")');
    const { status } = spawnSync('/bin/sh', ['-c', `exec "$0" --require "$1" --require "$2" "$3" 2>&-`, process.execPath, FAKE, LOADER, script], {
      cwd: folder,
      env: { PATH: process.env.PATH, FAKE_NATIVE: 'absent' },
    });
    assert.equal(status, 0);
    assert.ok(fs.existsSync(path.join(folder, 'ran')));
  });
});

describe('further threads, processes and copies', () => {
  test('a worker thread has a chain of its own, closed when it ends', () => {
    const program = `
      const { Worker, isMainThread } = require('node:worker_threads');
      if (isMainThread) new Worker(__filename).on('exit', (code) => console.log('worker', code));
      ${NUMBERS}
      if (!isMainThread) process.exit(3);
    `;
    const { status, stdout, stderr, calls } = run(program);
    assert.deepEqual([status, stdout, stderr], [0, 'worker 3\n', '']);
    const threads = (list) => list.map(({ thread }) => (thread === 0 ? 'main' : 'worker'));
    assert.deepEqual(threads(opens(calls)), ['main', 'worker']);
    assert.deepEqual(threads(closes(calls)), ['worker', 'main']);
  });

  test('a terminated worker does not disturb', () => {
    const program = `
      const { Worker, isMainThread } = require('node:worker_threads');
      if (isMainThread) {
        const worker = new Worker(__filename);
        worker.once('message', () => worker.terminate().then(() => console.log('terminated')));
      } else {
        require('node:worker_threads').parentPort.postMessage('up');
        setInterval(() => {}, 1000);
      }
    `;
    const { status, stdout, stderr } = run(program);
    assert.deepEqual([status, stdout, stderr], [0, 'terminated\n', '']);
  });

  test('child processes inherit it through NODE_OPTIONS', () => {
    const program = `
      ${NUMBERS}
      if (process.argv[2] === 'child') console.log('child');
      else process.stdout.write(require('node:child_process').execFileSync(process.execPath, [__filename, 'child']));
    `;
    const { status, stdout, stderr, calls } = run(program, { args: [], env: { NODE_OPTIONS: `--require ${FAKE} --require ${LOADER}` } });
    assert.deepEqual([status, stdout, stderr], [0, 'child\n', '']);
    assert.equal(new Set(opens(calls).map(({ pid }) => pid)).size, 2);
    assert.equal(closes(calls).length, 2);
  });

  test('named twice, in NODE_OPTIONS and on the command line, it records once', () => {
    const { stderr, calls } = run(NUMBERS, { env: { NODE_OPTIONS: `--require ${FAKE} --require ${LOADER}` } });
    assert.equal(stderr, '');
    assert.equal(opens(calls).length, 1);
  });

  test('a program that brings a copy of its own keeps to the first', () => {
    const copy = path.join(folder, 'copy');
    fs.mkdirSync(copy, { recursive: true });
    for (const name of ['package.json', 'index.js', 'interceptor-loader.js', 'lib']) fs.cpSync(path.join(ROOT, name), path.join(copy, name), { recursive: true });
    const program = `
      require('./copy/interceptor-loader.js');
      const { getLogger, initializeInterceptor } = require('./copy');
      const ours = require(${JSON.stringify(ROOT)});
      getLogger().getStats();
      console.log(getLogger() === ours.getLogger(), initializeInterceptor() === getLogger());
    `;
    const { status, stdout, stderr, calls } = run(program);
    assert.deepEqual([status, stdout], [0, 'true true\n']);
    assert.match(stderr, /^claude-trace: initializeInterceptor\(\) was called again: [^\n]*\n$/);
    assert.equal(opens(calls).length, 1);
    fs.rmSync(copy, { recursive: true });
  });
});

describe('the addon itself', () => {
  /** A copy of the package's JS, with what the test puts beside it. */
  const packageWith = (/** @type {Record<string, string>} */ files) => {
    const copy = fs.mkdtempSync(path.join(folder, 'package-'));
    for (const name of ['package.json', 'interceptor-loader.js', 'lib']) fs.cpSync(path.join(ROOT, name), path.join(copy, name), { recursive: true });
    for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(copy, name), text);
    return path.join(copy, 'interceptor-loader.js');
  };
  const platform = `${process.platform}-${process.arch}`;
  const file = `claude-trace-native.${platform}${process.platform === 'linux' ? '-gnu' : ''}.node`;
  const fix = 'run "npm rebuild claude-trace-native", or "npm run build" in a checkout';

  test('absent: the line says so when it is needed, and what to do', () => {
    const { status, stdout, stderr } = run(`console.log("host");${NUMBERS}`, { args: ['--require', packageWith({})] });
    assert.deepEqual([status, stdout], [0, 'host\n']);
    assert.equal(stderr, `claude-trace: nothing is recorded: there is no addon for ${platform}: ${fix}\n`);
  });

  test('unloadable: the line has the reason of the system', () => {
    const { status, stdout, stderr } = run(`console.log("host");${NUMBERS}`, { args: ['--require', packageWith({ [file]: 'not an addon' })] });
    assert.deepEqual([status, stdout], [0, 'host\n']);
    assert.match(stderr, /^claude-trace: nothing is recorded: the addon for [^\n]* cannot be loaded \([^\n]*claude-trace-native[^\n]*\n$/);
    assert.ok(stderr.endsWith(`${fix}\n`));
  });

  test('of another version: refused as a whole', () => {
    const { stderr } = run(NUMBERS, { args: ['--require', packageWith({ 'native.js': 'exports.open = exports.close = () => 0;' })] });
    const lacks = 'native.js is of another version: it lacks clockSync, prepare, begin, responseHead, chunk, mark, stats, drain, ' +
      'intercept, unintercept, take, awaitDelivery, watched, answer, endOpen, interceptorStats';
    assert.equal(stderr, `claude-trace: nothing is recorded: the addon for ${platform} cannot be loaded (${lacks}): ${fix}\n`);
  });

  test('found by the generated loader when it is not beside the package', () => {
    const { stderr, calls } = run(NUMBERS, { args: ['--require', packageWith({ 'native.js': `module.exports = require(${JSON.stringify(FAKE)}).createFakeNative().native;` })] });
    assert.equal(stderr, '');
    assert.deepEqual(calls, []);
  });

  test('disabled by node: the line names the flags', () => {
    const { status, stdout, stderr } = run(`console.log("host");${NUMBERS}`, { args: ['--no-addons', '--require', packageWith({ [file]: '' })] });
    assert.deepEqual([status, stdout], [0, 'host\n']);
    assert.equal(stderr, 'claude-trace: nothing is recorded: addons are disabled in this process: start node with --allow-addons, or without --no-addons\n');
  });
});

describe('with the real addon', { skip: !fs.readdirSync(ROOT).some((name) => name.endsWith('.node')) }, () => {
  for (const [mode, zeroLatency] of [['zero-latency', true], ['standard', false]]) {
    test(`in ${mode} mode an exchange stands in the log, and the numbers tell of it`, () => {
      const logs = fs.mkdtempSync(path.join(folder, 'logs-'));
      const program = EXCHANGE.replace('server.close();', `
        const logger = require(${JSON.stringify(ROOT)}).getLogger();
        await logger.cleanup();
        const { totalPairs, pendingRequests, logFile, capture } = logger.getStats();
        console.log(JSON.stringify({ totalPairs, pendingRequests, logFile, mode: capture.mode, measured: capture.latency.count, faults: capture.hookFaults }));
        server.close();`);
      const env = { CLAUDE_TRACE_ZERO_LATENCY: String(zeroLatency), CLAUDE_TRACE_LOG_DIR: logs, CLAUDE_TRACE_LOG_NAME: 'run', CLAUDE_TRACE_SPOOL_DIR: path.join(logs, 'spool'), CLAUDE_TRACE_RUNTIME_DIR: path.join(logs, 'runtime') };
      const { status, stdout, stderr } = run(program, { args: ['--require', LOADER], env });
      assert.deepEqual([status, stderr], [0, '']);
      const logFile = path.join(logs, 'run.jsonl');
      assert.deepEqual(JSON.parse(stdout.split('\n')[1]), { totalPairs: 1, pendingRequests: 0, logFile, mode, measured: 1, faults: 0 });
      const records = fs.readFileSync(logFile, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
      assert.equal(records.length, 1);
      const [{ request, response, zeroLatency: marked }] = records;
      assert.deepEqual([request.method, request.body, response.status_code, response.body_raw, marked === true], ['POST', 'question', 200, 'answer', zeroLatency]);
    });
  }
});

test('the package is loaded by require and by import, and changes nothing by that', () => {
  const names = "ClaudeTrafficLogger,getLogger,initializeInterceptor";
  const program = `
    (async () => {
      const required = require(${JSON.stringify(ROOT)});
      const imported = await import(${JSON.stringify(path.join(ROOT, 'index.js'))});
      const { ClaudeTrafficLogger } = imported;
      console.log(Object.keys(required).sort().join(), typeof ClaudeTrafficLogger, Object.getOwnPropertySymbols(globalThis).map(String).filter((name) => name.includes('claude')).join());
    })();
  `;
  const { stdout, calls } = run(program, { args: ['--require', FAKE] });
  assert.equal(stdout, `${names} function \n`);
  assert.deepEqual(calls, []);
});

test('start-up touches nothing that costs the host milliseconds', () => {
  const program = `
    const heavy = ['http', 'https', 'http2', 'tls', 'worker_threads'].filter((name) => process.moduleLoadList.includes('NativeModule ' + name));
    console.log(heavy.join(), process.moduleLoadList.filter((name) => /undici/.test(name)).join());
  `;
  assert.equal(run(program).stdout, run(program, { args: ['--require', FAKE] }).stdout);
});
