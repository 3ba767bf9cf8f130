'use strict';

// `claude-trace proxy` between real clients and the stand-in: what they get, and what is on record.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { promisify } = require('node:util');
const { assertLogMatches, isPartial, readLog } = require('./support/log');
const { startProxy, stopProxy, versionOf } = require('./support/command');
const { freshFolder, runClient } = require('./support/run-client');
const { Standin } = require('./support/standin');

/** @type {import('./support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

/**
 * What differs for a reason. Trailers: these clients do not say that they take them, and hyper keeps to that (RFC 9110 §6.5.1).
 * A reset upstream reaches the client as the end of its connection in the middle of a body.
 */
const OTHERWISE = ['trailers', 'request with trailers', 'reset in mid-stream'];

/** @param {string} stdout @param {string} url */
function steps(stdout, url) {
  const lines = stdout.replaceAll(url, 'URL').split('\n').filter(Boolean).map((line) => JSON.parse(line));
  // The place of `content-length: 0` among the fields is hyper's.
  return lines.filter(({ step }) => !OTHERWISE.includes(step)).map((line) => JSON.stringify(line).replace(/("content-length","0"),("connection","[a-z-]+")/, '$2,$1'));
}

// What Node's clients do, they do through the proxy; only who they speak to differs.
for (const client of ['fetch.mjs', 'undici.mjs', 'node-http.cjs', 'axios.mjs', 'got.mjs', 'node-fetch.mjs']) {
  test(`${client} gets the same through the proxy, and each of its exchanges is on record`, async () => {
    await standin.reset();
    const direct = await runClient(client, { env: standin.env });
    await standin.account();
    await standin.reset();
    const { proxy, url } = await startProxy(standin.url);
    const through = await runClient(client, { env: { ...standin.env, STANDIN_URL: url, ANTHROPIC_BASE_URL: url } });
    const account = await standin.account();
    await stopProxy(proxy);
    assert.deepEqual(steps(through.stdout, url), steps(direct.stdout, standin.url));
    assert.equal(through.stderr.replaceAll(url, 'URL'), direct.stderr.replaceAll(standin.url, 'URL'));
    assert.deepEqual([through.code, through.signal], [direct.code, direct.signal]);
    // Those that it sends to other listeners of the stand-in do not pass here.
    assertLogMatches(account.filter((entry) => entry.url.startsWith(standin.url)), readLog(proxy.cwd));
  });
}

test('curl, with a body that waits for leave and a compressed answer', async (t) => {
  if (versionOf('curl') === null) return t.skip('there is no curl');
  const body = path.join(freshFolder(), 'body.json');
  const messages = [{ role: 'user', content: 'x'.repeat(2 << 20) }];
  fs.writeFileSync(body, JSON.stringify({ model: 'claude-standin-text+gzip', max_tokens: 5, stream: true, messages }));
  const curl = (/** @type {string} */ url) =>
    promisify(execFile)('curl', ['-sS', '-v', '--compressed', '-H', 'content-type: application/json', '-H', 'Expect: 100-continue', '--data-binary', `@${body}`, `${url}/v1/messages`]);
  await standin.reset();
  const { proxy, url } = await startProxy(standin.url);
  const direct = await curl(standin.url);
  const through = await curl(url);
  assert.equal(through.stdout.replaceAll(/standin_\d+/g, 'ID'), direct.stdout.replaceAll(/standin_\d+/g, 'ID'));
  for (const { stderr } of [direct, through]) assert.match(stderr, /< HTTP\/1\.1 100 Continue/);
  const account = (await standin.account()).slice(1);
  await stopProxy(proxy);
  const [{ record }] = assertLogMatches(account, readLog(proxy.cwd));
  assert.ok(!isPartial(record));
  assert.equal(record.value.trace.content_encoding, 'gzip');
});

test('what it says: the URL alone on stdout, the rest on stderr', async () => {
  const { proxy } = await startProxy(standin.url);
  const { stdout, stderr } = await stopProxy(proxy);
  assert.match(stdout, /^http:\/\/127\.0\.0\.1:\d+\n$/);
  assert.equal(stderr, `claude-trace: recording what passes to ${standin.url}\nclaude-trace: nothing was recorded\n`);
  const { proxy: json } = await startProxy(standin.url, ['--json']);
  const said = JSON.parse((await stopProxy(json)).stdout);
  assert.deepEqual([Object.keys(said), said.upstream, said.pid], [['url', 'upstream', 'pid'], standin.url, json.child.pid]);
});

test('the log has the name and the folder that were asked for', async () => {
  await standin.reset();
  const { proxy, url } = await startProxy(standin.url, ['--log', 'mine', '--log-dir', 'logs', '--no-zero-latency']);
  await fetch(`${url}/v1/messages/bytes?n=10`).then((response) => response.text());
  const { stderr } = await stopProxy(proxy);
  const file = path.join(fs.realpathSync(proxy.cwd), 'logs/mine.jsonl');
  assert.ok(stderr.endsWith(`claude-trace: 1 exchange recorded in ${file}\n`), stderr);
  assertLogMatches(await standin.account(), readLog(proxy.cwd, 'logs'));
});
