'use strict';

// Rules that go by what messages of MCP ask for, on their way to a server over HTTP.

const assert = require('node:assert/strict');
const path = require('node:path');
const { after, test } = require('node:test');
const zlib = require('node:zlib');
const { Running, runCommand, startProxy, stopProxy } = require('./support/command');
const { serveGated } = require('./support/gated-server');
const { CLIENTS, RULES, RULES_SAY, ofMethod } = require('./support/mcp');
const { readLog } = require('./support/log');
const { ruled, rulesFile, values } = require('./support/ruled');

/** Of a test that failed in the middle as well. @type {{ close(): Promise<void> }[]} */
const upstreams = [];
after(() => Promise.all(upstreams.map((upstream) => upstream.close())));

/** A server that says what it was asked. */
async function serve() {
  const upstream = await serveGated(({ body, response }) => response.setHeader('content-type', 'application/json').end(body));
  upstreams.push(upstream);
  return upstream;
}

/** @param {string} url @param {unknown} message */
const post = (url, message) => fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(message) });
/** @param {number} id @param {string} name */
const call = (id, name) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name } });
const NO_DELETES = '[[rule]]\nname = "no deletes"\nmatch.tool = "delete_*"\nblock.message = "nothing is deleted"\n';

for (const json of [false, true]) {
  test(`the SDK's client gets what it gets on standard streams from the same file, with answers in ${json ? 'JSON' : 'streams of events'}`, async () => {
    const { startServer } = await import('./clients/mcp/http-server.mjs');
    const server = await startServer({ enableJsonResponse: json });
    upstreams.push({ close: async () => void (await server.stop().catch(() => {})) });
    const { proxy, url } = await ruled(server.url, RULES);
    // Its `count` closes the stream, which an answer of JSON does not survive.
    const client = new Running([path.join(CLIENTS, 'rules-client.mjs'), url, ...(json ? ['slow'] : [])], { program: process.execPath });
    const { code, stdout, stderr } = await client.ended;
    assert.deepEqual([code, stderr, stdout], [0, '', json ? RULES_SAY.replace(/^count[^]*/m, '') : RULES_SAY]);
    /** @type {any[]} */
    const account = await server.stop();
    await stopProxy(proxy);
    const asked = account.filter(({ asked }) => asked.length > 0).map(({ asked }) => JSON.parse(asked));
    assert.ok(!asked.some(({ params }) => params?.name === 'fail'), 'the server never sees it');
    const records = readLog(proxy.cwd);
    const [fail, add, slow] = ofMethod(records, 'tools/call');
    assert.deepEqual([fail.trace.rules, fail.trace.jsonrpc.error.code, fail.response.status_code], [[{ name: 'nothing fails here', answered: 403 }], -32003, 200]);
    const delayed = { name: 'slow sums', delayed_ms: 200 };
    assert.deepEqual([add.trace.rules, slow.trace.rules], [[delayed], [{ ...delayed, bodies: ['response'] }]]);
    assert.match(JSON.stringify(slow.response), /42/, 'the record has what the server said');
    // The stream breaks off and is resumed in another exchange, from the last event that the SDK was given: what was left out may come again.
    const quiet = records.flatMap(({ value }) => value.trace.rules ?? []).filter(({ name }) => name === 'quiet');
    const dropped = quiet.reduce((sum, { dropped }) => sum + dropped, 0);
    assert.ok(json ? dropped === 0 : dropped >= 3, `${dropped}`);
  });
}

