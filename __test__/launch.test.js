'use strict';

// `claude-trace` in front of clients of all kinds: what they get of the command line and the environment, what they print, and
// what is on record.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { AGENT, COMMAND, PACKAGE, nativeAgent, runCommand, script, stepsOf } = require('./support/command');
const { freshFolder } = require('./support/run-client');
const { assertLogMatches, isPartial, readLog } = require('./support/log');
const { Standin } = require('./support/standin');

/** @type {import('./support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

const LOADER = path.join(PACKAGE, 'interceptor-loader.js');
const NODE = process.execPath;

/** The base URL that a client was told. @param {string} stdout */
const toldUrl = (stdout) => stepsOf(stdout).variables.ANTHROPIC_BASE_URL;

/** Holds what was recorded against what the stand-in saw, and returns it. @param {{ cwd: string, stderr: string }} run */
async function assertRecorded(run) {
  const matches = assertLogMatches(await standin.account(), readLog(run.cwd));
  assert.ok(matches.length > 0 && matches.every(({ record }) => !isPartial(record)));
  const what = matches.length === 1 ? '1 exchange' : `${matches.length} exchanges`;
  assert.ok(run.stderr.startsWith(`claude-trace: ${what} recorded in ${fs.realpathSync(run.cwd)}/.claude-trace/`), run.stderr);
  assert.equal(run.stderr.trim().split('\n').length, 1, run.stderr);
  return matches.map(({ record }) => record.value);
}

/** A folder with a client of that kind, and the words that start it. @type {[string, 'loader' | 'proxy', () => string[]][]} */
const KINDS = [
  ['a Node program', 'loader', () => [AGENT]],
  ['a program that Node was told to run', 'loader', () => [NODE, AGENT]],
  ['a shell wrapper of a Node program', 'loader', () => [script('agent', `#!/bin/sh\n# as installers write it\nexec "${AGENT}" "$@"\n`)]],
  ['a shell wrapper beside its program', 'loader', () => {
    const folder = freshFolder();
    fs.copyFileSync(AGENT, path.join(folder, 'agent.js'));
    return [script('agent', '#!/bin/sh\nbasedir=$(dirname "$0")\nexec node "$basedir/agent.js" "$@"\n', folder)];
  }],
  ['a native executable', 'proxy', () => [nativeAgent(), AGENT]],
  ['a shell wrapper of a native executable', 'proxy', () => [script('agent', `#!/bin/sh\nexec ${nativeAgent()} ${AGENT} "$@"\n`)]],
  ['a Node program that only starts a native one', 'proxy', () => {
    const text = `#!/usr/bin/env node\nconst { spawnSync } = require('child_process');\nprocess.exitCode = spawnSync('${nativeAgent()}', ['${AGENT}', ...process.argv.slice(2)], { stdio: 'inherit' }).status;\n`;
    return [script('agent', text)];
  }],
  ['a shell script that does more', 'proxy', () => [script('agent', `#!/bin/sh\n"${AGENT}" "$@"\n`)]],
];

for (const [what, capture, start] of KINDS) {
  test(`${what} is recorded by the ${capture}, and prints and returns what it does without us`, async () => {
    const [program, ...args] = start();
    const env = { ANTHROPIC_BASE_URL: standin.url };
    await standin.reset();
    const untraced = await runCommand([...args, 'ask+input+fail'], { program, env, input: 'from stdin' });
    await standin.account();
    await standin.reset();
    const traced = await runCommand(['run', '--', program, ...args, 'around+ask+input+fail'], { env, input: 'from stdin' });
    const { variables, arguments: seen, ...steps } = stepsOf(traced.stdout);
    assert.deepEqual([steps.ask, steps.input, traced.code], [stepsOf(untraced.stdout).ask, 'from stdin', 7]);
    assert.deepEqual([untraced.code, seen], [7, ['around+ask+input+fail']]);
    const [record] = await assertRecorded(traced);
    assert.equal(record.trace.via, capture === 'loader' ? 'undici' : 'proxy');
    if (capture === 'proxy') assert.match(variables.ANTHROPIC_BASE_URL, /^http:\/\/127\.0\.0\.1:\d+$/);
    else assert.equal(variables.NODE_OPTIONS, `--require=${LOADER}`);
  });
}

