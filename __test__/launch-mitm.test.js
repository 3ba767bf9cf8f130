'use strict';

// `--capture mitm`: what is opened, what is not, and whom the client trusts.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { AGENT, nativeAgent, runCommand, stepsOf } = require('./support/command');
const { assertLogMatches, assertNowhereUnder, isPartial, readLog } = require('./support/log');
const { freshFolder } = require('./support/run-client');
const { Standin } = require('./support/standin');

const TUNNEL = path.join(__dirname, 'clients/tunnel.cjs');
const OURS = 'claude-trace (this user\'s, for recording)';

/** @type {import('./support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

/** @param {string[]} ours @param {string[]} client @param {import('./support/command').Options} [options] */
const intercepted = (ours, client, options) => runCommand(['run', '--capture', 'mitm', ...ours, '--', ...client], options);
/** The user trusts the stand-in. */
const trusting = () => ({ NODE_EXTRA_CA_CERTS: standin.env.NODE_EXTRA_CA_CERTS });

test('a connection to the API is opened by an authority of ours, and what is inside is recorded', async () => {
  await standin.reset();
  const run = await intercepted(['--upstream', standin.env.STANDIN_HTTPS], [nativeAgent(), TUNNEL, `${standin.env.STANDIN_HTTPS}/v1/messages`], { env: trusting() });
  const { issuer, status, text } = JSON.parse(run.stdout);
  assert.deepEqual([issuer, status, run.code], [OURS, 200, 0], run.stderr);
  assert.match(text, /event: message_stop/);
  const [{ record }] = assertLogMatches(await standin.account(), readLog(run.cwd));
  assert.ok(!isPartial(record));
  assert.equal(record.value.trace.via, 'proxy');
  assert.match(run.stderr, /^claude-trace: 1 exchange recorded in \S+\n$/);
  assertNowhereUnder(run.cwd, ['sk-ant-made-up-key-0123456789']);
});

test('any other connection passes unopened', async () => {
  await standin.reset();
  const run = await intercepted([], [nativeAgent(), TUNNEL, `${standin.env.STANDIN_HTTPS}/v1/messages`], { env: trusting() });
  const { issuer, status } = JSON.parse(run.stdout);
  assert.deepEqual([issuer, status], ['claude-trace stand-in', 200]);
  assert.deepEqual(readLog(run.cwd), []);
});

test('the authority is made once, its key is the user’s alone, and it can be removed', async () => {
  const home = freshFolder();
  const folder = path.join(home, '.local/share/claude-trace');
  for (let n = 0; n < 2; n++) await intercepted([], [AGENT, 'around'], { home });
  const mode = (/** @type {string} */ name) => fs.statSync(path.join(folder, name)).mode & 0o777;
  assert.deepEqual([mode('ca-key.pem'), mode('.')], [0o600, 0o700]);
  assert.equal(fs.readdirSync(folder).filter((name) => name.startsWith('ca')).length, 2);
  assert.equal((await runCommand(['ca', 'path'], { home })).stdout, `${path.join(folder, 'ca.pem')}\n`);
  assert.equal((await runCommand(['ca', 'remove'], { home })).code, 0);
  assert.ok(!fs.existsSync(folder));
  const again = await runCommand(['ca', 'remove'], { home });
  assert.deepEqual([again.code, again.stdout], [1, '']);
  assert.match(again.stderr, /^claude-trace: there is no authority in /);
});

test('the client alone is told, and of its base URL nothing', async () => {
  const { stdout } = await intercepted([], [AGENT, 'around']);
  const { variables } = stepsOf(stdout);
  assert.deepEqual([variables.ANTHROPIC_BASE_URL, variables.OPENAI_BASE_URL, variables.NODE_OPTIONS], [undefined, undefined, undefined]);
  const env = await intercepted([], ['/usr/bin/env']);
  const told = Object.fromEntries(env.stdout.trim().split('\n').map((line) => line.split(/=(.*)/s)));
  assert.match(told.HTTPS_PROXY, /^http:\/\/claude-trace:[0-9a-f]{32}@127\.0\.0\.1:\d+$/);
  assert.equal(told.https_proxy, told.HTTPS_PROXY);
  assert.match(told.NODE_EXTRA_CA_CERTS, /\/claude-trace\/ca\.pem$/);
  // A machine without certificates of its own has nothing that could be added to.
  if (told.SSL_CERT_FILE !== undefined) {
    const bundle = fs.readFileSync(told.SSL_CERT_FILE, 'utf8');
    assert.ok(bundle.match(/BEGIN CERTIFICATE/g)?.length > 1);
    assert.ok(bundle.endsWith(fs.readFileSync(told.NODE_EXTRA_CA_CERTS, 'utf8')));
  }
});

test('an API without TLS is told to be out of its sight', async () => {
  const { stderr } = await intercepted(['--upstream', standin.url], [AGENT, 'around']);
  assert.match(stderr, new RegExp(`^claude-trace: ANTHROPIC_BASE_URL is ${standin.url}: the TLS proxy sees https alone\n`));
});
