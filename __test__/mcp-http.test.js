'use strict';

// MCP over Streamable HTTP: ordinary exchanges, to the proxy and to the loader. The official SDK's client and server.

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { PACKAGE, Running, startProxy, stopProxy } = require('./support/command');
const { readLog, requestBody, responseBody } = require('./support/log');
const { CLIENTS, ofMethod } = require('./support/mcp');
const { freshFolder, loaderPath } = require('./support/run-client');

/**
 * @typedef {{ method: string, headers: Record<string, string>, status: number, asked: Buffer, sent: Buffer }} Entry
 * @typedef {(url: string) => { before?: string[], env?: Record<string, string> }} Capture
 */

const NODE = process.execPath;

/** The client in front of a server of its own, which is reached at what `way` makes of its URL. @param {(url: string) => Promise<{ url: string, args?: string[], env?: Record<string, string>, done?: () => Promise<any> }>} way */
async function conversation(way) {
  const { startServer } = await import('./clients/mcp/http-server.mjs');
  const server = await startServer();
  const cwd = freshFolder();
  const { url, args = [], env, done } = await way(server.url);
  const client = new Running([...args, path.join(CLIENTS, 'http-client.mjs'), url], { program: NODE, env, cwd });
  const end = await client.ended;
  await done?.();
  return { end, cwd, account: /** @type {Entry[]} */ (await server.stop()) };
}

const direct = () => conversation(async (url) => ({ url }));

/** Streams of one client are opened side by side: in no order. @param {Entry[]} account */
const inOrder = (account) => account.map(({ method, status, headers, asked, sent }) => [method, status, headers['last-event-id'] ?? '', headers['mcp-session-id'] ?? '', asked.toString(), sent.toString()].join('\n')).sort();

/** @param {import('./support/log').LogRecord[]} records @param {Entry[]} account */
function assertAllOnRecord(records, account) {
  const told = records.map((record) => {
    const { request, response } = record.value;
    return [request.method, response.status_code, request.headers['last-event-id'] ?? '', request.headers['mcp-session-id'] ?? '', requestBody(record), responseBody(record)].join('\n');
  });
  assert.deepEqual(told.sort(), inOrder(account));
}

/** What a reader learns without looking into bodies. @param {import('./support/log').LogRecord[]} records */
function assertMessagesAreNamed(records) {
  for (const { value } of records) {
    const { request, trace } = value;
    if (request.headers['last-event-id']) assert.deepEqual([trace.jsonrpc.from, trace.jsonrpc.kind, trace.jsonrpc.method], ['client', 'resumed', 'tools/call']);
    else if (request.body === null) assert.equal(trace.jsonrpc, undefined);
    else assert.deepEqual([trace.jsonrpc.from, trace.jsonrpc.method, trace.jsonrpc.id], ['client', request.body.method, request.body.id]);
  }
  const [resumed] = records.filter(({ value }) => value.request.headers['last-event-id']);
  assert.match(resumed.value.response.body_raw, /counted to 4/);
  const [begun] = records.filter(({ value }) => value.request.body?.params?.name === 'count');
  assert.equal(begun.value.trace.jsonrpc.progress_token, begun.value.request.body.params._meta.progressToken);
  assert.doesNotMatch(begun.value.response.body_raw, /counted to 4/);
  assert.equal(resumed.value.trace.jsonrpc.id, begun.value.request.body.id);
  assert.equal(begun.value.trace.jsonrpc.answer_event, undefined);
  for (const { value } of records) {
    const { answer_event: at, id } = value.trace.jsonrpc ?? {};
    if (at !== undefined) assert.deepEqual([dataOf(value.response.body_raw)[at].id, 'result' in dataOf(value.response.body_raw)[at]], [id, true]);
  }
  assert.ok(resumed.value.trace.jsonrpc.answer_event >= 0, 'the answer came in the resumed stream');
}

/** What the events of a stream say; the first, from which it can be resumed, says nothing. @param {string} body */
const dataOf = (body) => [...body.matchAll(/^data: ?(.*)$/gm)].map(([, data]) => JSON.parse(data || '{}'));

for (const [name, way] of /** @type {const} */ ([
  ['the proxy', 'proxy'],
  ['the loader', 'loader'],
])) {
  test(`a session with resumption is the same through ${name}, byte for byte, and all of it is on record`, async () => {
    const without = await direct();
    assert.equal(without.end.code, 0, without.end.stderr);
    assert.ok(without.account.some(({ headers }) => headers['last-event-id']), 'the client resumes');
    const home = freshFolder();
    let cwd = '';
    const through = await conversation(async (url) => {
      if (way === 'loader') {
        return { url, args: ['--require', loaderPath()], env: { CLAUDE_TRACE_HOSTS: new URL(url).host } };
      }
      const { proxy, url: ours } = await startProxy(url, [], { home });
      cwd = proxy.cwd;
      return { url: ours, done: () => stopProxy(proxy) };
    });
    assert.deepEqual(through.end.stdout.split('\n'), without.end.stdout.split('\n'));
    assert.deepEqual([through.end.code, through.end.stderr], [0, without.end.stderr]);
    assert.deepEqual(inOrder(through.account), inOrder(without.account), 'the server is asked and answers the same');
    const records = readLog(cwd || through.cwd);
    assertAllOnRecord(records, through.account);
    assertMessagesAreNamed(records);
  });
}

