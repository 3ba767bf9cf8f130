'use strict';

// `--rules FILE` between real clients and upstreams: what the client gets, what the upstream got, and what is on record.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const http2 = require('node:http2');
const path = require('node:path');
const { after, before, test } = require('node:test');
const zlib = require('node:zlib');
const { AGENT, recordsOf, runCommand, startProxy, stepsOf, stopProxy } = require('./support/command');
const { gate, serveGated } = require('./support/gated-server');
const { assertLogMatches, readLog } = require('./support/log');
const { recorded, ruled, rulesFile, values } = require('./support/ruled');
const { runClient } = require('./support/run-client');
const { Standin } = require('./support/standin');

/** @type {import('./support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

/** Those of tests that failed in the middle as well. @type {{ close(): Promise<void> }[]} */
const upstreams = [];
after(() => Promise.all(upstreams.map((upstream) => upstream.close())));

/** @param {(asked: import('./support/gated-server').Asked) => unknown} answer */
async function serve(answer) {
  const upstream = await serveGated(answer);
  upstreams.push(upstream);
  return upstream;
}

/** Reads a body until it has those words, and leaves the rest. @param {ReadableStreamDefaultReader<Uint8Array>} reader @param {string} words */
async function readTo(reader, words) {
  const decoder = new TextDecoder();
  let text = '';
  while (!text.includes(words)) {
    const { done, value } = await reader.read();
    assert.ok(!done, `it ended without ${words}: ${text}`);
    text += decoder.decode(value, { stream: true });
  }
  return text;
}

/** @param {string} url */
async function anthropic(url) {
  const { default: Anthropic } = await import('@anthropic-ai/sdk');
  return { Anthropic, client: new Anthropic({ baseURL: url, apiKey: 'sk-ant-made-up', maxRetries: 0 }) };
}

const ASK = { model: 'claude-standin-text', max_tokens: 100, messages: /** @type {any} */ ([{ role: 'user', content: 'hi' }]) };
/** Looks at everything, and finds nothing. */
const LOOKS = `
[[rule]]
name = "looks"
request.replace = [{ find = "nowhere to be found", with = "" }]
response.replace = [{ find = "nowhere to be found", with = "" }]
events.replace = [{ find = "nowhere to be found", with = "" }]
`;

test('the example of docs/rules.md: the SDK of Anthropic gets what the rules say', async () => {
  const docs = fs.readFileSync(path.join(__dirname, '../docs/rules.md'), 'utf8');
  const example = /** @type {string} */ (docs.match(/```toml\n([\s\S]*?)```/)?.[1]);
  const checked = await runCommand(['rules', 'check', rulesFile(example)]);
  assert.match(checked.stdout, /rules\.toml: ok: 4 rules: overloaded, slow typing, no pings, no keys\n$/);
  await standin.reset();
  const { proxy, url } = await ruled(standin.url, example);
  const { Anthropic, client } = await anthropic(url);
  /** @type {string[]} */
  const deltas = [];
  const types = [];
  const messages = /** @type {any} */ ([{ role: 'user', content: 'my key is AKIA0123456789ABCDEF' }]);
  const stream = client.messages.stream({ ...ASK, messages }).on('text', (text) => deltas.push(text));
  for await (const event of stream) types.push(event.type);
  const message = await stream.finalMessage();
  assert.ok(deltas.length > 1 && deltas.every((text) => /^<.*>$/s.test(text)), JSON.stringify(deltas));
  assert.deepEqual(message.content.map((block) => block.type === 'text' && block.text), [deltas.join('')]);
  const blocked = await client.messages.batches.create({ requests: [] }).catch((error) => error);
  assert.ok(blocked instanceof Anthropic.APIError);
  assert.deepEqual([blocked.status, blocked.headers?.get('retry-after'), /** @type {any} */ (blocked.error).error.type], [529, '1', 'overloaded_error']);
  const account = await standin.account();
  await stopProxy(proxy);
  const [asked, refused] = values(proxy);
  // The wire is on record, and it is what the upstream saw and said.
  assert.equal(account.length, 1);
  assertLogMatches(account, readLog(proxy.cwd).filter(({ value }) => value.trace.id === asked.trace.id));
  assert.match(JSON.stringify(asked.request.body), /my key is \(a key\)/);
  assert.equal(asked.request.headers['x-team'], 'search');
  assert.equal(asked.request.headers['x-stainless-os'], undefined);
  assert.ok(asked.response.body_raw.includes('event: ping') && !asked.response.body_raw.includes('"text":"<'));
  const pings = asked.response.body_raw.split('event: ping').length - 1;
  const expected = [
    { name: 'slow typing', delayed_ms: 20 * deltas.length },
    { name: 'no pings', dropped: pings },
    { name: 'no keys', headers: ['request'], bodies: ['request'], replaced: deltas.length },
  ];
  assert.deepEqual(asked.trace.rules, expected);
  assert.equal(types.includes(/** @type {any} */ ('ping')), false);
  assert.deepEqual(refused.trace.rules, [{ name: 'overloaded', answered: 529 }]);
  assert.deepEqual([refused.response.status_code, refused.response.body.error.message], [529, 'claude-trace: blocked by rule "overloaded"']);
});

