'use strict';

// A guest's manners: whatever is wrong with the surroundings, the host runs on, prints what it would print, and ends as it
// would end; and what can be recorded is.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { readLog } = require('./support/log');
const { freshFolder, loaderPath } = require('./support/run-client');
const { Standin } = require('./support/standin');

/** @type {import('./support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

/** One request; prints what the client sees of it. */
const ASK = `
  async function ask() {
    const url = process.env.STANDIN_URL + '/v1/messages';
    const body = JSON.stringify({ model: 'claude-standin', stream: true, max_tokens: 10, messages: [] });
    const response = await fetch(url, { method: 'POST', body });
    return response.status + ' ' + (await response.text()).length;
  }`;
const HOST = `${ASK} ask().then(console.log);`;

/**
 * @param {string} source
 * @param {{ cwd?: string, env?: Record<string, string>, traced?: boolean, args?: string[], loader?: string }} [options]
 */
function run(source, { cwd = freshFolder(), env = {}, traced = true, args = [], loader = loaderPath() } = {}) {
  const surroundings = { PATH: process.env.PATH, ...standin.env, CLAUDE_TRACE_RUNTIME_DIR: path.join(cwd, 'run'), ...env };
  const ours = traced ? ['--require', loader] : [];
  const child = spawnSync(process.execPath, [...ours, ...args, '--eval', source], { cwd, env: surroundings, encoding: 'utf8', timeout: 60_000 });
  return { cwd, code: child.status, signal: child.signal, stdout: child.stdout, stderr: child.stderr };
}

/** @param {ReturnType<typeof run>} traced @param {RegExp | ''} [stderr] */
function assertUndisturbed(traced, stderr = '') {
  const untraced = run(HOST, { traced: false });
  assert.deepEqual([traced.code, traced.signal, traced.stdout], [untraced.code, untraced.signal, untraced.stdout]);
  if (stderr === '') return assert.equal(traced.stderr, '');
  assert.match(traced.stderr, stderr);
  assert.equal(traced.stderr.split('\n').length, 2, `one line: ${traced.stderr}`);
}

test('an ordinary run prints nothing of ours', () => {
  const traced = run(HOST);
  assertUndisturbed(traced);
  assert.equal(readLog(traced.cwd).length, 1);
});

test('log files are 0600', () => {
  const { cwd } = run(HOST);
  const folder = path.join(cwd, '.claude-trace');
  const modes = fs.readdirSync(folder).map((name) => fs.statSync(path.join(folder, name)).mode & 0o777);
  assert.deepEqual(modes, [0o600]);
});

test('a program that talks to no LLM leaves nothing behind', () => {
  const { cwd, code } = run('');
  assert.equal(code, 0);
  assert.deepEqual(fs.readdirSync(cwd), []);
});

test('a log folder that cannot be made: one line, no waiting, nothing lost', () => {
  const cwd = freshFolder();
  fs.writeFileSync(path.join(cwd, '.claude-trace'), 'in the way');
  const env = { CLAUDE_TRACE_SPOOL_DIR: path.join(cwd, 'spool') };
  const started = Date.now();
  assertUndisturbed(run(HOST, { cwd, env }), /^claude-trace: cannot create .*\.claude-trace: /);
  assert.ok(Date.now() - started < 30_000);

  fs.rmSync(path.join(cwd, '.claude-trace'));
  run('', { cwd, env });
  assert.equal(readLog(cwd).length, 1, 'the next start brings it');
});

test('no spool folder can be made: standard mode takes over', () => {
  const cwd = freshFolder();
  fs.writeFileSync(path.join(cwd, 'file'), '');
  const traced = run(HOST, { cwd, env: { CLAUDE_TRACE_SPOOL_DIR: path.join(cwd, 'file', 'spool') } });
  assertUndisturbed(traced, /^claude-trace: no spool: .*; going on in standard mode\n$/);
  assert.equal(readLog(cwd).length, 1);
});

