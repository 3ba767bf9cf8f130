'use strict';

// However the process ends, what its client had received is on record, and the end is the one it would have had without us.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { readLog, responseBody } = require('./support/log');
const { freshFolder, loaderPath } = require('./support/run-client');
const { Standin } = require('./support/standin');

/** @type {import('./support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

const SCRIPT = path.join(__dirname, 'clients', 'ends.cjs');

/** @param {string} cwd @param {boolean} traced @param {Record<string, string>} [env] */
function environment(cwd, traced, env) {
  const ours = { CLAUDE_TRACE_SPOOL_DIR: path.join(cwd, 'spool'), CLAUDE_TRACE_RUNTIME_DIR: path.join(cwd, 'run') };
  return { PATH: process.env.PATH, ...standin.env, ...(traced && ours), ...env };
}

/**
 * Runs ends.cjs to its end, which `whenReady` may bring about.
 * @param {string} how
 * @param {{ traced?: boolean, cwd?: string, env?: Record<string, string>, whenReady?: (pid: number) => void }} [options]
 */
async function end(how, { traced = true, cwd = freshFolder(), env, whenReady } = {}) {
  const args = [...(traced ? ['--require', loaderPath()] : []), SCRIPT, how];
  const child = spawn(process.execPath, args, { cwd, env: environment(cwd, traced, env), stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), 60_000);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
    if (text.startsWith('ready')) whenReady?.(/** @type {number} */ (child.pid));
  });
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  const [code, signal] = await once(child, 'close');
  clearTimeout(timer);
  return { cwd, code, signal, stdout, stderr, received: Number(/ready (\d+)/.exec(stdout)?.[1]) };
}

/** A start in the same surroundings, which completes what an earlier process has left. @param {string} cwd */
async function nextStart(cwd) {
  const child = spawn(process.execPath, ['--require', loaderPath(), '--eval', ''], { cwd, env: environment(cwd, true), stdio: 'ignore' });
  assert.deepEqual(await once(child, 'close'), [0, null]);
}

/** @param {string} cwd */
const spoolOf = (cwd) => (fs.existsSync(path.join(cwd, 'spool')) ? fs.readdirSync(path.join(cwd, 'spool')) : []);

for (const [how, complete] of /** @type {[string, boolean][]} */ ([
  ['work', true],
  ['exit-at-once', true],
  ['exit', false],
  ['throw', false],
  ['handled', false],
])) {
  test(`the log is complete when the process is gone: ${how}`, async () => {
    const untraced = await end(how, { traced: false });
    const { cwd, code, signal, stdout, stderr, received } = await end(how);
    assert.deepEqual([code, signal, stdout], [untraced.code, untraced.signal, untraced.stdout]);
    assert.equal(stderr.replaceAll(/\(node:\d+\)|:\d+/g, ''), untraced.stderr.replaceAll(/\(node:\d+\)|:\d+/g, ''));
    const records = readLog(cwd);
    assert.equal(records.length, 1);
    const { value } = records[0];
    assert.equal(value.trace.partial ?? false, !complete);
    if (!complete) {
      assert.equal(responseBody(records[0]).length >= received, true, 'with all that the client had received');
      assert.match(value.note, /^PARTIAL_RESPONSE - /);
    }
    assert.deepEqual(spoolOf(cwd), [], 'nothing is left of the spool');
  });
}

for (const how of ['sigterm', 'abort', 'reallyExit']) {
  test(`what no exit handler sees is completed by the next start: ${how}`, async () => {
    const untraced = await end(how, { traced: false });
    const { cwd, code, signal, stderr, received } = await end(how);
    assert.deepEqual([code, signal], [untraced.code, untraced.signal], 'it ends as it would without us');
    if (how !== 'abort') assert.equal(stderr, untraced.stderr);
    await nextStart(cwd);
    // glibc still runs the destructors of a thread that calls exit(), so that after reallyExit there may be nothing to do.
    assertRecovered(cwd, received, how !== 'reallyExit');
  });
}

for (const signal of /** @type {NodeJS.Signals[]} */ (['SIGKILL', 'SIGINT', 'SIGHUP'])) {
  test(`what no exit handler sees is completed by the next start: ${signal} from outside`, async () => {
    const run = await end('wait', { whenReady: (pid) => process.kill(pid, signal) });
    assert.deepEqual([run.code, run.signal, run.stderr], [null, signal, '']);
    await nextStart(run.cwd);
    assertRecovered(run.cwd, run.received);
    await nextStart(run.cwd);
    assert.equal(readLog(run.cwd).length, 1, 'once is enough');
  });
}

