'use strict';

// Which URL a node:http request is recorded under.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { mkdtempSync, readFileSync, rmSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const tls = require('node:tls');
const { after, before, test } = require('node:test');
const { install } = require('../lib/hooks/http.js');
const { FakeHub } = require('./support/fake-hub.js');
const { outcome } = require('./support/http-outcome.js');
const { WireServer } = require('./support/wire-server.js');

const CA = readFileSync(path.join(__dirname, '../fixtures/standin/tls/cert.pem'));
const PATH = '/v1/messages?beta=true';
const agent = new http.Agent({ keepAlive: true });
const defaultPorted = new http.Agent();
/** @type {any} */
let server;
/** @type {any} */
let secure;
/** @type {any} */
let tunnel;
let folder = '';
let socketPath = '';
const hub = new FakeHub();

before(async () => {
  const answer = (account) => account.answer(200, {}, 'ok');
  server = await WireServer.start(answer);
  secure = await WireServer.start(answer, { secure: true });
  // A proxy that knows CONNECT and absolute URLs, wherever they lead: it always asks the servers above.
  tunnel = http.createServer((request, response) => response.end(`for ${request.url}`));
  tunnel.on('connect', (_, socket, head) => {
    const upstream = net.connect(secure.port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      upstream.write(head);
      socket.pipe(upstream).pipe(socket);
    });
    for (const end of [socket, upstream]) end.on('error', () => {});
  });
  tunnel.listen(0, '127.0.0.1');
  await once(tunnel, 'listening');
  folder = mkdtempSync(path.join(os.tmpdir(), 'target-'));
  socketPath = path.join(folder, 'socket');
  defaultPorted.defaultPort = server.port;
  install(hub);
});
after(async () => {
  for (const one of [agent, defaultPorted, http.globalAgent]) one.destroy();
  await server.close();
  await secure.close();
  tunnel.closeAllConnections();
  tunnel.close();
  rmSync(folder, { recursive: true });
});

const loopback = (options) => ({ host: '127.0.0.1', port: server.port, path: PATH, ...options });
const name = (host) => ({ host, port: server.port, path: PATH, lookup: (_, __, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]), autoSelectFamily: true });

/** @type {Record<string, [() => any, () => { origin: string, path?: string }]>} */
const TARGETS = {
  'an address': [() => loopback(), () => ({ origin: server.origin })],
  'a name': [() => name('api.example'), () => ({ origin: `http://api.example:${server.port}` })],
  'a name in capitals': [() => name('API.Example'), () => ({ origin: `http://API.Example:${server.port}` })],
  'a Host in other letters': [() => ({ ...name('api.example'), headers: { Host: `API.example:${server.port}` } }), () => ({ origin: `http://API.example:${server.port}` })],
  'a Host of another name, no agent': [() => loopback({ agent: false, headers: { Host: 'virtual.example' } }), () => ({ origin: server.origin })],
  'a Host of another name, new socket': [() => loopback({ agent, headers: { Host: 'virtual.example' } }), () => ({ origin: server.origin })],
  'a Host of another name, kept socket': [() => loopback({ agent, headers: { Host: 'virtual.example' } }), () => ({ origin: server.origin })],
  'a Host that only begins like the name': [() => loopback({ agent, headers: { Host: '127.0.0.1.example:1' } }), () => ({ origin: server.origin })],
  'no Host': [() => loopback({ agent, setHost: false, headers: { Host: 'x' } }), () => ({ origin: server.origin })],
  'Host in an array of headers': [() => loopback({ headers: ['host', `127.0.0.1:${server.port}`] }), () => ({ origin: server.origin })],
  'the default port of an agent': [() => ({ host: '127.0.0.1', path: PATH, agent: defaultPorted }), () => ({ origin: server.origin })],
  'a proxy that is given the whole URL': [
    () => loopback({ path: 'http://user@api.example:8080/v1/messages', headers: { Host: 'api.example:8080' } }),
    () => ({ origin: 'http://api.example:8080', path: 'http://user@api.example:8080/v1/messages' }),
  ],
};

for (const [title, [options, expected]] of Object.entries(TARGETS)) {
  test(title, async () => {
    const seen = await outcome(http.get(options()));
    assert.match(seen.status, /200/, String(seen.events));
    const { origin, path: target = PATH } = expected();
    assert.deepEqual(hub.lookups.at(-1), { origin, path: target, method: 'GET' });
    assert.equal(hub.exchanges.at(-1).origin, origin);
    assert.equal(hub.exchanges.at(-1).requestLine, `GET ${target} HTTP/1.1`);
    assert.equal(hub.exchanges.at(-1).outcome, 'end');
  });
}

/** As https-proxy-agent does it: the tunnel's socket comes later, and leads elsewhere than its own addresses say. */
class TunnelAgent extends https.Agent {
  createConnection(options, callback) {
    const socket = net.connect(tunnel.address().port, '127.0.0.1', () => {
      socket.write(`CONNECT ${options.host}:${options.port} HTTP/1.1\r\nHost: ${options.host}\r\n\r\n`);
      socket.once('data', () => callback(null, tls.connect({ ...options, socket })));
    });
    return undefined;
  }
}

test('the far end of a tunnel', async () => {
  for (const headers of [{}, { Host: 'virtual.example' }]) {
    const proxied = new TunnelAgent({ ca: CA });
    const seen = await outcome(https.get({ host: 'localhost', path: PATH, agent: proxied, servername: 'localhost', headers }));
    assert.match(seen.status, /200/, String(seen.events));
    assert.deepEqual(hub.lookups.at(-1), { origin: 'https://localhost', path: PATH, method: 'GET' });
    proxied.destroy();
  }
});

test("Node's own proxy support", { skip: Number(process.versions.node.split('.')[0]) < 24 }, async () => {
  const proxied = new http.Agent(/** @type {any} */ ({ proxyEnv: { HTTP_PROXY: `http://127.0.0.1:${tunnel.address().port}` } }));
  const seen = await outcome(http.get({ host: 'api.example', path: PATH, agent: proxied }));
  assert.match(seen.status, /200/);
  assert.equal(hub.exchanges.at(-1).origin, 'http://api.example');
  assert.equal(hub.exchanges.at(-1).requestLine, `GET http://api.example${PATH} HTTP/1.1`);
});

test('a unix socket', async () => {
  const local = http.createServer((_, response) => response.end('ok')).listen(socketPath);
  await once(local, 'listening');
  const seen = await outcome(http.get({ socketPath, path: PATH, agent: false }));
  assert.match(seen.status, /200/);
  assert.equal(hub.exchanges.at(-1).origin, 'http://localhost');
  local.close();
});

const ipv6 = Object.values(os.networkInterfaces()).flat().some((address) => address?.address === '::1');
test('IPv6', { skip: !ipv6 }, async () => {
  const local = http.createServer((_, response) => response.end('ok')).listen(0, '::1');
  await once(local, 'listening');
  const { port } = /** @type {net.AddressInfo} */ (local.address());
  for (const headers of [{}, { Host: 'virtual.example' }]) {
    for (const start of [
      () => http.get({ host: '::1', port, path: PATH, agent, headers }),
      () => http.get(`http://[::1]:${port}${PATH}`, { agent, headers }),
    ]) {
      const seen = await outcome(start());
      assert.match(seen.status, /200/);
      assert.equal(hub.exchanges.at(-1).origin, `http://[::1]:${port}`);
    }
  }
  local.closeAllConnections();
  local.close();
});

test('nothing went wrong on the way', () => {
  assert.deepEqual(hub.faults, []);
  assert.deepEqual(hub.violations, []);
});