test('a folder on which the user has no rights', { skip: process.getuid?.() === 0 && !canDropRights() && 'root cannot be refused' }, () => {
  const cwd = freshFolder();
  const open = freshFolder();
  fs.chmodSync(open, 0o777);
  fs.chmodSync(path.dirname(open), 0o711);
  fs.chmodSync(cwd, 0o555);
  try {
    const source = process.getuid?.() === 0 ? `process.setgid(65534); process.setuid(65534);${HOST}` : HOST;
    // Where that user may read it: the addon is loaded by the first exchange.
    const loader = path.join(packageIn(open), 'interceptor-loader.js');
    const traced = run(source, { cwd, loader, env: { CLAUDE_TRACE_RUNTIME_DIR: path.join(open, 'run') } });
    assertUndisturbed(traced, /^claude-trace: cannot create /);
  } finally {
    fs.chmodSync(cwd, 0o755);
  }
});

function canDropRights() {
  return spawnSync(process.execPath, ['--eval', 'process.setuid(65534)']).status === 0;
}

for (const [what, spoil] of /** @type {[string, (folder: string) => void][]} */ ([
  ['missing', (folder) => removeAddons(folder)],
  ['not loadable', (folder) => removeAddons(folder).forEach((file) => fs.writeFileSync(file, 'not an addon'))],
])) {
  test(`an addon that is ${what}: one line, and the host is untraced`, () => {
    const copy = packageIn(freshFolder());
    spoil(copy);
    const traced = run(HOST, { loader: path.join(copy, 'interceptor-loader.js') });
    assertUndisturbed(traced, /^claude-trace: nothing is recorded: .*\n$/);
    assert.deepEqual(readLog(traced.cwd), []);
  });
}

/** @param {string} folder @returns {string} a copy of the package in it */
function packageIn(folder) {
  const copy = path.join(folder, 'package');
  const source = path.dirname(loaderPath());
  for (const name of ['package.json', 'index.js', 'native.js', 'interceptor-loader.js', 'lib']) {
    fs.cpSync(path.join(source, name), path.join(copy, name), { recursive: true });
  }
  for (const name of fs.readdirSync(source).filter((file) => file.endsWith('.node'))) {
    fs.copyFileSync(path.join(source, name), path.join(copy, name));
  }
  return copy;
}

/** @param {string} folder */
function removeAddons(folder) {
  const addons = fs.readdirSync(folder).filter((file) => file.endsWith('.node')).map((file) => path.join(folder, file));
  assert.notEqual(addons.length, 0);
  addons.forEach((file) => fs.rmSync(file));
  return addons;
}

test('worker threads share the log of their process', () => {
  const traced = run(`
    ${ASK}
    const { Worker } = require('node:worker_threads');
    const source = ${JSON.stringify(`${ASK} ask().then((seen) => require('node:worker_threads').parentPort.postMessage(seen));`)};
    const workers = Array.from({ length: 3 }, () => new Promise((done) => new Worker(source, { eval: true }).on('message', done)));
    Promise.all([ask(), ...workers]).then((all) => console.log(new Set(all).size));`);
  assert.deepEqual([traced.code, traced.stdout, traced.stderr], [0, '1\n', '']);
  const records = readLog(traced.cwd);
  assert.equal(records.length, 4);
  assert.equal(new Set(records.map(({ file }) => file)).size, 1);
  assert.equal(new Set(records.map(({ value }) => value.trace.id)).size, 4);
});

test('child processes that inherit NODE_OPTIONS write logs of their own', () => {
  const cwd = freshFolder();
  const source = `
    ${ASK}
    const { spawnSync } = require('node:child_process');
    const child = spawnSync(process.execPath, ['--eval', ${JSON.stringify(HOST)}], { encoding: 'utf8' });
    ask().then((seen) => console.log(seen === child.stdout.trim(), child.stderr));`;
  const traced = run(source, { cwd, traced: false, env: { NODE_OPTIONS: `--require ${JSON.stringify(loaderPath())}` } });
  assert.deepEqual([traced.code, traced.stdout, traced.stderr], [0, 'true \n', '']);
  const records = readLog(cwd);
  assert.equal(records.length, 2);
  assert.equal(new Set(records.map(({ file }) => file)).size, 2);
});

