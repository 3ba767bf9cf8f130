'use strict';

// `claude-trace mcp --rules FILE` and `--json` between the official SDK's client and server.

const assert = require('node:assert/strict');
const { writeFileSync, readFileSync } = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { COMMAND, Running, recordsOf, runCommand } = require('./support/command');
const { CLIENTS, RULES, RULES_SAY, kept, lines, ofMethod } = require('./support/mcp');
const { freshFolder } = require('./support/run-client');

const NODE = process.execPath;
const CLIENT = path.join(CLIENTS, 'rules-client.mjs');
const SERVER = [NODE, path.join(CLIENTS, 'stdio-server.mjs')];
const TEE = [NODE, path.join(CLIENTS, 'tee.cjs')];

/** @param {string} text */
function file(text) {
  const name = path.join(freshFolder(), 'rules.toml');
  writeFileSync(name, text);
  return name;
}

/** The SDK's client behind that relay. @param {string[]} options */
async function run(...options) {
  const behind = path.join(freshFolder(), 'behind');
  const running = new Running([CLIENT, COMMAND, 'mcp', '--name', 'sums', ...options, '--', ...TEE, behind, ...SERVER], { program: NODE });
  return { ...(await running.ended), cwd: running.cwd, home: running.home, behind: kept(behind) };
}

/** What rules did, by the records of a tool. @param {any[]} calls @param {string} tool */
const marks = (calls, tool) => calls.filter(({ request }) => request.body.params.name === tool).map(({ trace }) => trace.rules);

test('the client and the server get what the rules say, and the record tells', async () => {
  const ended = await run('--rules', file(RULES));
  assert.deepEqual([ended.code, ended.signal], [0, null], ended.stderr);
  assert.equal(ended.stdout, RULES_SAY);
  const asked = lines(ended.behind.in).map((line) => JSON.parse(line));
  assert.ok(!asked.some(({ params }) => params?.name === 'fail'), 'the server never sees it');
  assert.equal(lines(ended.behind.out).filter((line) => line.includes('notifications/progress')).length, 3, 'the server has told of it');
  const records = await recordsOf(ended);
  const calls = ofMethod(records, 'tools/call');
  assert.deepEqual(marks(calls, 'fail'), [[{ name: 'nothing fails here', answered: 403 }]]);
  const delayed = { name: 'slow sums', delayed_ms: 200 };
  assert.deepEqual(marks(calls, 'add'), [[delayed], [{ ...delayed, bodies: ['response'] }]]);
  assert.equal(calls[2].response.body.result.content[0].text, '42', 'the record has what the server said');
  assert.equal(calls[0].trace.jsonrpc.error.code, -32003);
  assert.deepEqual(ofMethod(records, 'notifications/progress').map(({ trace }) => trace.rules), Array(3).fill([{ name: 'quiet', dropped: 1 }]));
});

test('rules that are for nothing here leave every byte as it is', async () => {
  const without = await run();
  const through = await run('--rules', file('[[rule]]\nname = "x"\nmatch = { tool = "none" }\nblock = {}\n'));
  assert.deepEqual([through.code, through.stdout.replace(/slow enough.*/, '')], [0, without.stdout.replace(/slow enough.*/, '')]);
  assert.deepEqual(through.behind, without.behind);
});

test('--json says how many messages there were, and how long each tool took', async () => {
  const { stderr, ...ended } = await run('--json', '--rules', file(RULES));
  assert.equal(ended.code, 0, stderr);
  const [, text] = /^the server is there\n(.*)\n$/.exec(stderr) ?? assert.fail(stderr);
  const { messages, methods, log, ...told } = JSON.parse(text);
  const records = await recordsOf({ ...ended });
  assert.deepEqual(told, { server: 'sums', exchanges: records.length, complete: true });
  assert.equal(readFileSync(log, 'utf8').trim().split('\n').length, records.length);
  const kinds = (/** @type {string} */ kind) => records.filter(({ value }) => value.trace.jsonrpc.kind === kind).length;
  const answered = records.filter(({ value }) => value.response?.status_code === 200).length;
  assert.deepEqual([messages.requests, messages.notifications, messages.responses, messages.errors, messages.not_json_rpc], [kinds('request'), kinds('notification'), answered, 1, 0]);
  const add = methods.find((/** @type {any} */ of) => of.tool === 'add');
  assert.deepEqual([add.method, add.requests, add.errors, add.unanswered], ['tools/call', 2, 0, 0]);
  assert.ok(add.took_ms.p50 >= 200 && add.took_ms.max >= add.took_ms.p50, JSON.stringify(add));
  assert.equal(methods.find((/** @type {any} */ of) => of.tool === 'fail').errors, 1);
});

test('rules that are wrong are named with their lines, and nothing is started', async () => {
  const wrong = file('[[rule]]\nname = "x"\nmatch = { tol = "a" }\nblock.status = 404\n');
  const { code, stdout, stderr } = await runCommand(['mcp', '--rules', wrong, '--', '/bin/sh', '-c', 'echo started']);
  assert.deepEqual([code, stdout], [2, '']);
  assert.match(stderr, /rules\.toml:3:\d+: rule "x": match: there is no `tol`; did you mean `tool`\?[^]*rules\.toml:4:\d+: rule "x": block: there is no `status`/);
  const checked = await runCommand(['rules', 'check', '--mcp', file(RULES)]);
  assert.deepEqual([checked.code, checked.stdout.replace(/^.*?: /, '')], [0, 'ok: 3 rules: nothing fails here, slow sums, quiet\n']);
  const missing = await runCommand(['mcp', '--rules', '/no/such/file', '--', 'true']);
  assert.equal(missing.code, 2);
  assert.match(missing.stderr, /^claude-trace: cannot read the rules in \/no\/such\/file: /);
});
