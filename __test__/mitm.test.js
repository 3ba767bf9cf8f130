'use strict';

// `claude-trace --capture mitm` in front of clients of several languages: hosts that match are decrypted and recorded, all
// others see their server's own certificate.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { Running, runCommand, script, stepsOf, versionOf } = require('./support/command');
const { assertLogMatches, assertNowhereUnder, isPartial, readLog } = require('./support/log');
const { freshFolder } = require('./support/run-client');
const { Standin } = require('./support/standin');

/** @type {import('./support/standin').Standin} */
let standin;
/** Its origin of TLS. */
let api = '';
before(async () => {
  standin = await Standin.start();
  api = standin.env.STANDIN_HTTPS;
});
after(() => standin.stop());

const ROOT = path.join(__dirname, '../fixtures/standin/tls/cert.pem');
const CLIENT = path.join(__dirname, 'clients/env-proxy.cjs');
const NODE = process.execPath;
/** @param {string[]} words */
const mitm = (...words) => ['run', '--capture', 'mitm', '--ca-file', ROOT, '--', ...words];
/** @param {string} home */
const data = (home) => path.join(home, '.local/share/claude-trace-native');

/** A client whose API is the stand-in's TLS. @param {string[]} words @param {import('./support/command').Options} [options] */
async function run(words, { env, ...options } = {}) {
  await standin.reset();
  const told = { STANDIN_API: api, CLAUDE_TRACE_HOSTS: api, ...env };
  return runCommand(mitm(...words), { env: told, ...options });
}

/** Holds the log against what the stand-in saw. @param {{ cwd: string, stderr: string }} run @param {number} count */
async function assertRecorded(run, count) {
  const matches = assertLogMatches(await standin.account(), readLog(run.cwd));
  assert.ok(matches.every(({ record }) => !isPartial(record)));
  assert.equal(matches.length, count);
  assert.ok(run.stderr.includes(`claude-trace: ${count} exchange${count === 1 ? '' : 's'} recorded in `), run.stderr);
  return matches.map(({ record }) => record.value);
}

test('a client of undici’s is recorded, and nothing secret is kept', async () => {
  const traced = await run([NODE, CLIENT, 'ask+around']);
  const { ask, around } = stepsOf(traced.stdout);
  assert.deepEqual([ask.status, traced.code], [200, 0]);
  const [record] = await assertRecorded(traced, 1);
  assert.equal(record.response.body_raw, ask.text);
  assert.deepEqual([record.request.url, record.trace.via], [`${api}/v1/messages?beta=true`, 'proxy']);
  const token = new URL(around.variables.HTTPS_PROXY).password;
  assert.match(token, /^[0-9a-f]{32}$/);
  for (const folder of [traced.cwd, traced.home]) assertNowhereUnder(folder, [token, 'sk-ant-made-up-key-0123456789']);
});

const [major, minor] = process.versions.node.split('.').map(Number);
const nodeProxies = major > 24 || (major === 24 && minor >= 5) || (major === 22 && minor >= 21);

test('Node’s own fetch and node:https', { skip: !nodeProxies && `Node ${process.versions.node} heeds no NODE_USE_ENV_PROXY` }, async () => {
  const client = script(
    'client.mjs',
    `import https from 'node:https';
const url = process.env.STANDIN_API + '/v1/messages/bytes?n=';
console.log((await fetch(url + 5).then((response) => response.arrayBuffer())).byteLength);
https.get(url + 6, (response) => response.on('data', (bytes) => console.log(bytes.length)));
`,
  );
  const traced = await run([NODE, client]);
  assert.equal(traced.stdout, '5\n6\n', traced.stderr);
  await assertRecorded(traced, 2);
});

test('curl, in the protocol that the server agrees to', { skip: versionOf('curl') === null && 'there is no curl here' }, async () => {
  for (const [option, version, http] of [['--http2', 'HTTP/2', '2'], ['--http1.1', 'HTTP/1.1', '1.1']]) {
    const args = ['-sS', option, '-o', '/dev/null', '-w', '%{http_version} %{http_code} %{size_download}', `${api}/v1/messages/bytes?n=100000`];
    const traced = await run(['curl', ...args]);
    assert.equal(`HTTP/${traced.stdout}`, `${version} 200 100000`, traced.stderr);
    const [record] = await assertRecorded(traced, 1);
    assert.equal(record.trace.http, http);
  }
});

