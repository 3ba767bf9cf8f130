'use strict';

// How the hooks of node:http and node:http2 come and go: lazily, before the program's first request, without a trace.

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { EventEmitter, once } = require('node:events');
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { install } = require('../lib/hooks/http.js');
const { FakeHub } = require('./support/fake-hub.js');
const { outcome } = require('./support/http-outcome.js');
const { WireServer } = require('./support/wire-server.js');

const PRELOAD = path.join(__dirname, 'support/preload-hooks.cjs');
const CERT = path.join(__dirname, '../fixtures/standin/tls/cert.pem');
const answer = (account) => account.answer(200, {}, `got ${account.requestBody}`);

/** @type {Record<string, any>} */
const servers = {};
let folder = '';
before(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'hooks-'));
  servers.http = await WireServer.start(answer);
  servers.https = await WireServer.start(answer, { secure: true });
  servers.http2 = await WireServer.start(answer, { http2: true });
});
after(async () => {
  http.globalAgent.destroy();
  for (const server of Object.values(servers)) await server.close();
  rmSync(folder, { recursive: true });
});

/** Runs a program under the preload and returns its report. */
async function runProgram(name, source, hooks = 'http http2') {
  const file = path.join(folder, name);
  const report = path.join(folder, `${name}.json`);
  writeFileSync(file, source);
  const child = spawn(process.execPath, ['--require', PRELOAD, file], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env, NODE_OPTIONS: '', NODE_EXTRA_CA_CERTS: CERT, TEST_HOOKS: hooks, TEST_REPORT: report,
      HTTP: servers.http.origin, HTTPS: servers.https.origin, HTTP2: servers.http2.origin,
    },
  });
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
  const seen = JSON.parse(readFileSync(report, 'utf8'));
  assert.deepEqual(seen.violations, []);
  assert.deepEqual(seen.faults, []);
  return seen;
}

const first = (exchanges, http2 = false) => assert.deepEqual(exchanges, [{
  line: `POST /v1/messages HTTP/${http2 ? '2' : '1.1'}`, question: 'first', status: 200, answer: 'got first', outcome: 'end',
}]);

describe('under --require', { timeout: 60_000 }, () => {
  test('a program without HTTP pays for none', async () => {
    const { loaded, exchanges } = await runProgram('none.cjs', 'setImmediate(() => {});');
    assert.deepEqual(loaded, []);
    assert.deepEqual(exchanges, []);
  });

  const PROGRAMS = {
    'esm.mjs': "import { request } from 'node:http'; request(process.env.HTTP + '/v1/messages', { method: 'POST', agent: false }, (r) => r.resume()).end('first');",
    'default.mjs': "import http from 'http'; http.request(process.env.HTTP + '/v1/messages', { method: 'POST', agent: false }, (r) => r.resume()).end('first');",
    'https.mjs': "import { request } from 'node:https'; request(process.env.HTTPS + '/v1/messages', { method: 'POST', agent: false }, (r) => r.resume()).end('first');",
    'cjs.cjs': "require('http').request(process.env.HTTP + '/v1/messages', { method: 'POST', agent: false }, (r) => r.resume()).end('first');",
    'expect.cjs': "const r = require('http').request(process.env.HTTP + '/v1/messages', { method: 'POST', agent: false, headers: { expect: '100-continue' } }, (a) => a.resume()).on('continue', () => r.end('first'));",
    'new.cjs': "new (require('http').ClientRequest)({ ...require('url').urlToHttpOptions(new URL(process.env.HTTP + '/v1/messages')), method: 'POST', agent: false }).on('response', (r) => r.resume()).end('first');",
  };
  for (const [name, source] of Object.entries(PROGRAMS)) {
    test(`the first request is seen in full: ${name}`, async () => {
      const { loaded, exchanges, httpsAtExit } = await runProgram(name, source);
      assert.deepEqual(loaded, []);
      first(exchanges);
      assert.equal(httpsAtExit, name.startsWith('https'), 'https is not loaded by us');
    });
  }

  const HTTP2 = "const session = http2.connect(process.env.HTTP2); const s = session.request({ ':method': 'POST', ':path': '/v1/messages' }); s.resume().on('close', () => session.close()); s.end('first');";
  for (const [name, source] of Object.entries({
    'http2.mjs': `import http2 from 'node:http2'; ${HTTP2}`,
    'http2-named.mjs': `import { connect } from 'node:http2'; const http2 = { connect }; ${HTTP2}`,
    'http2.cjs': `const http2 = require('http2'); ${HTTP2}`,
  })) {
    test(`the first stream is seen in full: ${name}`, async () => {
      const { loaded, exchanges } = await runProgram(name, source);
      assert.deepEqual(loaded, []);
      first(exchanges, true);
    });
  }

  test('EventEmitter is as it was once both have been seen', async () => {
    const { exchanges, initRestored } = await runProgram('both.cjs', `${PROGRAMS['cjs.cjs']} const http2 = require('http2'); ${HTTP2}`);
    assert.equal(exchanges.length, 2);
    assert.equal(initRestored, true);
  });

  test('classes of the same names are not mistaken for them', async () => {
    const { exchanges } = await runProgram('names.cjs', `
      class ClientRequest extends require('events') { end() {} }
      class ClientHttp2Session extends require('events') { request() {} }
      const own = [Object.keys(ClientRequest.prototype), Object.keys(ClientHttp2Session.prototype)];
      new ClientRequest(); new ClientHttp2Session();
      require('assert').deepEqual([Object.keys(ClientRequest.prototype), Object.keys(ClientHttp2Session.prototype)], own);
      ${PROGRAMS['cjs.cjs']} const http2 = require('http2'); ${HTTP2}`);
    assert.equal(exchanges.length, 2);
  });
});