test('clients get the same through rules that find nothing, and nothing is said of them', async () => {
  await standin.reset();
  const direct = await runClient('anthropic-sdk.mjs', { env: standin.env });
  await standin.reset();
  const { proxy, url } = await ruled(standin.url, LOOKS);
  const through = await runClient('anthropic-sdk.mjs', { env: { ...standin.env, STANDIN_URL: url, ANTHROPIC_BASE_URL: url } });
  const account = await standin.account();
  await stopProxy(proxy);
  assert.equal(through.stderr.replaceAll(url, 'URL'), direct.stderr.replaceAll(standin.url, 'URL'));
  assert.equal(through.stdout.replaceAll(url, 'URL'), direct.stdout.replaceAll(standin.url, 'URL'));
  assertLogMatches(account.filter((entry) => entry.url.startsWith(standin.url)), readLog(proxy.cwd));
  // Streams that come encoded are decoded; a body that is not changed passes as it came.
  const said = values(proxy).filter((record) => record.trace.rules !== undefined).map((record) => [record.request.url, record.trace.rules]);
  assert.deepEqual(said, []);
});

test('exchanges that no rule matches are not touched: encodings, lengths, order of fields', async () => {
  const packed = zlib.gzipSync('{"a":"secret"}');
  const upstream = await serve(({ response }) => {
    response.writeHead(200, ['Content-Type', 'application/json', 'Content-Encoding', 'gzip', 'X-Last', '1', 'Content-Length', `${packed.length}`]);
    response.end(packed);
  });
  const rules = '[[rule]]\nname = "a"\nmatch.path = "/other"\nresponse.replace = [{ find = "secret", with = "x" }]\n';
  const { proxy, url } = await ruled(upstream.url, rules);
  const bare = await startProxy(upstream.url);
  const get = (/** @type {string} */ base, /** @type {string} */ target) =>
    new Promise((resolve, reject) => {
      const request = http.get(base + target, { headers: { 'Accept-Encoding': 'gzip' } }, async (response) => {
        const body = Buffer.concat(await response.toArray());
        resolve({ fields: response.rawHeaders.filter((_, index, all) => !/^date$/i.test(all[index - (index % 2)])), body: body.toString('latin1') });
      });
      request.on('error', reject);
    });
  const [through, without] = [await get(url, '/this'), await get(bare.url, '/this')];
  assert.deepEqual(through, without);
  assert.deepEqual([/** @type {any} */ (through).body, upstream.seen[0].request.rawHeaders], [packed.toString('latin1'), upstream.seen[1].request.rawHeaders]);
  const changed = /** @type {any} */ (await get(url, '/other'));
  assert.equal(changed.body, '{"a":"x"}');
  assert.deepEqual([changed.fields.includes('Content-Encoding'), changed.fields[changed.fields.findIndex((/** @type {string} */ name) => /^content-length$/i.test(name)) + 1]], [false, '9']);
  assert.equal(upstream.seen[2].request.headers['accept-encoding'], 'identity');
  await stopProxy(proxy);
  await upstream.close();
  await stopProxy(bare.proxy);
  const [plain, ruledOne] = values(proxy);
  assert.deepEqual([plain.trace.rules, ruledOne.trace.rules], [undefined, [{ name: 'a', bodies: ['response'] }]]);
  assert.deepEqual([ruledOne.response.body, ruledOne.trace.content_encoding], [{ a: 'secret' }, 'gzip']);
});

