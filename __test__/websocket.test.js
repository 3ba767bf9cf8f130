'use strict';

// WebSockets in a recorded process: Node's own, and those of `ws`.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { readLog, requestBody, responseBody } = require('./support/log');
const { runClient } = require('./support/run-client');
const { SocketServer } = require('./support/websocket-server');

/** Node's own is behind a flag in Node 20. */
const FLAG = process.versions.node.startsWith('20.') ? { NODE_OPTIONS: '--experimental-websocket --no-warnings' } : {};

/** @param {string} kind @param {string} scheme @param {boolean} traced */
async function run(kind, scheme, traced) {
  const server = await SocketServer.start(scheme === 'wss');
  const env = { ...FLAG, CLAUDE_TRACE_HOSTS: server.host, NODE_EXTRA_CA_CERTS: SocketServer.CA };
  const outcome = await runClient('websocket.mjs', { args: [kind, `${scheme}://${server.host}`], env, traced });
  return { ...outcome, account: await server.stop() };
}

for (const [kind, via, scheme] of [
  ['global', 'undici', 'ws'],
  ['global', 'undici', 'wss'],
  ['ws', 'http', 'ws'],
  ['ws', 'http', 'wss'],
]) {
  test(`${kind} ${scheme}: a WebSocket is the same, and its frames are on record`, async () => {
    const plain = await run(kind, scheme, false);
    assert.deepEqual([plain.code, plain.stderr], [0, ''], plain.stdout);
    const traced = await run(kind, scheme, true);
    assert.deepEqual(traced.stdout.split('\n'), plain.stdout.split('\n'));
    assert.deepEqual([traced.code, traced.stderr], [0, '']);
    const records = readLog(traced.cwd);
    const declined = records.filter(({ value }) => value.response.status_code === 403);
    assert.deepEqual(declined.map(({ value }) => value.response.body_raw ?? value.response.body), ['no']);
    const switched = records.filter(({ value }) => value.response.status_code === 101);
    assert.equal(records.length, switched.length + 1);
    assert.equal(switched.length, traced.account.length);
    for (const [index, record] of switched.entries()) {
      const { request, response, trace, note } = record.value;
      const { url, sent, received } = traced.account[index];
      const what = `${kind} ${url}`;
      assert.equal(trace.via, via, what);
      assert.ok(request.url.endsWith(url) && request.headers.upgrade === 'websocket' && response.headers.upgrade === 'websocket', what);
      assert.ok(requestBody(record).equals(received), `${what}: what the client sent`);
      const got = responseBody(record);
      // Whoever breaks off may do so with bytes on the way.
      if (note === undefined) assert.ok(got.equals(sent), `${what}: what it received`);
      else assert.ok(sent.subarray(0, got.length).equals(got), `${what}: what it received`);
      for (const [column, bytes] of [[trace.request_chunks, trace.request_bytes], [trace.chunks, trace.response_bytes]]) {
        assert.equal(column.bytes.reduce((/** @type {number} */ sum, /** @type {number} */ n) => sum + n, 0), bytes, what);
        assert.equal(column.at_ms.length, column.bytes.length);
        assert.deepEqual([...column.at_ms].sort((a, b) => a - b), column.at_ms);
        assert.ok(column.at_ms.every((/** @type {number} */ at) => at >= trace.timing_ms.headers && at <= trace.timing_ms.end), what);
      }
    }
    const notes = switched.map(({ value }) => value.note).filter(Boolean);
    assert.deepEqual(notes, kind === 'ws' ? ['PARTIAL_RESPONSE - ABORT_ERR: closed by the client before its end'] : []);
  });
}
