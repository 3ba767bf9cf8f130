'use strict';

// Real trouble with real file systems: one that fills up, one that turns read-only, a folder that is removed, a program that
// runs out of memory. The program does not notice, and everything is in the log when the trouble is over.

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

/**
 * A program that makes requests as it is told on stdin (a line: how many, and of how many bytes), answers `done` for each
 * line with what its client saw, and ends with its stdin.
 */
const TALKER = `
  const lines = require('node:readline').createInterface({ input: process.stdin });
  lines.on('line', async (line) => {
    const [count, bytes] = line.split(' ').map(Number);
    let good = 0;
    for (let n = 0; n < count; n++) {
      const body = JSON.stringify({ model: 'claude-standin', max_tokens: 10, messages: [{ role: 'user', content: 'x'.repeat(bytes) }] });
      const response = await fetch(process.env.STANDIN_URL + '/v1/messages', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      if (response.status === 200 && (await response.json()).type === 'message') good++;
    }
    console.log('done ' + good);
  });`;

/** @param {string} cwd */
function environment(cwd) {
  const folders = { CLAUDE_TRACE_SPOOL_DIR: path.join(cwd, 'spool'), CLAUDE_TRACE_RUNTIME_DIR: path.join(cwd, 'run') };
  return { PATH: process.env.PATH, ...standin.env, ...folders, CLAUDE_TRACE_LOG_DIR: path.join(cwd, 'disk', 'logs') };
}

class Talker {
  /** @param {string} cwd */
  constructor(cwd) {
    this.child = spawn(process.execPath, ['--require', loaderPath(), '--eval', TALKER], { cwd, env: environment(cwd), stdio: ['pipe', 'pipe', 'pipe'] });
    this.stderr = '';
    this.child.stderr.setEncoding('utf8').on('data', (text) => (this.stderr += text));
    this.lines = require('node:readline').createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  /** @param {number} count @param {number} bytes of each request */
  async talk(count, bytes) {
    this.child.stdin.write(`${count} ${bytes}\n`);
    const { value } = await this.lines.next();
    assert.equal(value, `done ${count}`, `the client got all its answers\n${this.stderr}`);
  }

  async end() {
    const closed = once(this.child, 'close');
    this.child.stdin.end();
    assert.deepEqual(await closed, [0, null]);
  }
}

/** @param {string} cwd */
const recorded = (cwd) => readLog(cwd, path.join('disk', 'logs'));

/** Waits for stderr to say something; every test has the runner's own limit. @param {Talker} talker @param {RegExp} what */
async function said(talker, what) {
  while (!what.test(talker.stderr)) await once(talker.child.stderr, 'data');
}

const canMount = process.platform === 'linux' && process.getuid?.() === 0 && (() => {
  const folder = freshFolder();
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', folder]).status === 0;
  if (mounted) spawnSync('umount', [folder]);
  return mounted;
})();
const needsMount = { skip: canMount ? false : 'needs the right to mount' };

/** @param {string} cwd @param {string} size @param {() => Promise<void>} run */
async function onSmallDisk(cwd, size, run) {
  const disk = path.join(cwd, 'disk');
  fs.mkdirSync(disk);
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', disk]).status, 0);
  try {
    await run();
  } finally {
    spawnSync('umount', ['--lazy', disk]);
  }
}

test('a disk that fills up', needsMount, async () => {
  const cwd = freshFolder();
  await onSmallDisk(cwd, '1m', async () => {
    const ballast = path.join(cwd, 'disk', 'ballast');
    const talker = new Talker(cwd);
    await talker.talk(1, 10);
    fs.writeFileSync(ballast, Buffer.alloc(900 * 1024));
    await talker.talk(20, 20_000);
    await said(talker, /No space left/);
    fs.rmSync(ballast);
    await talker.end();
    assert.match(talker.stderr, /^claude-trace: cannot write to .*No space left on device.*; what is recorded is kept and tried again\n(claude-trace: writing to .* again\n)?$/);
    assert.equal(recorded(cwd).length, 21);
  });
});

test('a disk that is full when the program ends: the next start brings the rest', needsMount, async () => {
  const cwd = freshFolder();
  await onSmallDisk(cwd, '1m', async () => {
    const ballast = path.join(cwd, 'disk', 'ballast');
    fs.writeFileSync(ballast, Buffer.alloc(950 * 1024));
    const talker = new Talker(cwd);
    await talker.talk(20, 20_000);
    await talker.end();
    assert.match(talker.stderr, /^claude-trace: .*No space left on device.*\n$/, 'one line');
    assert.ok(recorded(cwd).length < 20);
    fs.rmSync(ballast);
    const next = spawnSync(process.execPath, ['--require', loaderPath(), '--eval', ''], { cwd, env: environment(cwd), encoding: 'utf8' });
    assert.deepEqual([next.status, next.stderr], [0, '']);
    assert.equal(recorded(cwd).length, 20);
  });
});

test('a disk that turns read-only and back', needsMount, async () => {
  const cwd = freshFolder();
  await onSmallDisk(cwd, '4m', async () => {
    const disk = path.join(cwd, 'disk');
    const remount = (/** @type {string} */ how) => spawnSync('mount', ['-o', `remount,${how}`, disk]);
    const talker = new Talker(cwd);
    // A file that is open for writing keeps a file system from turning read-only: the log is opened after that.
    assert.equal(remount('ro').status, 0);
    await talker.talk(3, 10);
    await said(talker, /Read-only file system/);
    assert.equal(remount('rw').status, 0);
    await talker.talk(2, 10);
    await talker.end();
    assert.equal(recorded(cwd).length, 5);
  });
});

test('a log folder that is removed while the program runs', async () => {
  const cwd = freshFolder();
  const talker = new Talker(cwd);
  await talker.talk(1, 10);
  const logs = path.join(cwd, 'disk', 'logs');
  while (!fs.existsSync(logs) || recorded(cwd).length < 1) await talker.talk(1, 10);
  fs.rmSync(logs, { recursive: true });
  await talker.talk(3, 10);
  await talker.end();
  assert.equal(talker.stderr, '');
  assert.ok(recorded(cwd).length >= 3, 'what came after the removal is in a new log');
});

test('a program that runs out of heap', async () => {
  const cwd = freshFolder();
  const source = `
    (async () => {
      const response = await fetch(process.env.STANDIN_URL + '/v1/messages', { method: 'POST', headers: { 'x-standin': 'text+stall' }, body: '{"model":"m","stream":true,"messages":[]}' });
      const { value } = await response.body.getReader().read();
      console.log(value.length);
      const hoard = [];
      for (;;) hoard.push(new Array(10_000).fill(hoard.length));
    })();`;
  const run = () => ['--max-old-space-size=40', '--require', loaderPath(), '--eval', source];
  const died = spawnSync(process.execPath, run(), { cwd, env: environment(cwd), encoding: 'utf8' });
  assert.equal(died.signal, 'SIGABRT');
  const next = spawnSync(process.execPath, ['--require', loaderPath(), '--eval', ''], { cwd, env: environment(cwd) });
  assert.equal(next.status, 0);
  const records = recorded(cwd);
  assert.equal(records.length, 1);
  assert.equal(records[0].value.trace.recovered, true);
  assert.ok(Buffer.byteLength(records[0].value.response.body_raw) >= Number(died.stdout));
});