test('an event goes on at once and waits for nobody; one that is delayed waits; who goes away ends the request', async () => {
  const next = gate();
  const upstream = await serve(async ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('event: a\ndata: 1\n\n');
    await next.opened;
    response.write('event: a\ndata: 2\n\nevent: late\ndata: 3\n\n');
  });
  const rules = '[[rule]]\nname = "late"\nevents = { types = "late", delay = "10m" }\n';
  const { proxy, url } = await ruled(upstream.url, rules);
  const leaving = new AbortController();
  const response = await fetch(url, { signal: leaving.signal });
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  assert.equal(await readTo(reader, 'data: 1\n\n'), 'event: a\ndata: 1\n\n', 'it is here while the upstream says nothing');
  next.open();
  assert.equal(await readTo(reader, 'data: 2\n\n'), 'event: a\ndata: 2\n\n', 'without the one that waits for ten minutes');
  leaving.abort();
  await upstream.seen[0].closed;
  await stopProxy(proxy);
  await upstream.close();
  const [record] = values(proxy);
  assert.deepEqual(record.trace.rules, [{ name: 'late', delayed_ms: 600_000 }]);
  assert.equal(record.response.body_raw, 'event: a\ndata: 1\n\nevent: a\ndata: 2\n\nevent: late\ndata: 3\n\n');
  assert.equal(record.trace.error.code, 'ABORT_ERR');
});

test('a delayed request has not reached the upstream when others have, and is on record if its client leaves', async () => {
  const upstream = await serve(({ request, response }) => response.end(request.url));
  const rules = `
    [[rule]]
    name = "never"
    match.path = "/never"
    request.delay = "10m"
    [[rule]]
    name = "soon"
    match.path = "/soon"
    request.delay = "30ms"
    response.delay = "30ms"
    response.headers.set = { x-slow = "yes" }
  `;
  const { proxy, url } = await ruled(upstream.url, rules);
  const leaving = new AbortController();
  const never = fetch(`${url}/never`, { signal: leaving.signal }).catch((error) => error.name);
  const begun = performance.now();
  const soon = await fetch(`${url}/soon`);
  assert.deepEqual([await soon.text(), soon.headers.get('x-slow')], ['/soon', 'yes']);
  assert.ok(performance.now() - begun >= 59, 'both waits');
  assert.deepEqual(upstream.seen.map(({ request }) => request.url), ['/soon']);
  leaving.abort();
  assert.equal(await never, 'AbortError');
  // Nobody but the proxy can see that: a proxy that is stopped before would say that it was.
  await recorded(proxy, '/never');
  await stopProxy(proxy);
  await upstream.close();
  const records = new Map(values(proxy).map((record) => [new URL(record.request.url).pathname, record]));
  assert.deepEqual(records.get('/soon').trace.rules, [{ name: 'soon', delayed_ms: 60, headers: ['response'] }]);
  assert.equal(records.get('/soon').response.headers['x-slow'], undefined, 'the upstream has not said it');
  const { trace, note } = records.get('/never');
  assert.deepEqual(trace.rules, [{ name: 'never', delayed_ms: 600_000 }]);
  assert.match(note, /^REQUEST_FAILED - ABORT_ERR/);
});

test('a blocked request gets our answer or none, with a large body as well, and never gets out', async () => {
  const upstream = await serve(({ response }) => response.end('no'));
  const rules = `
    [[rule]]
    name = "cut"
    match.path = "/cut"
    block.abort = true
    [[rule]]
    name = "teapot"
    block = { status = 418, body = "short and stout" }
  `;
  const { proxy, url } = await ruled(upstream.url, rules);
  const body = 'x'.repeat(8 << 20);
  const teapot = await fetch(`${url}/tea`, { method: 'POST', body });
  assert.deepEqual([teapot.status, teapot.headers.get('content-type'), await teapot.text()], [418, 'text/plain; charset=utf-8', 'short and stout']);
  const cut = await fetch(`${url}/cut`, { method: 'POST', body: 'x' }).catch((error) => error.cause?.code);
  assert.equal(cut, 'UND_ERR_SOCKET');
  const session = http2.connect(url);
  const stream = session.request({ ':path': '/cut' });
  const error = await new Promise((resolve) => stream.on('error', resolve).on('response', () => resolve('a response')));
  assert.equal(error.code, 'ERR_HTTP2_STREAM_ERROR');
  session.close();
  assert.equal(upstream.seen.length, 0);
  await stopProxy(proxy);
  await upstream.close();
  const [first, second, third] = values(proxy);
  assert.deepEqual([first.request.body.length, first.response.body_raw], [body.length, 'short and stout']);
  for (const record of [second, third]) {
    assert.equal(record.note, 'REQUEST_FAILED - ERR_BLOCKED: a rule broke the connection off');
    assert.deepEqual(record.trace.rules, [{ name: 'cut', aborted: true }]);
  }
});