test('curl over plain HTTP', { skip: versionOf('curl') === null && 'there is no curl here' }, async () => {
  const traced = await run(['curl', '-sS', `${standin.url}/v1/messages/bytes?n=9`], { env: { CLAUDE_TRACE_HOSTS: standin.url } });
  assert.equal(traced.code, 0, traced.stderr);
  const [record] = await assertRecorded(traced, 1);
  assert.equal(record.request.url, `${standin.url}/v1/messages/bytes?n=9`);
});

const python = versionOf('python3');
const hasRequests = python !== null && succeeds(['python3', '-c', 'import requests']);

/** @param {string[]} words */
function succeeds([program, ...args]) {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

for (const [library, skip, code] of /** @type {const} */ ([
  ['urllib', python === null && 'there is no Python here', 'import os, urllib.request\nprint(len(urllib.request.urlopen(os.environ["STANDIN_API"] + "/v1/messages/bytes?n=7").read()))'],
  ['requests', !hasRequests && 'there is no Python with requests here', 'import os, requests\nprint(len(requests.get(os.environ["STANDIN_API"] + "/v1/messages/bytes?n=7").content))'],
])) {
  test(`Python’s ${library}`, { skip }, async () => {
    const traced = await run(['python3', '-c', code]);
    assert.equal(traced.stdout, '7\n', traced.stderr);
    await assertRecorded(traced, 1);
  });
}

test('a host that matches is vouched for by us, any other by itself, and of that nothing is recorded', async () => {
  const matched = await run([NODE, CLIENT, 'certificate']);
  const [subject, issuer] = stepsOf(matched.stdout).certificate;
  assert.equal(subject, '127.0.0.1');
  assert.match(issuer, /^claude-trace local CA \d+$/);
  for (const hosts of ['', 'api.openai.com', `https://127.0.0.1:${Number(new URL(api).port) - 1}`]) {
    const unmatched = await run([NODE, CLIENT, 'certificate+ask'], { env: { CLAUDE_TRACE_HOSTS: hosts, NODE_EXTRA_CA_CERTS: ROOT, NO_PROXY: 'x' } });
    const { certificate, ask } = stepsOf(unmatched.stdout);
    assert.deepEqual([certificate, ask.status], [['claude-trace stand-in', 'claude-trace stand-in'], 200], unmatched.stderr);
    assert.match(unmatched.stderr, /nothing was recorded/);
    assert.ok(!fs.existsSync(path.join(unmatched.cwd, '.claude-trace')));
  }
});

test('whoever does not show the token of this run gets a 407, and no further', async () => {
  const { stdout, stderr } = await run([NODE, CLIENT, 'strangers']);
  assert.deepEqual(stepsOf(stdout).strangers, [407, 407, 407, 407], stderr);
  assert.deepEqual(await standin.account(), []);
});

test('a server that nobody vouches for is refused, in words, and that is on record', async () => {
  await standin.reset();
  const args = ['run', '--capture', 'mitm', '--', NODE, CLIENT, 'ask'];
  const refused = await runCommand(args, { env: { STANDIN_API: api, CLAUDE_TRACE_HOSTS: api } });
  const { ask } = stepsOf(refused.stdout);
  assert.equal(ask.status, 502, refused.stderr);
  assert.match(JSON.parse(ask.text).error.message, /^claude-trace: no answer from https:\/\/127\.0\.0\.1:\d+: .*invalid peer certificate.*\(ERR_TLS\)$/);
  assert.deepEqual(await standin.account(), []);
  const [{ value }] = readLog(refused.cwd);
  assert.deepEqual([value.response, value.trace.error.code], [null, 'ERR_TLS']);
});

test('a launcher that is killed in mid-stream leaves what had passed to the next start', async () => {
  await standin.reset();
  const running = new Running(mitm(NODE, CLIENT, 'stall'), { env: { STANDIN_API: api, CLAUDE_TRACE_HOSTS: api } });
  await running.saying('stalled');
  running.child.kill('SIGKILL');
  // The client keeps its output open until it has seen the end.
  const { stdout } = await running.ended;
  const recovered = await runCommand(['recover', '--json'], { cwd: running.cwd, home: running.home });
  assert.equal(recovered.code, 0, recovered.stderr);
  const [{ record }] = assertLogMatches(await standin.account(), readLog(running.cwd));
  assert.ok(record.value.trace.recovered && record.value.trace.partial);
  const received = stepsOf(stdout).stalled;
  assert.ok(received.length > 100 && record.value.response.body_raw.startsWith(received), 'all that the client had received');
});

test('what the user has set is merged, and not lost', async () => {
  const file = script('mine.pem', fs.readFileSync(ROOT, 'utf8'));
  const mine = { NODE_EXTRA_CA_CERTS: file, SSL_CERT_FILE: file, REQUESTS_CA_BUNDLE: file, PIP_CERT: file, ALL_PROXY: 'http://127.0.0.1:9', NO_PROXY: 'internal.example' };
  const traced = await run([NODE, CLIENT, 'around'], { env: mine });
  const { variables, files } = stepsOf(traced.stdout).around;
  const ca = fs.readFileSync(path.join(data(traced.home), 'ca.pem'), 'utf8').trim();
  const root = fs.readFileSync(ROOT, 'utf8').trim();
  for (const name of ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'PIP_CERT']) {
    assert.deepEqual(files[name].trim().split(/\n(?=-----BEGIN)/), [root, ca], name);
  }
  // Not theirs: what the variable takes the place of, and ours.
  assert.ok(files.CURL_CA_BUNDLE.includes(ca) && files.GIT_SSL_CAINFO.includes(ca));
  assert.equal(variables.AWS_CA_BUNDLE, undefined);
  const urls = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY'].map((name) => variables[name]);
  assert.match(urls[0], /^http:\/\/claude-trace:[0-9a-f]{32}@127\.0\.0\.1:\d+$/);
  assert.equal(new Set(urls).size, 1);
  assert.deepEqual([variables.NO_PROXY, variables.no_proxy, variables.NODE_USE_ENV_PROXY], ['', '', '1']);
  const elsewhere = await run([NODE, CLIENT, 'around'], { env: { CLAUDE_TRACE_HOSTS: '' } });
  assert.equal(stepsOf(elsewhere.stdout).around.variables.NO_PROXY, 'localhost,127.0.0.1,::1');
});

