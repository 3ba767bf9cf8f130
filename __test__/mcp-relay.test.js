'use strict';

// `claude-trace mcp` as a pair of pipes: any bytes, either end closed, signals, ends.

const assert = require('node:assert/strict');
const { randomBytes } = require('node:crypto');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const { chmodSync, readFileSync } = require('node:fs');
const { test } = require('node:test');
const { COMMAND, recordsOf, runCommand, Running, script } = require('./support/command');
const { freshFolder } = require('./support/run-client');

/** A shell as the server. @param {string} text @param {string[]} [args] */
const shell = (text, ...args) => ['mcp', '--name', 'sh', '--', '/bin/sh', '-c', text, 'sh', ...args];

/** A relay whose streams are bytes. @param {string[]} args */
function bytes(args) {
  const [cwd, home] = [freshFolder(), freshFolder()];
  const env = { PATH: process.env.PATH, HOME: home, CLAUDE_TRACE_SPOOL_DIR: `${home}/spool`, CLAUDE_TRACE_RUNTIME_DIR: `${home}/runtime` };
  const child = spawn(COMMAND, args, { cwd, env, stdio: ['pipe', 'pipe', 'ignore'] });
  /** @type {Buffer[]} */
  const received = [];
  child.stdout.on('data', (data) => received.push(data));
  return { child, cwd, home, received, closed: once(child, 'close') };
}

test('any bytes pass in any pieces, and the end of the input is the end of the output', async () => {
  const { child, cwd, home, received, closed } = bytes(['mcp', '--', 'cat']);
  const sent = Buffer.concat([randomBytes(3_000_000), Buffer.alloc(100_000, 'x'), Buffer.from('\n\n{"jsonrpc":"2.0"\xff')]);
  let at = 0;
  for (let size = 1; at < sent.length; size = (size * 7) % 200_003) {
    if (!child.stdin.write(sent.subarray(at, at + size))) await once(child.stdin, 'drain');
    at += size;
  }
  child.stdin.end();
  assert.deepEqual(await closed, [0, null]);
  const got = Buffer.concat(received);
  assert.ok(got.equals(sent), `${got.length} of ${sent.length} bytes`);
  // Both ways, all but the line feeds, and what is only white space between them.
  const records = await recordsOf({ cwd, home });
  const bytesOf = (/** @type {string} */ side) => records.filter(({ value }) => value.trace.jsonrpc.from === side).reduce((sum, { value }) => sum + value.trace.request_bytes, 0);
  const blank = (/** @type {Buffer} */ all) => all.toString('latin1').split('\n').filter((line) => /[^\t\n\f\r ]/.test(line)).reduce((sum, line) => sum + line.length, 0);
  assert.equal(bytesOf('client'), blank(sent));
  assert.equal(bytesOf('server'), blank(sent));
});

test('a piece passes before its line is whole', async () => {
  const relay = new Running(['mcp', '--', 'cat'], { input: true });
  for (const piece of ['{"json', 'rpc":', '"2.0"']) {
    relay.child.stdin?.write(piece);
    await relay.saying(piece);
  }
  relay.child.stdin?.end();
  assert.equal((await relay.ended).stdout, '{"jsonrpc":"2.0"');
});

for (const [name, text, expected] of /** @type {[string, string, [number | null, string | null]][]} */ ([
  ['an exit code', 'exit 7', [7, null]],
  ['a signal of its own', 'kill -9 $$', [null, 'SIGKILL']],
])) {
  test(`the server's end is the relay's: ${name}`, async () => {
    const { code, signal } = await runCommand(shell(text), { input: true });
    assert.deepEqual([code, signal], expected);
  });
}

for (const signal of /** @type {NodeJS.Signals[]} */ (['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR1'])) {
  test(`${signal} reaches the server, which may do as it likes with it`, async () => {
    const name = signal.slice(3);
    const relay = new Running(shell(`trap 'echo got ${name}; exit 3' ${name}; echo ready; while :; do sleep 0.05 & wait $!; done`), { input: true });
    await relay.saying('ready');
    relay.child.kill(signal);
    const { code, stdout } = await relay.ended;
    assert.deepEqual([code, stdout], [3, `ready\ngot ${name}\n`]);
  });
}

test('a server that closes its output while it lives has it closed for the client', async () => {
  const relay = new Running(shell('echo last; exec 1>&-; read line; exit $line'), { input: true });
  await once(/** @type {any} */ (relay.child.stdout), 'end');
  assert.equal(relay.child.exitCode, null);
  relay.child.stdin?.write('4\n');
  const { code, stdout } = await relay.ended;
  assert.deepEqual([code, stdout], [4, 'last\n']);
});

test('a server that closes its input has it closed for the client', async () => {
  const relay = new Running(shell('exec 0<&-; echo closed; trap "exit 6" TERM; while :; do sleep 0.05 & wait $!; done'), { input: true });
  await relay.saying('closed');
  const failed = once(/** @type {any} */ (relay.child.stdin), 'error');
  // One write finds it out; the next one, at the latest, is told.
  const timer = setInterval(() => relay.child.stdin?.write('x\n'), 5);
  const [error] = await failed;
  clearInterval(timer);
  assert.match(error.code, /EPIPE|ECONNRESET/);
  relay.child.kill('SIGTERM');
  assert.equal((await relay.ended).code, 6);
});

test('a client that closes its end of the output is the end of it for the server', async () => {
  const { child, closed } = bytes(shell('trap "" PIPE; while echo more; do :; done 2>/dev/null; exit 5'));
  await once(child.stdout, 'data');
  child.stdout.destroy();
  assert.deepEqual(await closed, [5, null]);
});

test('a relay that is killed takes the server with it', { skip: process.platform !== 'linux' }, async () => {
  // It would outlive the end of its input.
  const relay = new Running(shell('echo $$; while :; do sleep 0.05; done'), { input: true });
  await relay.saying('\n');
  const server = Number(relay.stdout);
  relay.child.kill('SIGKILL');
  assert.equal((await relay.ended).signal, 'SIGKILL');
  for (let tries = 0; isAlive(server); tries++) {
    assert.ok(tries < 1000, 'the server goes on');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
});

/** @param {number} pid */
function isAlive(pid) {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test('what the server leaves behind goes on speaking', async () => {
  const relay = new Running(shell('exec 3<&0; (read line <&3; echo "got $line") & exit 5'), { input: true });
  relay.child.stdin?.write('it\n');
  const { code, stdout } = await relay.ended;
  assert.deepEqual([code, stdout], [5, 'got it\n']);
});

test('the server has its arguments, its environment and its folder', async () => {
  const cwd = freshFolder();
  const { stdout, code } = await runCommand(shell('printf "%s|" "$PWD" "$OWN" "$@"', '--log', 'a b', '--'), { cwd, env: { OWN: 'variable' }, input: '' });
  assert.deepEqual([code, stdout], [0, `${cwd}|variable|--log|a b|--|`]);
});

test('what cannot be started says so', async () => {
  const missing = await runCommand(['mcp', '--', 'no-such-server']);
  assert.deepEqual([missing.code, missing.stderr], [127, 'claude-trace: no-such-server is not on the PATH\n']);
  const plain = script('plain', 'x');
  chmodSync(plain, 0o644);
  assert.equal((await runCommand(['mcp', '--', plain])).code, 126);
  const none = await runCommand(['mcp']);
  assert.equal(none.code, 2);
  assert.match(none.stderr, /^claude-trace: .*\n[^]*<SERVER>/);
});