test('HTTP/2, and a stream that is compressed in spite of what was asked for, cut anywhere', async () => {
  const upstream = await serve(async ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip', etag: 'x' });
    const gzip = zlib.createGzip();
    gzip.on('data', (chunk) => {
      for (const byte of chunk) response.write(Buffer.from([byte]));
    });
    gzip.on('end', () => response.end());
    for (const word of ['one', 'two', 'three']) {
      gzip.write(`event: word\r\ndata: ${word}\r\n\r\n`);
      await new Promise((resolve) => gzip.flush(() => resolve(undefined)));
    }
    gzip.end(': the end\n');
  });
  const rules = "[[rule]]\nname = \"w\"\nevents.replace = [{ regex = '^t(.*)$', with = '($1)' }]\n";
  const { proxy, url } = await ruled(upstream.url, rules);
  const session = http2.connect(url);
  const stream = session.request({ ':path': '/', 'accept-encoding': 'gzip' });
  const headers = await new Promise((resolve, reject) => stream.on('response', resolve).on('error', reject));
  const text = Buffer.concat(await stream.toArray()).toString();
  session.close();
  assert.equal(text, 'event: word\r\ndata: one\r\n\r\nevent: word\r\ndata: (wo)\r\n\r\nevent: word\r\ndata: (hree)\r\n\r\n: the end\n');
  assert.deepEqual([headers['content-encoding'], headers[':status'], headers.etag], [undefined, 200, 'x']);
  await stopProxy(proxy);
  await upstream.close();
  const [record] = values(proxy);
  assert.deepEqual(record.trace.rules, [{ name: 'w', replaced: 2 }]);
  assert.match(record.response.body_raw, /data: two\r\n/);
});