test('the start that completes a log may be in another folder', async () => {
  const run = await end('wait', { whenReady: (pid) => process.kill(pid, 'SIGKILL') });
  const elsewhere = freshFolder();
  const env = { ...environment(elsewhere, true), CLAUDE_TRACE_SPOOL_DIR: '', CLAUDE_TRACE_RUNTIME_DIR: path.join(run.cwd, 'run') };
  const child = spawn(process.execPath, ['--require', loaderPath(), '--eval', ''], { cwd: elsewhere, env, stdio: 'ignore' });
  assert.deepEqual(await once(child, 'close'), [0, null]);
  assertRecovered(run.cwd, run.received);
});

test('a log that is not complete within exitDrainMs is completed by the next start', async () => {
  const { cwd, code, stderr } = await end('work', { env: { CLAUDE_TRACE_EXIT_DRAIN_MS: '0' } });
  assert.equal(code, 0);
  // Nothing was waited for: whether it was complete by then is up to the threads.
  assert.match(stderr, /^(claude-trace: the log was not complete after 0 ms: .*\n)?$/);
  await nextStart(cwd);
  assert.equal(readLog(cwd).length, 1);
  assert.deepEqual(spoolOf(cwd), []);
});

test('standard mode is completed by the next start as well', async () => {
  const run = await end('wait', { env: { CLAUDE_TRACE_ZERO_LATENCY: 'false' }, whenReady: (pid) => process.kill(pid, 'SIGKILL') });
  await nextStart(run.cwd);
  assertRecovered(run.cwd, run.received);
});

// As a kill in the middle of its making leaves it; the folder's name is that of a session that there really was.
for (const [what, unmake] of /** @type {[string, (unfinished: string) => void][]} */ ([
  ['has no record yet', (unfinished) => fs.rmSync(path.join(unfinished, 'session'))],
  ['has no name of its own yet', () => {}],
])) {
  test(`the next start takes away a session that ${what}`, async () => {
    const { cwd } = await end('wait', { whenReady: (pid) => process.kill(pid, 'SIGKILL') });
    const [session] = spoolOf(cwd);
    const unfinished = path.join(cwd, 'spool', `new-${session}`);
    fs.renameSync(path.join(cwd, 'spool', session), unfinished);
    for (const name of fs.readdirSync(unfinished)) if (name !== 'session') fs.rmSync(path.join(unfinished, name));
    unmake(unfinished);
    await nextStart(cwd);
    assert.deepEqual(spoolOf(cwd), []);
  });
}

test('a worker thread that is terminated in mid-stream leaves what it had received', async () => {
  const { cwd, code, stderr, received } = await end('worker');
  assert.deepEqual([code, stderr], [0, '']);
  const records = readLog(cwd);
  assert.equal(records.length, 1);
  assert.equal(responseBody(records[0]).length >= received, true);
  assert.equal(records[0].value.trace.partial, true);
});

test('a request without an answer is noted as upstream notes it', async () => {
  const cwd = freshFolder();
  const child = spawn(process.execPath, ['--require', loaderPath(), '--eval', HANGS], { cwd, env: environment(cwd, true), stdio: ['ignore', 'ignore', 'inherit'] });
  assert.deepEqual(await once(child, 'close'), [0, null]);
  const [{ value }] = readLog(cwd);
  assert.equal(value.response, null);
  assert.equal(value.note, 'ORPHANED_REQUEST - No matching response received');
  assert.deepEqual(Object.keys(value).slice(0, 4), ['request', 'response', 'note', 'logged_at']);
});

/** Exits when its own server has the request, which it never answers. */
const HANGS = `
  const server = require('node:http').createServer(() => process.exit(0)).listen(0, '127.0.0.1', () => {
    process.env.ANTHROPIC_BASE_URL = 'http://127.0.0.1:' + server.address().port;
    fetch(process.env.ANTHROPIC_BASE_URL + '/v1/messages', { method: 'POST', body: '{}' });
  });`;

/** @param {string} cwd @param {number} received @param {boolean} [byNextStart] */
function assertRecovered(cwd, received, byNextStart = true) {
  const records = readLog(cwd);
  assert.equal(records.length, 1, 'one record, once');
  const { value } = records[0];
  if (byNextStart) assert.equal(value.trace.recovered, true);
  assert.equal(value.trace.partial, true);
  assert.ok(received > 0);
  assert.equal(responseBody(records[0]).length >= received, true, 'with all that the client had received');
  assert.deepEqual(spoolOf(cwd), [], 'nothing is left of the spool');
}