test('what is blocked gets an error or is accepted, and a batch with it is refused whole', async () => {
  const upstream = await serve();
  const { proxy, url } = await ruled(upstream.url, `${NO_DELETES}[[rule]]\nname = "no cancelling"\nmatch = { method = "notifications/cancelled", path = "/mcp" }\nblock = {}\n`);
  const error = (/** @type {number} */ id) => ({ jsonrpc: '2.0', id, error: { code: -32003, message: 'nothing is deleted' } });
  const blocked = await post(`${url}/mcp`, call(7, 'delete_all'));
  assert.deepEqual([blocked.status, blocked.headers.get('content-type'), await blocked.json()], [200, 'application/json', error(7)]);
  const told = await post(`${url}/mcp`, { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 7 } });
  assert.deepEqual([told.status, await told.text()], [202, '']);
  const batch = [call(1, 'read'), { jsonrpc: '2.0', method: 'notifications/x' }, call(2, 'delete_one')];
  assert.deepEqual(await (await post(`${url}/mcp`, batch)).json(), [error(1), error(2)]);
  assert.equal(upstream.begun(), 0);
  // In another encoding it is the same call.
  const packed = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' }, body: zlib.gzipSync(JSON.stringify(call(3, 'delete_one'))) });
  assert.deepEqual(await packed.json(), error(3));
  for (const message of [call(4, 'read'), [call(5, 'read')], { jsonrpc: '2.0', id: 1, result: {} }, { name: 'delete_all' }]) {
    assert.deepEqual(await (await post(url, message)).json(), message, 'it is for nobody');
  }
  assert.equal(upstream.begun(), 4);
  await stopProxy(proxy);
  const [first, second, third, , ...others] = values(proxy);
  assert.deepEqual(first.request.body, call(7, 'delete_all'), 'as it came');
  assert.deepEqual(first.trace.rules, [{ name: 'no deletes', answered: 403 }]);
  assert.deepEqual(second.trace.rules, [{ name: 'no cancelling', answered: 403 }]);
  assert.deepEqual([third.trace.jsonrpc.errors.length, third.trace.jsonrpc.answered], [2, 2]);
  assert.deepEqual(others.map(({ trace }) => trace.rules), Array(4).fill(undefined));
});

test('rules for calls change heads and texts, beside those that go by heads', async () => {
  const upstream = await serve();
  const rules = `
    [[rule]]
    name = "all"
    request.headers.set = { x-all = "yes" }
    [[rule]]
    name = "reads"
    match = { tool = "read", path = "/mcp" }
    request.headers.set = { x-reads = "yes" }
    request.replace = [{ find = "secret", with = "***" }]
  `;
  const { proxy, url } = await ruled(upstream.url, rules);
  const read = (/** @type {string} */ name) => ({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, of: 'a secret' } });
  assert.match(await (await post(`${url}/mcp`, read('read'))).text(), /a \*\*\*/);
  assert.match(await (await post(`${url}/mcp`, read('write'))).text(), /a secret/);
  const seen = upstream.seen.map(({ request }) => [request.headers['x-all'], request.headers['x-reads'], request.headers['content-length']]);
  assert.deepEqual(seen, [['yes', 'yes', `${JSON.stringify(read('read')).length - 3}`], ['yes', undefined, `${JSON.stringify(read('write')).length}`]]);
  await stopProxy(proxy);
  const [both, one] = values(proxy);
  assert.deepEqual(both.trace.rules, [{ name: 'all', headers: ['request'] }, { name: 'reads', headers: ['request'], bodies: ['request'] }]);
  assert.deepEqual(one.trace.rules, [{ name: 'all', headers: ['request'] }]);
});

test('what cannot be read passes without rules for calls, and the record says so', async () => {
  const upstream = await serve();
  const { proxy, url } = await ruled(upstream.url, `${NO_DELETES}[[rule]]\nname = "elsewhere"\nmatch = { tool = "x", path = "/other" }\nblock = {}\n`);
  const large = JSON.stringify({ ...call(1, 'delete_all'), pad: 'x'.repeat(32 << 20) });
  for (const [type, body] of [['application/json', large], ['image/png', 'x'], ['application/json', '{"jsonrpc":"2.0"']]) {
    const answer = await fetch(url, { method: 'POST', headers: { 'content-type': type }, body });
    assert.equal((await answer.text()).length, body.length);
  }
  assert.equal(await (await fetch(url)).text(), '', 'of a GET nothing is asked');
  await stopProxy(proxy);
  assert.deepEqual(upstream.seen.map(({ body }) => body.length), [large.length, 1, 16, 0]);
  const said = values(proxy).map(({ trace }) => trace.rules);
  const unread = (/** @type {string} */ why) => [{ name: 'no deletes', unread: [`request: ${why}`] }];
  assert.deepEqual(said, [unread('it is larger than 32 MiB'), unread('image/png is no text'), undefined, undefined]);
});

test('a file that means something on one transport alone is refused on the other', async () => {
  const both = await runCommand(['rules', 'check', rulesFile(RULES)]);
  assert.match(both.stdout, /ok: 3 rules/);
  const heads = rulesFile('[[rule]]\nname = "x"\nmatch = { tool = "a" }\nevents = { types = "b", drop = true }\nblock.status = 404\n');
  const proxied = await startProxy('http://127.0.0.1:9', ['--rules', heads]).catch((error) => error.message);
  assert.match(proxied, /there is no `status`/);
  assert.match(proxied, /events: over HTTP a server's notifications are known by their `types`/);
});