test('a rule that would break JSON is out, the bytes go on, and the record names it', async () => {
  const events = ['data: {"a":"first"}\n\n', 'data: {"a":"second"}\n\n', 'data: {"a":"first again"}\n\n'];
  const upstream = await serve(({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(events.join(''));
  });
  const rules = `
    [[rule]]
    name = "breaks"
    events.replace = [{ find = "second", with = 'the "second"' }]
    [[rule]]
    name = "works"
    events.replace = [{ find = "first", with = "1st" }]
    [[rule]]
    name = "for bodies"
    response.replace = [{ find = "first", with = "never" }]
  `;
  const { proxy, url } = await ruled(upstream.url, rules);
  assert.equal(await (await fetch(url)).text(), events.join('').replaceAll('first', '1st'));
  await stopProxy(proxy);
  await upstream.close();
  const [breaks, works, unread] = values(proxy)[0].trace.rules;
  assert.match(breaks.failed, /^event 1: its replacement leaves no JSON of what was JSON/);
  assert.deepEqual(works, { name: 'works', replaced: 2 });
  assert.deepEqual(unread, { name: 'for bodies', unread: ['response: it is a stream of events, which `events.replace` is for'] });
});

test('what is not looked at passes, and the record says why', async () => {
  const upstream = await serve(({ request, response }) => {
    const type = request.url === '/events' ? 'text/event-stream' : 'image/png';
    response.writeHead(200, { 'content-type': type, ...(request.url === '/own' && { 'content-encoding': 'own', 'content-type': 'application/json' }) });
    response.end('data: {"a":"secret"}\n\n');
  });
  const rules = '[[rule]]\nname = "r"\nrequest.replace = [{ find = "a", with = "b" }]\nresponse.replace = [{ find = "secret", with = "x" }]\n';
  const { proxy, url } = await ruled(upstream.url, rules);
  for (const target of ['/events', '/image', '/own']) assert.equal(await (await fetch(url + target)).text(), 'data: {"a":"secret"}\n\n');
  await fetch(url, { method: 'POST', headers: { 'content-type': 'application/octet-stream' }, body: 'aaa' });
  assert.equal(upstream.seen[3].body, 'aaa');
  await stopProxy(proxy);
  await upstream.close();
  const unread = values(proxy).map((record) => record.trace.rules[0].unread);
  assert.deepEqual(unread, [
    ['response: it is a stream of events, which `events.replace` is for'],
    ['response: image/png is no text'],
    ['response: it is encoded in what is not known here: content-encoding own'],
    ['request: application/octet-stream is no text', 'response: image/png is no text'],
  ]);
});

test('a proxy that is killed in mid-stream leaves what was said and what its rules did', async () => {
  const upstream = await serve(({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: secret 1\n\ndata: secret 2\n\n');
  });
  const { proxy, url } = await ruled(upstream.url, '[[rule]]\nname = "mask"\nevents.replace = [{ find = "secret", with = "***" }]\n');
  const reader = /** @type {ReadableStream<Uint8Array>} */ ((await fetch(url)).body).getReader();
  assert.equal(await readTo(reader, '2\n\n'), 'data: *** 1\n\ndata: *** 2\n\n');
  proxy.child.kill('SIGKILL');
  await proxy.ended;
  await assert.rejects(reader.read());
  const [{ value }] = await recordsOf(proxy);
  await upstream.close();
  assert.equal(value.response.body_raw, 'data: secret 1\n\ndata: secret 2\n\n');
  assert.deepEqual([value.trace.recovered, value.trace.rules], [true, [{ name: 'mask', replaced: 2 }]]);
});

test('the launcher: a Node program goes through a proxy, mitm heeds rules, and what cannot is refused', async () => {
  const rules = '[[rule]]\nname = "shout"\nevents = { types = "content_block_delta", replace = [{ regex = \'("text":")([^"]+)\', with = \'${1}SHOUT\' }] }\n';
  const file = rulesFile(rules);
  await standin.reset();
  const proxied = await runCommand(['run', '--rules', file, '--', process.execPath, AGENT, 'ask'], { env: { ANTHROPIC_BASE_URL: standin.url } });
  assert.equal(proxied.code, 0, proxied.stderr);
  assert.match(stepsOf(proxied.stdout).ask.text, /"text":"SHOUT"/);
  assert.match(proxied.stderr, /^claude-trace: 1 rule of .*rules\.toml act/);
  const [{ value }] = readLog(proxied.cwd);
  assert.deepEqual([value.trace.via, value.trace.rules[0].name], ['proxy', 'shout']);

  const api = standin.env.STANDIN_HTTPS;
  const root = path.join(__dirname, '../fixtures/standin/tls/cert.pem');
  const words = ['run', '--capture', 'mitm', '--ca-file', root, '--rules', file, '--', process.execPath, path.join(__dirname, 'clients/env-proxy.cjs'), 'ask'];
  const intercepted = await runCommand(words, { env: { STANDIN_API: api, CLAUDE_TRACE_HOSTS: api } });
  assert.match(stepsOf(intercepted.stdout).ask.text, /"text":"SHOUT"/, intercepted.stderr);

  const refused = await runCommand(['run', '--rules', file, '--capture', 'node', '--', process.execPath, AGENT, 'ask'], { env: { ANTHROPIC_BASE_URL: standin.url } });
  assert.deepEqual([refused.code, refused.stdout], [2, '']);
  assert.equal(refused.stderr, 'claude-trace: --rules acts on what passes a proxy, and --capture node and bun have none: use --capture proxy or mitm\n');
});

test('a file with mistakes is refused before anything starts, with every line that is wrong', async () => {
  const file = rulesFile('[[rule]]\nname = "slow"\nmatsch = { path = "/x" }\nrequest.delay = "1 sec"\n');
  const expected = [
    `claude-trace: the rules in ${file} have 2 mistakes:`,
    `${file}:3:1: rule "slow": there is no \`matsch\`; did you mean \`match\`? allowed: name, order, match, block, request, response, events`,
    `${file}:4:17: rule "slow": request.delay: "1 sec" is no duration; allowed: "250ms", "1.5s" or "2m", up to 10m`,
    '',
  ].join('\n');
  for (const words of [['rules', 'check', file], ['proxy', '--rules', file], ['run', '--rules', file, '--', process.execPath, AGENT, 'pid']]) {
    const done = await runCommand(words);
    assert.deepEqual([done.code, done.stdout, done.stderr], [2, '', expected], words.join(' '));
  }
  const good = rulesFile('[[rule]]\nname = "a"\nrequest.delay = "1ms"\n');
  const json = await runCommand(['rules', 'check', '--json', file, good, '/no/such/file']);
  const told = JSON.parse(json.stdout);
  assert.deepEqual([json.code, told.ok, told.files.map((/** @type {any} */ one) => one.ok)], [2, false, [false, true, false]]);
  assert.deepEqual(told.files[0].mistakes[1], { line: 4, column: 17, field: 'rule "slow": request.delay', message: '"1 sec" is no duration; allowed: "250ms", "1.5s" or "2m", up to 10m' });
  assert.deepEqual([told.files[1].rules, /cannot read/.test(told.files[2].error)], [['a'], true]);
});