test('a capture of the caller’s choice', async () => {
  await standin.reset();
  const env = { ANTHROPIC_BASE_URL: standin.url };
  const proxied = await runCommand(['run', '--capture', 'proxy', '--', AGENT, 'around+ask'], { env });
  assert.notEqual(toldUrl(proxied.stdout), standin.url);
  assert.equal((await assertRecorded(proxied))[0].trace.via, 'proxy');
  await standin.reset();
  const loaded = await runCommand(['run', '--capture=node', '--', nativeAgent(), AGENT, 'around+ask'], { env });
  assert.equal(toldUrl(loaded.stdout), standin.url);
  assert.equal((await assertRecorded(loaded))[0].trace.via, 'undici');
});

test('NODE_OPTIONS of the user stay, and are added to', async () => {
  const mine = script('mine.cjs', "process.stdout.write('mine was loaded\\n');");
  const env = { NODE_OPTIONS: `--max-http-header-size=20000 --require ${mine}` };
  const { stdout } = await runCommand(['run', '--', AGENT, 'around'], { env });
  assert.match(stdout, /^mine was loaded\n/);
  assert.equal(stepsOf(stdout).variables.NODE_OPTIONS, `${env.NODE_OPTIONS} --require=${LOADER}`);
});

test('Claude Code is found by its path, on the PATH, and where its installers put it', async () => {
  const named = script('my-claude', `#!/bin/sh\necho "named: $*"\n`);
  assert.equal((await runCommand(['--claude-path', named, '-p', 'hi'])).stdout, 'named: -p hi\n');

  const folder = path.dirname(script('claude', `#!/bin/sh\necho "on the PATH: $*"\n`));
  // A wrapper of that name that calls us is not it: we would call each other for ever.
  const ours = path.dirname(script('claude', `#!/bin/sh\nexec claude-trace "$@"\n`));
  const found = await runCommand(['-p'], { env: { PATH: `${ours}:${folder}:${process.env.PATH}` } });
  assert.equal(found.stdout, 'on the PATH: -p\n');

  const home = freshFolder();
  script('claude', `#!/bin/sh\necho "at home: $*"\n`, path.join(home, '.claude/local'));
  assert.equal((await runCommand(['-c'], { home, env: { PATH: '/usr/bin:/bin' } })).stdout, 'at home: -c\n');
});

test('a client that is not there, or cannot be executed, is told as a shell does', async () => {
  for (const [args, code, words] of /** @type {const} */ ([
    [['--claude-path', '/no/such/claude'], 127, /there is no program \/no\/such\/claude/],
    [['--claude-path', __filename], 126, /launch\.test\.js is not executable/],
    [['run', '--', 'no-such-program-of-ours'], 127, /no-such-program-of-ours is not on the PATH/],
    [['-p', 'hi'], 127, /Claude Code is not on the PATH: name it with --claude-path/],
  ])) {
    const run = await runCommand([...args], { env: { PATH: '/usr/bin:/bin' } });
    assert.deepEqual([run.code, run.stdout], [code, ''], args.join(' '));
    assert.match(run.stderr, words);
  }
});

test('options that are not ours reach Claude Code in their order, and ours do not', async () => {
  const claude = script('claude', '#!/bin/sh\nfor word; do echo "<$word>"; done\n');
  const own = ['--claude-path', claude];
  const clients = ['-p', 'a b', '--model=opus', '-c', '', '--resume', '--output-format', 'json', '-d', '--verbose'];
  for (const args of [
    [...clients.slice(0, 3), '--log', 'x', ...clients.slice(3, 5), '--no-open', ...own, ...clients.slice(5)],
    [...own, '--include-all-requests', '--', ...clients],
    [...own, '--no-zero-latency', '--run-with', ...clients],
  ]) {
    const run = await runCommand(args);
    assert.deepEqual(run.stdout.split('\n').slice(0, -1), clients.map((word) => `<${word}>`), args.join(' '));
  }
  const behind = await runCommand([...own, '--', '--log', 'x', '--', '-h']);
  assert.equal(behind.stdout, '<--log>\n<x>\n<-->\n<-h>\n');
});