for (const json of [false, true]) {
  test(`an interceptor sees the messages of both sides and changes their records, in ${json ? 'JSON' : 'a stream of events'}`, async () => {
    const { startServer } = await import('./clients/mcp/http-server.mjs');
    const server = await startServer({ enableJsonResponse: json });
    const cwd = freshFolder();
    const env = { CLAUDE_TRACE_HOSTS: new URL(server.url).host, PACKAGE };
    const client = new Running([path.join(CLIENTS, 'http-intercepted.mjs'), server.url], { program: NODE, env, cwd });
    const { code, stdout, stderr } = await client.ended;
    const account = await server.stop();
    assert.equal(code, 0, stderr);
    const [said, seen] = stdout.trim().split('\n');
    assert.equal(said, 'a secret', 'the client has what the server said');
    assert.ok(account.some(({ asked }) => asked.includes('a secret')), 'and the server what the client said');
    assert.deepEqual(JSON.parse(seen), [
      'asks initialize,answers protocolVersion',
      'asks notifications/initialized',
      'asks tools/call,answers content',
    ]);
    const records = readLog(cwd);
    const [call] = ofMethod(records, 'tools/call');
    assert.equal(call.request.body.params.arguments.text, 'a ******');
    const answer = json ? call.response.body : dataOf(call.response.body_raw)[call.trace.jsonrpc.answer_event];
    assert.equal(answer.result.content[0].text, 'a ******');
    assert.deepEqual(call.intercepted.by, ['mask']);
    assert.deepEqual([call.intercepted.events, call.intercepted.replaced], json ? [2, 2] : [3, 2]);
    const [left] = records.filter(({ value }) => value.intercepted?.dropped);
    assert.deepEqual([left.value.request.body, left.value.trace.request_bytes > 0], ['', true]);
  });

  test(`an error is told by the record, whether the server answers in ${json ? 'JSON' : 'a stream of events'}`, async () => {
    const { startServer } = await import('./clients/mcp/http-server.mjs');
    const server = await startServer({ enableJsonResponse: json });
    const cwd = freshFolder();
    const env = { CLAUDE_TRACE_HOSTS: new URL(server.url).host };
    const client = new Running(['--require', loaderPath(), path.join(CLIENTS, 'http-refused.mjs'), server.url], { program: NODE, env, cwd });
    const { code, stdout, stderr } = await client.ended;
    await server.stop();
    assert.deepEqual([code, stderr, stdout], [0, stderr, 'refused: [-32601,"MCP error -32601: Method not found"]\n']);
    const [{ trace, response }] = ofMethod(readLog(cwd), 'resources/read');
    assert.deepEqual(trace.jsonrpc.error, { code: -32601, message: 'Method not found' });
    assert.equal(trace.jsonrpc.answer_event, json ? undefined : dataOf(response.body_raw).findIndex((message) => message.error));
  });
}

for (const json of [false, true]) {
  test(`errors of a batch are told by the record, in ${json ? 'JSON' : 'a stream of events'}`, async () => {
    const { startServer } = await import('./clients/mcp/http-server.mjs');
    const server = await startServer({ enableJsonResponse: json });
    const { proxy, url } = await startProxy(server.url);
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    /** @param {unknown} message @param {Record<string, string>} more */
    const post = (message, more = {}) => fetch(url, { method: 'POST', headers: { ...headers, ...more }, body: JSON.stringify(message) });
    const params = { protocolVersion: '2025-03-26', capabilities: {}, clientInfo: { name: 'by hand', version: '1' } };
    const begun = await post({ jsonrpc: '2.0', id: 0, method: 'initialize', params });
    await begun.text();
    const session = { 'mcp-session-id': /** @type {string} */ (begun.headers.get('mcp-session-id')), 'mcp-protocol-version': '2025-03-26' };
    await (await post({ jsonrpc: '2.0', method: 'notifications/initialized' }, session)).text();
    const asks = ['ping', 'resources/read', 'ping'].map((method, id) => ({ jsonrpc: '2.0', id: id + 1, method, params: { uri: 'x:/' } }));
    const answer = await (await post(asks, session)).text();
    assert.match(answer, /-32601/);
    await server.stop();
    await stopProxy(proxy);
    const [{ value }] = readLog(proxy.cwd).filter(({ value }) => Array.isArray(value.request.body));
    const { errors, ...rest } = value.trace.jsonrpc;
    const error = { code: -32601, message: 'Method not found' };
    assert.deepEqual(rest, { from: 'client', kind: 'batch', size: 3, answered: 3, error });
    const at = json ? {} : { answer_event: dataOf(answer).findIndex((message) => message.error) };
    assert.deepEqual(errors, [{ element: 1, method: 'resources/read', id: 2, ...at, ...error }]);
  });
}
