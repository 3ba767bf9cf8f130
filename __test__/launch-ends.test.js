'use strict';

// The ends of a client and of its launcher, the signals that pass between them, and the terminal that they share.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { after, before, test } = require('node:test');
const { AGENT, COMMAND, Running, nativeAgent, runCommand, script, stepsOf, versionOf } = require('./support/command');
const { assertLogMatches, readLog } = require('./support/log');
const { Standin } = require('./support/standin');

/** @type {import('./support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

test('the exit code is the client’s, and so is the signal that ended it', async () => {
  for (const code of [0, 1, 2, 77, 255]) {
    const run = await runCommand(['run', '--', '/bin/sh', '-c', `exit ${code}`]);
    assert.deepEqual([run.code, run.signal], [code, null]);
  }
  for (const signal of /** @type {NodeJS.Signals[]} */ (['SIGTERM', 'SIGINT', 'SIGKILL', 'SIGHUP', 'SIGABRT', 'SIGPIPE'])) {
    const run = await runCommand(['run', '--', '/bin/sh', '-c', `kill -${signal.slice(3)} $$`]);
    assert.deepEqual([run.code, run.signal], [null, signal]);
    assert.match(run.stderr, /^claude-trace: nothing was recorded/, 'it has its last word');
  }
});

for (const signal of /** @type {NodeJS.Signals[]} */ (['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGWINCH', 'SIGCONT'])) {
  const name = signal.slice(3);
  test(`${signal} is passed on, once, and the client may do as it likes with it`, async () => {
    const text = `trap 'echo got ${name}' ${name}\ntrap 'exit 3' TERM\necho ready\nwhile :; do sleep 0.05 & wait $!; done\n`;
    const run = new Running(['run', '--', script('agent', `#!/bin/sh\n${name === 'TERM' ? text.replace("'exit 3'", "'echo got TERM; exit 3'") : text}`)]);
    await run.saying('ready');
    run.child.kill(signal);
    await run.saying(`got ${name}`);
    // That one ends it.
    if (signal !== 'SIGTERM') run.child.kill('SIGTERM');
    const { code, stdout } = await run.ended;
    assert.deepEqual([code, stdout], [3, `ready\ngot ${name}\n`]);
  });
}

test('what was ignored when the launcher was started is ignored by the client', async () => {
  const nohup = script('nohup', `#!/bin/sh\ntrap '' HUP\nexec ${COMMAND} "$@"\n`);
  const run = await runCommand(['run', '--', '/bin/sh', '-c', 'kill -HUP $PPID; kill -HUP $$; echo survived'], { program: nohup });
  assert.deepEqual([run.code, run.signal, run.stdout], [0, null, 'survived\n']);
});

for (const [what, client] of /** @type {const} */ ([
  ['the loader', [AGENT]],
  ['the proxy', [nativeAgent(), AGENT]],
])) {
  test(`a client that was killed is on record with ${what} when the launcher ends`, async () => {
    await standin.reset();
    const run = new Running(['run', '--log', 'mine', '--', ...client, 'pid+ask+stall'], { env: { ANTHROPIC_BASE_URL: standin.url } });
    await run.saying('stalled');
    process.kill(stepsOf(run.stdout).pid, 'SIGKILL');
    const { code, signal, stderr } = await run.ended;
    assert.deepEqual([code, signal], [null, 'SIGKILL']);
    assert.equal(stderr.split('\n').at(-2), `claude-trace: 2 exchanges recorded in ${fs.realpathSync(run.cwd)}/.claude-trace/mine.jsonl`);
    const records = readLog(run.cwd);
    const [, stalled] = assertLogMatches(await standin.account(), records);
    assert.ok(stalled.record.value.response.body_raw.startsWith(stepsOf(run.stdout).stalled), 'all that it had received');
  });
}

test('a launcher that was killed leaves what had passed to the next start', async () => {
  await standin.reset();
  const run = new Running(['run', '--', nativeAgent(), AGENT, 'stall'], { env: { ANTHROPIC_BASE_URL: standin.url } });
  await run.saying('stalled');
  run.child.kill('SIGKILL');
  await run.ended;
  const next = await runCommand(['run', '--', '/bin/sh', '-c', 'exit 4'], { cwd: run.cwd, home: run.home });
  assert.equal(next.code, 4);
  const [{ record }] = assertLogMatches(await standin.account(), readLog(run.cwd));
  assert.ok(record.value.trace.recovered);
  assert.ok(record.value.response.body_raw.startsWith(stepsOf(run.stdout).stalled));
});

const noTerminal = /util-linux/.test(versionOf('script') ?? '') ? false : 'there is no script(1) of util-linux to make a terminal';

/** Runs a shell's words in a terminal of their own. @param {string} words */
const inTerminal = (words) => new Running(['--quiet', '--return', '--command', words, '/dev/null'], { program: 'script', input: true, env: { SHELL: '/bin/sh' } });

const KEYS = { interrupt: '\x03', stop: '\x1a' };

test('the terminal is the client’s', { skip: noTerminal }, async () => {
  const run = inTerminal(`${COMMAND} run -- ${AGENT} around+fail`);
  const { code, stdout } = await run.ended;
  assert.deepEqual([stepsOf(stdout).terminal, code], [[true, true, true], 7]);
});

test('Ctrl-C reaches the client once, and ends nobody else', { skip: noTerminal }, async () => {
  const text = `#!/usr/bin/env node
let count = 0;
process.on('SIGINT', () => console.log('interrupted', ++count));
process.stdin.once('data', () => console.log('times:', count) ?? process.exit(5));
console.log('ready');\n`;
  for (const program of [script('agent', text), `${nativeAgent()} ${script('agent.js', text)}`]) {
    const run = inTerminal(`exec ${COMMAND} run -- ${program}`);
    await run.saying('ready');
    run.child.stdin?.write(KEYS.interrupt);
    await run.saying('interrupted 1');
    run.child.stdin?.write('\n');
    const { code, stdout } = await run.ended;
    assert.match(stdout, /times: 1\r\n.*claude-trace: nothing was recorded/s);
    assert.equal(code, 5);
  }
});

for (const [what, stop] of /** @type {const} */ ([
  ['Ctrl-Z', ''],
  ['a client that stops itself', "process.stdin.once('data', () => process.kill(process.pid, 'SIGSTOP'));"],
])) {
  test(`${what}: the shell has its terminal back, and can go on with both`, { skip: noTerminal }, async () => {
    const text = `process.on('SIGCONT', () => process.stdin.once('data', () => process.exit(6)) && console.log('continued'));\n${stop || 'process.stdin.resume()'}\nconsole.log('ready');\n`;
    const run = inTerminal(`set -m; ${COMMAND} run -- ${nativeAgent()} ${script('agent.js', text)}; echo "stopped: $?"; fg; echo "ended: $?"`);
    await run.saying('ready');
    run.child.stdin?.write(stop === '' ? KEYS.stop : '\n');
    // 128 and SIGSTOP or SIGTSTP.
    await run.saying('stopped: 14');
    await run.saying('continued');
    run.child.stdin?.write('\n');
    const { stdout } = await run.ended;
    assert.match(stdout, /stopped: 14[78]\r\n.*ended: 6\r\n/s);
  });
}