test('our options reach the recorder in a client of Node’s', async () => {
  await standin.reset();
  const claude = script('claude', `#!/bin/sh\nexec "${AGENT}" "$@"\n`);
  const args = ['--claude-path', claude, '--include-all-requests', '--no-zero-latency', '--log', 'mine', '--upstream', standin.url, 'around+ask'];
  const run = await runCommand(args);
  const { variables } = stepsOf(run.stdout);
  assert.deepEqual([variables.CLAUDE_TRACE_ZERO_LATENCY, variables.CLAUDE_TRACE_INCLUDE_ALL_REQUESTS, variables.ANTHROPIC_BASE_URL], ['false', 'true', standin.url]);
  await assertRecorded(run);
  assert.deepEqual(fs.readdirSync(path.join(run.cwd, '.claude-trace')), ['mine.jsonl']);
});

test('what goes to OpenAI is recorded by either capture', async () => {
  await standin.reset();
  const ask = script('agent.js', `#!/usr/bin/env node\nfetch(process.env.OPENAI_BASE_URL + '/chat/completions', { method: 'POST', body: '{"model":"gpt-standin"}' }).then((response) => response.text());\n`);
  for (const client of [[ask], [nativeAgent(), ask]]) {
    await standin.reset();
    const run = await runCommand(['run', '--', ...client], { env: { OPENAI_BASE_URL: `${standin.url}/v1` } });
    const [record] = await assertRecorded(run);
    assert.equal(record.request.url, `${standin.url}/v1/chat/completions`);
  }
});

test('two runs with one name continue one log, and each tells of its own exchanges', async () => {
  await standin.reset();
  const [cwd, home] = [freshFolder(), freshFolder()];
  const args = ['run', '--log', 'mine', '--upstream', standin.url, '--'];
  for (const client of [[AGENT, 'ask'], [nativeAgent(), AGENT, 'ask+ask']]) {
    const run = await runCommand([...args, ...client], { cwd, home });
    const what = client.length === 2 ? '1 exchange' : '2 exchanges';
    assert.equal(run.stderr, `claude-trace: ${what} recorded in ${fs.realpathSync(cwd)}/.claude-trace/mine.jsonl\n`);
  }
  assertLogMatches(await standin.account(), readLog(cwd));
});

test('a gateway in the user’s settings is the upstream, and the client is told of us all the same', async () => {
  await standin.reset();
  const home = freshFolder();
  fs.mkdirSync(path.join(home, '.claude'));
  fs.writeFileSync(path.join(home, '.claude/settings.json'), JSON.stringify({ env: { ANTHROPIC_BASE_URL: `${standin.url}/gateway` } }));
  // Claude Code believes its settings before its environment: an option comes before both.
  const claude = script('claude', `#!/bin/sh\necho "$1 $2 $3"\n${nativeAgent()} ${AGENT} ask\n`);
  const run = await runCommand(['--claude-path', claude, '-p'], { home });
  const [, settings] = /^--settings (\{.*\}) -p\n/.exec(run.stdout) ?? [];
  assert.match(JSON.parse(settings).env.ANTHROPIC_BASE_URL, /^http:\/\/127\.0\.0\.1:\d+\/gateway$/);
  const [record] = await assertRecorded(run);
  assert.equal(record.request.url, `${standin.url}/gateway/v1/messages?beta=true`);
});

test('Claude Code is told to search tools where the first party is behind us, and the closing line says so', async () => {
  const claude = nativeAgent('claude');
  const around = ['--claude-path', claude, AGENT, 'around'];
  const first = await runCommand(around);
  assert.equal(stepsOf(first.stdout).variables.ENABLE_TOOL_SEARCH, 'true');
  assert.match(first.stderr, /^claude-trace: nothing was recorded: .* \(ENABLE_TOOL_SEARCH=true was set, as for the first-party URL\)\n$/);
  for (const env of /** @type {Record<string, string>[]} */ ([{ ENABLE_TOOL_SEARCH: 'auto:5' }, { ANTHROPIC_BASE_URL: 'http://127.0.0.1:9' }])) {
    const run = await runCommand(around, { env });
    assert.equal(stepsOf(run.stdout).variables.ENABLE_TOOL_SEARCH, env.ENABLE_TOOL_SEARCH);
    assert.ok(!run.stderr.includes('TOOL_SEARCH'), run.stderr);
  }
});

