'use strict';

// A request whose body a rule gathers, before it goes up: it is on record while it comes.

const assert = require('node:assert/strict');
const http = require('node:http');
const http2 = require('node:http2');
const { after, test } = require('node:test');
const { recordsOf, stopProxy } = require('./support/command');
const { serveGated } = require('./support/gated-server');
const { recorded, ruled, spooled, values } = require('./support/ruled');

/** Of a test that failed in the middle as well. @type {{ close(): Promise<void> }[]} */
const upstreams = [];
after(() => Promise.all(upstreams.map((upstream) => upstream.close())));

async function serve() {
  const upstream = await serveGated(({ body, response }) => response.end(body));
  upstreams.push(upstream);
  return upstream;
}

const MASK = `
[[rule]]
name = "mask"
[rule.request]
headers.set = { x-team = "search" }
replace = [{ find = "secret", with = "***" }]
`;
const HALF = '{"text":"the first half of a secret, ';
const OTHER = '{"text":"half of another secret, ';
const HEADERS = { 'content-type': 'application/json', authorization: 'Bearer sk-made-up-and-long-enough-to-be-one', 'x-own': 'theirs' };

/** Sends half of a body, and nothing more. @param {string} url */
function sendHalf(url) {
  const request = http.request(url, { method: 'POST', headers: { ...HEADERS, 'content-length': `${HALF.length * 2}` } });
  const ended = new Promise((resolve) => request.on('error', resolve).on('response', () => resolve('a response')));
  request.write(HALF);
  return { request, ended };
}

/** It is on record as it came, of a client that was never answered. @param {any} record @param {string} body */
function assertCame(record, body) {
  assert.deepEqual([record.request.body, record.trace.request_bytes], [body, body.length]);
  assert.deepEqual([record.request.headers['x-own'], record.request.headers['x-team']], ['theirs', undefined]);
  assert.match(record.request.headers.authorization, /^Bearer \[?.*(REDACTED|\.\.\.)/);
  assert.deepEqual([record.response, record.trace.rules], [null, undefined], 'no rule has acted');
}

test('a proxy that is killed while a body comes leaves the head and the bytes that had come', async () => {
  const upstream = await serve();
  const { proxy, url } = await ruled(upstream.url, MASK);
  const { ended } = sendHalf(`${url}/v1/messages`);
  await spooled(proxy, HALF);
  proxy.child.kill('SIGKILL');
  await proxy.ended;
  assert.equal(/** @type {any} */ (await ended).code, 'ECONNRESET');
  const records = await recordsOf(proxy);
  assert.equal(upstream.begun(), 0);
  assert.equal(records.length, 1);
  const [{ value }] = records;
  assertCame(value, HALF);
  assert.deepEqual([value.trace.recovered, new URL(value.request.url).pathname], [true, '/v1/messages']);
  assert.match(value.note, /^ORPHANED_REQUEST/);
});

test('a client that leaves while its body comes is on record, and nothing of it goes up', async () => {
  const upstream = await serve();
  const { proxy, url } = await ruled(upstream.url, MASK);
  const { request, ended } = sendHalf(`${url}/http1`);
  await spooled(proxy, HALF);
  request.destroy();
  await ended;
  await recorded(proxy, '/http1');
  const session = http2.connect(url);
  const stream = session.request({ ':method': 'POST', ':path': '/http2', ...HEADERS });
  stream.on('error', () => {});
  stream.write(OTHER);
  await spooled(proxy, OTHER);
  stream.destroy();
  await recorded(proxy, '/http2');
  session.close();
  await stopProxy(proxy);
  assert.equal(upstream.begun(), 0);
  const records = values(proxy);
  assert.equal(records.length, 2);
  [HALF, OTHER].forEach((body, index) => assertCame(records[index], body));
  for (const { note } of records) assert.match(note, /^REQUEST_FAILED - ABORT_ERR/);
});

test('what has come whole is on record once: as it went up, from when it came, with what the rules did', async () => {
  const upstream = await serve();
  const { proxy, url } = await ruled(upstream.url, MASK);
  const [first, second] = ['{"text":"a ', 'secret"}'];
  const request = http.request(url, { method: 'POST', headers: { ...HEADERS, 'content-length': `${first.length + second.length}` } });
  const answered = new Promise((resolve, reject) => request.on('response', resolve).on('error', reject));
  request.write(first);
  await spooled(proxy, first);
  const before = Date.now() / 1000;
  request.end(second);
  const response = /** @type {http.IncomingMessage} */ (await answered);
  assert.equal(Buffer.concat(await response.toArray()).toString(), '{"text":"a ***"}');
  // Without a rule that finds anything, it is what came.
  assert.equal(await (await fetch(`${url}/plain`, { method: 'POST', body: 'nothing in it' })).text(), 'nothing in it');
  await stopProxy(proxy);
  const [masked, plain, ...others] = values(proxy);
  assert.deepEqual(others, []);
  assert.deepEqual([masked.request.body, masked.request.headers['x-team'], masked.request.headers['content-length']], [{ text: 'a ***' }, 'search', '16']);
  assert.deepEqual(masked.trace.rules, [{ name: 'mask', headers: ['request'], bodies: ['request'] }]);
  assert.ok(masked.request.timestamp < before, 'when it came, not when it went');
  assert.deepEqual([plain.request.body, plain.trace.request_bytes, plain.trace.rules], ['nothing in it', 13, [{ name: 'mask', headers: ['request'] }]]);
});

test('a body that is not changed, and one that is too large to be gathered, stand there once', async () => {
  const upstream = await serve();
  const { proxy, url } = await ruled(upstream.url, '[[rule]]\nname = "looks"\nrequest.replace = [{ find = "secret", with = "***" }]\n');
  const large = 'a secret '.repeat(4 << 20);
  for (const body of ['small', large]) assert.equal((await (await fetch(url, { method: 'POST', body })).text()).length, body.length);
  await stopProxy(proxy);
  const [small, whole, ...others] = values(proxy);
  assert.deepEqual(others, []);
  assert.deepEqual([small.request.body, small.trace.request_bytes, small.trace.rules], ['small', 5, undefined]);
  assert.deepEqual([whole.request.body === large, whole.trace.request_bytes], [true, large.length]);
  assert.deepEqual(whole.trace.rules, [{ name: 'looks', unread: ['request: it is larger than 32 MiB'] }]);
});
