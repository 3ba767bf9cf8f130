'use strict';

// bin/claude-trace.js between a caller and a program: here a script in the program's place.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, test } = require('node:test');

const DOOR = path.join(__dirname, '../bin/claude-trace.js');
const root = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-bin-'));
after(() => fs.rmSync(root, { recursive: true, force: true }));

/** A package with the door in it and, at `place`, a program of that text. @param {string} place @param {string} text @param {number} [mode] */
function makePackage(place, text, mode = 0o755) {
  const folder = fs.mkdtempSync(path.join(root, 'package-'));
  fs.mkdirSync(path.join(folder, 'bin'));
  fs.copyFileSync(DOOR, path.join(folder, 'bin/claude-trace.js'));
  fs.mkdirSync(path.dirname(path.join(folder, place)), { recursive: true });
  fs.writeFileSync(path.join(folder, place), text, { mode });
  return folder;
}

/** @param {string} folder @param {string[]} [args] */
function start(folder, args = []) {
  const child = spawn(process.execPath, [path.join(folder, 'bin/claude-trace.js'), ...args], { stdio: 'pipe' });
  const said = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => (said.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (said.stderr += text));
  const ended = once(child, 'close').then(([code, signal]) => ({ code, signal, ...said }));
  return { child, said, ended };
}

/** @param {ReturnType<typeof start>} process_ @param {string} word */
async function saying({ child, said }, word) {
  while (!said.stdout.includes(word)) await once(child.stdout, 'data');
}

for (const place of ['claude-trace', 'bin/claude-trace', 'target/release/claude-trace']) {
  test(`finds ${place}, and passes arguments, input, output and the exit code on`, async () => {
    const run = start(makePackage(place, '#!/bin/sh\necho "args: $*"; cat; echo problem >&2; exit 7\n'), ['verify', 'a b', '--json']);
    run.child.stdin.end('from stdin\n');
    assert.deepEqual(await run.ended, { code: 7, signal: null, stdout: 'args: verify a b --json\nfrom stdin\n', stderr: 'problem\n' });
  });
}

test('without a program it says in one line what to do', async () => {
  const { code, stdout, stderr } = await start(makePackage('README', '')).ended;
  assert.deepEqual([code, stdout], [127, '']);
  assert.match(stderr, /^claude-trace: the program for \S+ is missing: run "npm rebuild claude-trace-native".*\n$/);
});

test('a program that cannot be started is told by name', async () => {
  const { code, stderr } = await start(makePackage('claude-trace', 'x', 0o644)).ended;
  assert.equal(code, 126);
  assert.match(stderr, /^claude-trace: \S+claude-trace cannot be started \(.*EACCES.*\).*\n$/);
});

for (const signal of /** @type {NodeJS.Signals[]} */ (['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'])) {
  const name = signal.slice(3);
  test(`${signal} reaches the program, which may do as it likes with it`, async () => {
    // The shell runs its trap when the foreground command has ended: `wait` lets it run at once.
    const run = start(makePackage('claude-trace', `#!/bin/sh\ntrap 'echo got ${name}; exit 3' ${name}\necho ready\nwhile :; do sleep 0.05 & wait $!; done\n`));
    await saying(run, 'ready');
    run.child.kill(signal);
    assert.deepEqual(await run.ended, { code: 3, signal: null, stdout: `ready\ngot ${name}\n`, stderr: '' });
  });
}

for (const signal of /** @type {NodeJS.Signals[]} */ (['SIGTERM', 'SIGKILL', 'SIGHUP'])) {
  test(`a program that ${signal} has ended looks so to the caller`, async () => {
    const run = start(makePackage('claude-trace', `#!/bin/sh\nkill -${signal.slice(3)} $$\n`));
    const { code, signal: seen } = await run.ended;
    assert.deepEqual([code, seen], [null, signal]);
  });
}
