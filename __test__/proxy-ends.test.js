'use strict';

// A proxy or its client is killed, and what must not pass a proxy.

const assert = require('node:assert/strict');
const http = require('node:http');
const net = require('node:net');
const { once } = require('node:events');
const { after, before, test } = require('node:test');
const { AGENT, Running, runCommand, startProxy, stepsOf, stopProxy } = require('./support/command');
const { assertLogMatches, assertNowhereUnder, readLog } = require('./support/log');
const { Standin } = require('./support/standin');

/** @type {import('./support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

const TOKEN = '0123456789abcdef0123456789abcdef';

/** A client in the middle of a stream. @param {string} url */
async function stalled(url) {
  const client = new Running([AGENT, 'stall'], { program: process.execPath, env: { ANTHROPIC_BASE_URL: url } });
  await client.saying('stalled');
  return client;
}

test('a proxy that is killed in mid-stream leaves what had passed to the next start', async () => {
  await standin.reset();
  const { proxy, url } = await startProxy(standin.url);
  const client = await stalled(url);
  proxy.child.kill('SIGKILL');
  await Promise.all([proxy.ended, client.ended]);
  const recovered = await runCommand(['recover', '--json'], { cwd: proxy.cwd, home: proxy.home });
  assert.equal(recovered.code, 0, recovered.stderr);
  const records = readLog(proxy.cwd);
  const [{ record }] = assertLogMatches(await standin.account(), records);
  assert.ok(record.value.trace.recovered && record.value.trace.partial);
  const received = stepsOf(client.stdout).stalled;
  assert.ok(received.length > 100 && record.value.response.body_raw.startsWith(received), 'all that the client had received');
});

test('a client that is killed has its exchange on record, and its request is ended upstream', async () => {
  await standin.reset();
  const { proxy, url } = await startProxy(standin.url);
  const client = await stalled(url);
  client.child.kill('SIGKILL');
  await client.ended;
  // Answers when no exchange is open there.
  const account = await standin.account();
  await stopProxy(proxy);
  const [{ record }] = assertLogMatches(account, readLog(proxy.cwd));
  assert.deepEqual([record.value.trace.error.code, record.value.trace.partial], ['ABORT_ERR', true]);
});

test('a proxy that is stopped in mid-stream says so in the record', async () => {
  await standin.reset();
  const { proxy, url } = await startProxy(standin.url);
  const client = await stalled(url);
  await stopProxy(proxy);
  await client.ended;
  const [{ record }] = assertLogMatches(await standin.account(), readLog(proxy.cwd));
  assert.match(record.value.note, /the proxy was stopped/);
});

/** Sends a head as it is, and gives the status of the answer. @param {string} url @param {string[]} lines */
async function statusOf(url, lines) {
  const { hostname, port } = new URL(url);
  const socket = net.connect(Number(port), hostname);
  socket.write([...lines, 'Connection: close', '', ''].join('\r\n'));
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) text += chunk;
  return Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
}

test('what is meant for somebody else is refused, and reaches nobody', async () => {
  await standin.reset();
  const { proxy, url } = await startProxy(standin.url);
  const other = http.createServer(() => assert.fail('an open relay')).listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = /** @type {net.AddressInfo} */ (other.address());
  for (const lines of [
    ['GET /v1/messages/bytes?n=10 HTTP/1.1', 'Host: evil.example'],
    ['GET /v1/messages/bytes?n=10 HTTP/1.1', `Host: 127.0.0.1.evil.example:${new URL(url).port}`],
    ['GET http://evil.example/v1/messages/bytes?n=10 HTTP/1.1', 'Host: 127.0.0.1'],
    [`CONNECT 127.0.0.1:${port} HTTP/1.1`, `Host: 127.0.0.1:${port}`],
  ]) {
    assert.equal(await statusOf(url, lines), 403, lines.join(' · '));
  }
  // Named, but not asked: all goes to the upstream.
  assert.equal(await statusOf(url, [`GET http://127.0.0.1:${port}/v1/messages/bytes?n=10 HTTP/1.1`, `Host: 127.0.0.1:${port}`]), 200);
  other.close();
  const account = await standin.account();
  assert.equal(account.length, 1);
  await stopProxy(proxy);
  assertLogMatches(account, readLog(proxy.cwd));
});

test('others need the token, which goes no further and into no file', async () => {
  await standin.reset();
  const { proxy, url } = await startProxy(standin.url, ['--listen', '0.0.0.0:0', '--allow-remote'], { env: { CLAUDE_TRACE_PROXY_TOKEN: TOKEN } });
  assert.match(url, new RegExp(`^http://0\\.0\\.0\\.0:\\d+/${TOKEN}$`));
  const base = url.replace('0.0.0.0', '127.0.0.1').replace(`/${TOKEN}`, '');
  for (const [path, fields, status] of /** @type {const} */ ([
    ['/v1/messages/bytes?n=10', {}, 403],
    [`/${TOKEN}x/v1/messages/bytes?n=10`, {}, 403],
    ['/v1/messages/bytes?n=10', { 'x-claude-trace-token': TOKEN.slice(1) }, 403],
    [`/${TOKEN}/v1/messages/bytes?n=10`, {}, 200],
    ['/v1/messages/bytes?n=10', { 'x-claude-trace-token': TOKEN }, 200],
  ])) {
    const response = await fetch(`${base}${path}`, { headers: fields });
    await response.text();
    assert.equal(response.status, status, path);
  }
  const account = await standin.account();
  assert.equal(account.length, 2);
  assert.ok(!JSON.stringify(account).includes(TOKEN));
  await stopProxy(proxy);
  assertLogMatches(account, readLog(proxy.cwd));
  assertNowhereUnder(proxy.cwd, [TOKEN]);
});

test('credentials are in no file: not in the log, and not in the spool of a proxy that was killed', async () => {
  await standin.reset();
  const { proxy, url } = await startProxy(standin.url);
  const client = await stalled(url);
  const secrets = ['sk-ant-made-up-key-0123456789'];
  assertNowhereUnder(proxy.home, secrets);
  proxy.child.kill('SIGKILL');
  await Promise.all([proxy.ended, client.ended]);
  assertNowhereUnder(proxy.home, secrets);
  await runCommand(['recover'], { cwd: proxy.cwd, home: proxy.home });
  assert.equal(readLog(proxy.cwd).length, 1);
  assertNowhereUnder(proxy.cwd, secrets);
});