const post = (hub, origin = servers.http.origin) => {
  const request = http.request(`${origin}/v1/messages`, { method: 'POST', agent: false });
  const seen = outcome(request);
  request.end('body');
  return seen;
};

describe('in a program that runs already', { timeout: 60_000 }, () => {
  const prototype = http.ClientRequest.prototype;
  const outgoing = Object.getPrototypeOf(prototype);
  const snapshot = () => JSON.stringify([
    Object.entries(Object.getOwnPropertyDescriptors(prototype)).map(([name, d]) => [name, d.enumerable, d.writable, String(d.value)]),
    (() => { const names = []; for (const name in prototype) names.push(name); return names.sort(); })(),
    String(EventEmitter.init),
    [http, https].map((module) => [module.request, module.get].map((method) => Object.keys(method))),
  ]);

  test('what is put in place is taken out again', async () => {
    const before = snapshot();
    const hub = new FakeHub();
    const uninstall = install(hub);
    assert.equal(typeof uninstall, 'function');
    assert.equal(install(hub), uninstall, 'installing twice is installing once');
    assert.equal(prototype.write.length, outgoing.write.length);
    assert.equal(prototype.write.name, outgoing.write.name);
    for (const module of [http, https]) {
      assert.equal(module.request.__claudeTraceInstrumented, true);
      assert.equal(module.get.__claudeTraceInstrumented, true);
    }
    await post(hub);
    uninstall();
    uninstall();
    assert.equal(snapshot(), before);
    await post(hub);
    assert.equal(hub.exchanges.length, 1);
  });

  test('it can be installed anew, with another hub', async () => {
    const hubs = [new FakeHub(), new FakeHub()];
    for (const hub of hubs) {
      const uninstall = install(hub);
      await post(hub);
      uninstall();
    }
    assert.deepEqual(hubs.map(({ exchanges }) => exchanges.length), [1, 1]);
  });

  test('another recorder is left alone', async () => {
    const before = snapshot();
    http.request.__claudeTraceInstrumented = true;
    try {
      assert.equal(install(new FakeHub()), false);
    } finally {
      delete http.request.__claudeTraceInstrumented;
    }
    assert.equal(snapshot(), before);
  });

  test('who wraps our taps keeps his wrapper, and we fall silent', async () => {
    const hub = new FakeHub();
    const uninstall = install(hub);
    const ours = prototype.end;
    let calls = 0;
    prototype.end = function (...args) { calls++; return ours.apply(this, args); };
    await post(hub);
    uninstall();
    await post(hub);
    assert.equal(calls, 2);
    assert.equal(hub.exchanges.length, 1);
    delete prototype.end;
  });

  test('who patches OutgoingMessage later is called, and what he sends is what is recorded', async () => {
    const hub = new FakeHub();
    const uninstall = install(hub);
    const { end } = outgoing;
    outgoing.end = function (chunk, ...rest) {
      if (this instanceof http.ClientRequest && chunk) this.write(`${chunk} and more`);
      else if (chunk) this.write(chunk);
      return end.call(this, null, ...rest);
    };
    try {
      await post(hub);
    } finally {
      outgoing.end = end;
      uninstall();
    }
    assert.equal(String(servers.http.accounts.at(-1).requestBody), 'body and more');
    assert.equal(String(hub.exchanges[0].requestBody), 'body and more');
    assert.deepEqual(hub.violations, []);
  });

  test('a request under way when the hooks come or go harms nobody', async () => {
    const hub = new FakeHub();
    const early = http.request(`${servers.http.origin}/v1/messages`, { method: 'POST', agent: false });
    early.write('before ');
    const uninstall = install(hub);
    const earlySeen = outcome(early);
    early.end('after');
    const late = http.request(`${servers.http.origin}/v1/messages`, { method: 'POST', agent: false });
    const lateSeen = outcome(late);
    late.write('before ');
    uninstall();
    late.end('after');
    for (const seen of await Promise.all([earlySeen, lateSeen])) assert.equal(seen.complete, true);
    assert.deepEqual(hub.exchanges.map(({ requestBody }) => String(requestBody)), ['before '], 'the whole of a request or nothing');
    assert.deepEqual(hub.violations, []);
    assert.deepEqual(hub.faults, []);
  });
});