// Found with opencode: the AI SDK takes ANTHROPIC_BASE_URL to end in the version, and its user had never set one.
test('a client that takes the version to be in the base URL asks for what exists', async () => {
  await standin.reset();
  const client = script('agent.js', "fetch(process.env.ANTHROPIC_BASE_URL + '/messages', { method: 'POST', body: '{}' }).then((response) => response.text());");
  const run = await runCommand(['run', '--upstream', standin.url, '--', nativeAgent(), client]);
  const [record] = await assertRecorded(run);
  assert.equal(record.request.url, `${standin.url}/v1/messages`);
  const own = await runCommand(['run', '--', nativeAgent(), client], { env: { ANTHROPIC_BASE_URL: standin.url } });
  assert.equal(readLog(own.cwd)[0].value.request.url, `${standin.url}/messages`, 'a URL of the user’s own is left alone');
});

test('a forward proxy of the user is for what lies beyond us', async () => {
  await standin.reset();
  const env = { HTTP_PROXY: 'http://127.0.0.1:9', NO_PROXY: 'a.example' };
  const run = await runCommand(['run', '--upstream', standin.url, '--', nativeAgent(), AGENT, 'around+ask'], { env });
  assert.equal(stepsOf(run.stdout).variables.NO_PROXY, 'a.example,127.0.0.1');
  await assertRecorded(run);
});

test('what it says can be silenced, and what comes later is told in one line', async () => {
  const quiet = await runCommand(['run', '--', nativeAgent(), AGENT, 'around'], { env: { CLAUDE_TRACE_LOG_LEVEL: 'silent' } });
  assert.deepEqual([quiet.code, quiet.stderr], [0, '']);
  for (const args of [['--generate-html', 'x.jsonl', 'x.html'], ['--index']]) {
    const run = await runCommand(args);
    assert.deepEqual([run.code, run.stdout], [2, '']);
    assert.match(run.stderr, /^claude-trace: .* comes with a later version.*\n$/);
  }
});

test('--extract-token shows the token that Claude Code uses, and sends it nowhere', async () => {
  await standin.reset();
  const text = (/** @type {string} */ fields) =>
    `#!/usr/bin/env node\nfetch(process.env.ANTHROPIC_BASE_URL + '/v1/messages', { method: 'POST', headers: ${fields}, body: '{}' }).then(() => console.log('answered'));\n`;
  const env = { ANTHROPIC_BASE_URL: standin.url };
  const run = await runCommand(['--extract-token', '--claude-path', script('claude', text("{ authorization: 'Bearer sk-ant-oat01-made-up' }"))], { env });
  assert.deepEqual([run.code, run.stdout], [0, 'sk-ant-oat01-made-up\n'], run.stderr);
  const key = await runCommand(['--extract-token', '--claude-path', script('claude', text("{ 'x-api-key': 'made-up' }"))], { env });
  assert.deepEqual([key.code, key.stdout, key.stderr], [1, '', 'claude-trace: Claude Code shows an API key here, and no OAuth token\n']);
  const none = await runCommand(['--extract-token', '--claude-path', script('claude', '#!/bin/sh\nexit 3\n')], { env });
  assert.deepEqual([none.code, none.stdout], [1, '']);
  assert.match(none.stderr, /ended \(exit status: 3\) before it showed a token/);
  assert.deepEqual(await standin.account(), []);
});

test('npm’s door starts it too', async () => {
  await standin.reset();
  assert.ok(fs.existsSync(COMMAND));
  const run = await runCommand([path.join(PACKAGE, 'bin/claude-trace.js'), 'run', '--', AGENT, 'ask+fail'], { program: NODE, env: { ANTHROPIC_BASE_URL: standin.url } });
  assert.equal(run.code, 7);
  await assertRecorded(run);
});