test('base URLs of the options are told to the client as they are, and known', async () => {
  await standin.reset();
  const client = script('client.sh', `#!/bin/sh\nSTANDIN_API="$ANTHROPIC_BASE_URL" exec ${NODE} ${CLIENT} ask+around\n`);
  const traced = await runCommand(['run', '--capture', 'mitm', '--ca-file', ROOT, '--upstream', api, '--', client]);
  const { ask, around } = stepsOf(traced.stdout);
  assert.deepEqual([ask.status, around.variables.ANTHROPIC_BASE_URL], [200, api]);
  await assertRecorded(traced, 1);
});

test('a proxy of the user’s that cannot be gone through is told before anything starts', async () => {
  for (const proxy of ['https://me:secret@proxy.example:3128', 'socks4://proxy.example']) {
    const refused = await runCommand(mitm('/bin/echo', 'started'), { env: { HTTPS_PROXY: proxy } });
    assert.deepEqual([refused.code, refused.stdout], [2, '']);
    assert.match(refused.stderr, /proxy\.example.* cannot be gone through/);
    assert.ok(!refused.stderr.includes('secret'));
  }
});

test('the authority: made when it is needed, the user’s alone, used again, and removed', async () => {
  const home = freshFolder();
  const first = await runCommand(['ca', 'path'], { home });
  const certificate = path.join(data(home), 'ca.pem');
  assert.deepEqual([first.code, first.stdout, first.stderr], [0, `${certificate}\n`, 'claude-trace: a certificate authority was made\n']);
  const mode = (/** @type {string} */ file) => fs.statSync(file).mode & 0o777;
  const key = path.join(data(home), 'ca-key.pem');
  assert.deepEqual([mode(data(home)), mode(key)], [0o700, 0o600]);
  const pem = fs.readFileSync(certificate, 'utf8');
  const again = await runCommand(['ca', 'path'], { home });
  assert.deepEqual([again.stdout, again.stderr], [first.stdout, '']);
  await run([NODE, CLIENT, 'ask'], { home });
  assert.equal(fs.readFileSync(certificate, 'utf8'), pem);

  fs.chmodSync(key, 0o644);
  const exposed = await runCommand(mitm('/bin/true'), { home });
  assert.equal(exposed.code, 2);
  assert.match(exposed.stderr, /ca-key\.pem: others can read it/);

  const removed = await runCommand(['ca', 'remove'], { home });
  assert.deepEqual(removed.stdout.trim().split('\n'), [key, certificate, path.join(data(home), 'trust')].map((file) => `removed ${file}`));
  assert.deepEqual(fs.readdirSync(data(home)), ['ca.lock']);
  const nothing = await runCommand(['ca', 'remove'], { home });
  assert.deepEqual([nothing.code, nothing.stdout], [0, `nothing to remove in ${data(home)}\n`]);

  const elsewhere = await runCommand(['ca', 'path'], { home, env: { XDG_DATA_HOME: path.join(home, 'x') } });
  assert.equal(elsewhere.stdout, `${path.join(home, 'x/claude-trace-native/ca.pem')}\n`);
});
