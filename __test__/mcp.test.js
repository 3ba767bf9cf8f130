'use strict';

// `claude-trace mcp` between the official SDK's client and server: what they get, and what is on record.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { COMMAND, PACKAGE, Running, recordsOf, runCommand } = require('./support/command');
const { readLog } = require('./support/log');
const { CLIENTS, assertAllOnRecord, kept, lines, ofMethod } = require('./support/mcp');
const { freshFolder } = require('./support/run-client');

const NODE = process.execPath;
const CLIENT = path.join(CLIENTS, 'stdio-client.mjs');
const SERVER = [NODE, path.join(CLIENTS, 'stdio-server.mjs')];
const RELAY = [COMMAND, 'mcp', '--name', 'sums', '--'];
/** @param {string} file */
const tee = (file) => [NODE, path.join(CLIENTS, 'tee.cjs'), file];

/** The SDK's client, which starts that server. @param {string} what @param {string[]} server */
const start = (what, server) => new Running([CLIENT, what, ...server], { program: NODE });

/** The same, to its end. @param {string} what @param {string[]} server */
async function run(what, server) {
  const running = start(what, server);
  return { ...(await running.ended), cwd: running.cwd, home: running.home };
}

/** @param {string} cwd */
const verified = async (cwd) => JSON.parse((await runCommand(['verify', '--json', ...logsOf(cwd)])).stdout);
/** @param {string} cwd */
const logsOf = (cwd) => [...new Set(readLog(cwd).map(({ file }) => file))];

for (const [door, relay] of /** @type {[string, string[]][]} */ ([
  ['the command', RELAY],
  ["npm's door", [NODE, path.join(PACKAGE, 'bin/claude-trace.js'), ...RELAY.slice(1)]],
])) {
  test(`the SDK's client and server say the same through ${door}, byte for byte, and all of it is on record`, async () => {
    const [direct, before, behind] = ['direct', 'before', 'behind'].map((name) => path.join(freshFolder(), name));
    const without = await run('all', [...tee(direct), ...SERVER]);
    const through = await run('all', [...tee(before), ...relay, ...tee(behind), ...SERVER]);
    assert.deepEqual([without.code, without.stderr], [0, 'the server is there\n'], without.stdout);
    assert.equal(through.stdout, without.stdout);
    assert.deepEqual([through.code, through.signal], [0, null]);
    assert.match(through.stderr, /^the server is there\nclaude-trace: \d+ exchanges of sums recorded in \S+ \(1 line not JSON-RPC\)\n$/);
    assert.deepEqual(kept(before), kept(behind), 'nothing is changed on the way');
    assert.deepEqual(kept(before), kept(direct), 'and both say what they say without us');
    const records = await recordsOf(through);
    assertAllOnRecord(kept(behind), records);
    assert.equal((await verified(through.cwd)).ok, true);
  });
}

test('requests of both sides have their answers, and progress its token', async () => {
  const ended = await run('all', [...RELAY, ...SERVER]);
  assert.equal(ended.code, 0);
  const records = await recordsOf(ended);
  for (const { value } of records) {
    const { request, response, trace, note } = value;
    const { from, kind, method, id } = trace.jsonrpc;
    assert.equal(trace.via, 'mcp');
    assert.equal(request.url, `mcp+stdio://sums/${method ?? ''}`);
    if (note !== undefined) assert.match(note, /ERR_CANCELLED/);
    else if (kind === 'request') assert.deepEqual([response.status_code, response.body.id], [200, id], from);
    else assert.deepEqual([response.status_code, response.body_raw], [202, '']);
    assert.ok(trace.timing_ms.end >= 0 && request.timestamp > 0);
  }
  const calls = ofMethod(records, 'tools/call');
  const count = calls.find(({ request }) => request.body.params.name === 'count');
  const progress = ofMethod(records, 'notifications/progress');
  assert.deepEqual(
    progress.map(({ trace }) => [trace.jsonrpc.from, trace.jsonrpc.progress_token]),
    Array(4).fill(['server', count.trace.jsonrpc.progress_token]),
  );
  for (const { request } of progress) assert.ok(request.timestamp > count.request.timestamp && request.timestamp < count.response.timestamp);
  for (const method of ['sampling/createMessage', 'elicitation/create']) {
    const [asked] = ofMethod(records, method);
    assert.deepEqual([asked.trace.jsonrpc.from, asked.response.status_code], ['server', 200]);
  }
  const taken = calls.find(({ request }) => request.body.params.name === 'wait');
  assert.deepEqual([taken.response, taken.trace.error.code], [null, 'ERR_CANCELLED']);
  assert.equal(ofMethod(records, 'notifications/cancelled')[0].trace.jsonrpc.cancels, taken.trace.jsonrpc.id);
  assert.equal(ofMethod(records, 'resources/read')[0].trace.jsonrpc.error.code, -32601);
  const [stray] = records.filter(({ value }) => value.trace.jsonrpc.kind === 'other');
  assert.equal(stray.value.request.body, 'this is no message');
});

test('a relay that is killed in mid-call leaves all that had passed to the next start', async () => {
  const [before, behind] = ['before', 'behind'].map((name) => path.join(freshFolder(), name));
  const pid = ['/bin/sh', '-c', 'echo "pid $$" >&2; exec "$@"', 'sh'];
  const running = start('wait', [...tee(before), ...pid, ...RELAY, ...tee(behind), ...SERVER]);
  await running.saying('waiting');
  process.kill(Number(/pid (\d+)/.exec(running.stderr)?.[1]), 'SIGKILL');
  const { stdout } = await running.ended;
  assert.match(stdout, /closed\n$/, 'the client hears of it');
  const records = await recordsOf(running);
  assertAllOnRecord(kept(before), records);
  const [call] = ofMethod(records, 'tools/call');
  assert.deepEqual([call.response, call.trace.recovered, call.note], [null, true, 'ORPHANED_REQUEST - No matching response received']);
  assert.equal((await verified(running.cwd)).ok, true);
});

test('a server that is killed in mid-call ends the relay as it ended, and its call says so', async () => {
  const relayed = new Running(['mcp', '--', ...SERVER], { input: true });
  const send = (/** @type {object} */ message) => relayed.child.stdin?.write(`${JSON.stringify(message)}\n`);
  send({ jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'raw', version: '1' } } });
  await relayed.saying('serverInfo');
  send({ jsonrpc: '2.0', method: 'notifications/initialized' });
  send({ jsonrpc: '2.0', id: 2, method: 'tools/call', params: { name: 'wait', arguments: {} } });
  await relayed.saying('waiting');
  const [server] = childrenOf(/** @type {number} */ (relayed.child.pid));
  process.kill(server, 'SIGKILL');
  const { code, signal, stdout } = await relayed.ended;
  assert.deepEqual([code, signal], [null, 'SIGKILL']);
  const records = await recordsOf(relayed);
  assert.equal(lines(Buffer.from(stdout)).length, 2);
  const [call] = ofMethod(records, 'tools/call');
  assert.deepEqual([call.response, call.trace.cut], [null, 'the server ended before it answered']);
});

/** @param {number} pid */
function childrenOf(pid) {
  const { readFileSync, readdirSync } = require('node:fs');
  const tasks = readdirSync(`/proc/${pid}/task`);
  return tasks.flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number));
}