test('a forked child, which gets the loader with its arguments, writes a log of its own', () => {
  const cwd = freshFolder();
  fs.writeFileSync(path.join(cwd, 'child.js'), `${ASK} ask().then((seen) => process.send(seen));`);
  const source = `
    ${ASK}
    const child = require('node:child_process').fork('child.js', { execArgv: process.execArgv.slice(0, 2) });
    child.on('message', async (seen) => console.log(seen === (await ask())));`;
  const traced = run(source, { cwd });
  assert.deepEqual([traced.code, traced.stdout, traced.stderr], [0, 'true\n', '']);
  const records = readLog(cwd);
  assert.equal(records.length, 2);
  assert.equal(new Set(records.map(({ value }) => value.trace.pid)).size, 2);
});

test('processes that start in the same second, or with the same log name, do not touch each other', async () => {
  for (const env of [{}, { CLAUDE_TRACE_LOG_NAME: 'shared' }]) {
    const cwd = freshFolder();
    const surroundings = { PATH: process.env.PATH, ...standin.env, CLAUDE_TRACE_RUNTIME_DIR: path.join(cwd, 'run'), ...env };
    const children = Array.from({ length: 5 }, () =>
      spawn(process.execPath, ['--require', loaderPath(), '--eval', HOST], { cwd, env: surroundings, stdio: ['ignore', 'ignore', 'inherit'] }));
    for (const end of await Promise.all(children.map((child) => once(child, 'close')))) assert.deepEqual(end, [0, null]);
    const records = readLog(cwd);
    assert.equal(records.length, 5);
    const pids = Map.groupBy ? [...Map.groupBy(records, ({ file }) => file).values()] : [];
    for (const ofOneFile of pids) {
      // One after another may continue a name that was asked for; a default name is always a new file.
      if (env.CLAUDE_TRACE_LOG_NAME === undefined) assert.equal(new Set(ofOneFile.map(({ value }) => value.trace.pid)).size, 1);
    }
  }
});

test('an older log of the same name is continued, never truncated', () => {
  const cwd = freshFolder();
  for (const count of [1, 2, 3]) {
    run(HOST, { cwd, env: { CLAUDE_TRACE_LOG_NAME: 'again' } });
    const records = readLog(cwd);
    assert.equal(records.length, count);
    assert.equal(path.basename(records[0].file), 'again.jsonl');
  }
});

test('a process that changes its folder writes to the folder it started in', () => {
  const cwd = freshFolder();
  fs.mkdirSync(path.join(cwd, 'other'));
  run(`process.chdir('other');${HOST}`, { cwd });
  assert.equal(readLog(cwd).length, 1);
  assert.deepEqual(fs.readdirSync(path.join(cwd, 'other')), []);
});

test('a value in the environment that is not allowed is one warning, and the default', () => {
  const traced = run(HOST, { env: { CLAUDE_TRACE_ZERO_LATENCY_WORKERS: 'many' } });
  assertUndisturbed(traced, /CLAUDE_TRACE_ZERO_LATENCY_WORKERS.*many/);
  assert.equal(readLog(traced.cwd).length, 1);
});

test('the response is the very one the host would get', () => {
  const source = `
    (async () => {
      const response = await fetch(process.env.STANDIN_URL + '/v1/messages', { method: 'POST', body: '{"model":"m","messages":[]}' });
      console.log(response instanceof Response, response.constructor === Response, Reflect.ownKeys(response).map(String).join(),
        new URL(response.url).pathname, response.redirected, response.type, fetch.name, fetch.length, typeof fetch.prototype);
      await response.text();
    })();`;
  assert.equal(run(source).stdout, run(source, { traced: false }).stdout);
});
