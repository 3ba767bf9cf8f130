'use strict';

// npm undici below fetch: its own calls, dispatchers, proxies, HTTP/2, and what undici does of its own accord.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const http = require('node:http');
const http2 = require('node:http2');
const net = require('node:net');
const { Readable, Writable } = require('node:stream');
const { pipeline } = require('node:stream/promises');
const { describe, test: nodeTest } = require('node:test');
const { setImmediate: turn } = require('node:timers/promises');
const { isUndiciSession } = require('../lib/hooks/undici-session.js');
const undici = require('../lib/hooks/undici.js');
const { FakeHub } = require('./support/fake-hub.js');
const { hostResult } = require('./support/host-result.js');
const { WireServer, gate } = require('./support/wire-server.js');

const COPIES = ['undici', 'undici6'].map((id) => ({
  name: `npm undici ${require(`${id}/package.json`).version}`, copy: require(id),
}));

/** A hang is a failure too. */
const test = (name, body) => nodeTest(name, { timeout: 10_000 }, body);

// Every call names a dispatcher: without one a copy uses the global one, which may be another undici's.
const TLS = { connect: { rejectUnauthorized: false } };

/**
 * @param {{ handler: Function, server?: object, client: Function, exchanges: number }} scenario
 * @returns what the recorder and the server have; the host's result must be the same with and without a recorder
 */
async function compare({ handler, server: options, client, exchanges }) {
  const results = [];
  let last;
  for (const hub of [null, new FakeHub()]) {
    const server = await WireServer.start(handler, options);
    const uninstall = hub === null ? () => {} : undici.install(hub);
    try {
      results.push(await hostResult(() => client({ origin: server.origin, server, hub }), server.origin));
      await hub?.settled(exchanges);
    } finally {
      uninstall();
      await server.close();
    }
    last = { hub, server };
  }
  const { hub, server } = last;
  assert.deepEqual(results[1], results[0], 'the host sees no difference');
  assert.deepEqual(hub.faults, []);
  assert.deepEqual(hub.violations, []);
  assert.equal(hub.recorded.length, exchanges);
  return { exchanges: hub.recorded, exchange: hub.recorded[0], hub, server, result: results[1] };
}

/** The recorded exchange is what went over the wire. */
function assertSameAsServer(exchange, account) {
  assert.equal(exchange.requestLine, account.line);
  assert.deepEqual(exchange.requestHeaders, account.headers);
  assert.deepEqual(exchange.requestBody, account.requestBody);
  assert.equal(exchange.status, account.response.statusCode);
  assert.deepEqual(exchange.responseBody, account.responseBody);
  assert.equal(exchange.outcome, 'end');
}

const echo = (account) => account.answer(200, { 'x-echo': 'yes' }, account.requestBody.length === 0 ? 'empty' : account.requestBody);
const unanswered = () => {};

for (const { name, copy } of COPIES) {
  describe(name, () => {
    const bodies = {
      'no body': () => undefined,
      'a string': () => 'téxt',
      'a Buffer': () => Buffer.from('buffer'),
      'a Uint8Array': () => new Uint8Array([1, 2, 3]),
      'a stream': () => Readable.from([Buffer.from('a'), Buffer.from('b')], { objectMode: false }),
      'a stream of strings': () => Readable.from(['täxt', 'more']),
      'a generator': () => (async function* () { yield 'one'; yield new Uint8Array([50]); })(),
      'a Blob': () => new Blob(['blob'], { type: 'x/y' }),
    };
    for (const [kind, body] of Object.entries(bodies)) {
      test(`request with ${kind}`, async () => {
        const { exchange, server } = await compare({
          handler: echo,
          client: async ({ origin }) => {
            const dispatcher = new copy.Agent();
            const { statusCode, body: answer } = await copy.request(`${origin}/v1/messages`, {
              dispatcher, method: 'POST', headers: { 'X-Own-Case': 'kept', 'x-many': ['1', '2'] }, body: body(),
            });
            return [statusCode, await answer.text(), await dispatcher.close()];
          },
          exchanges: 1,
        });
        assertSameAsServer(exchange, server.accounts[0]);
      });
    }

    test('request with a FormData is recorded as undici encodes it', async () => {
      const { exchange, server } = await compare({
        handler: (account) => account.answer(200, {}, 'ok'),
        client: async ({ origin }) => {
          const form = new copy.FormData();
          form.set('field', 'value');
          const { body } = await copy.request(origin, { dispatcher: new copy.Agent(), method: 'POST', body: form });
          return body.text();
        },
        exchanges: 1,
      });
      assert.deepEqual(exchange.requestBody, server.accounts[0].requestBody);
      assert.deepEqual(
        exchange.requestHeaders,
        server.accounts[0].headers.filter(([header]) => header !== 'content-length'),
        'all but the length, which undici keeps to itself',
      );
    });

    test('stream and pipeline', async () => {
      const { exchanges, server } = await compare({
        handler: echo,
        client: async ({ origin }) => {
          const dispatcher = new copy.Agent();
          const received = [];
          const sink = () => new Writable({ write(chunk, _, done) { received.push(String(chunk)); done(); } });
          await copy.stream(`${origin}/stream`, { dispatcher, method: 'POST', body: 'x' }, sink);
          const duplex = copy.pipeline(`${origin}/pipeline`, { dispatcher, method: 'POST' }, ({ body }) => body);
          await pipeline(Readable.from(['y', 'z']), duplex, sink());
          return received.join();
        },
        exchanges: 2,
      });
      exchanges.forEach((exchange, i) => assertSameAsServer(exchange, server.accounts[i]));
    });

    test('Pool, and a Client with an origin of its own', async () => {
      const { exchanges, server } = await compare({
        handler: echo,
        client: async ({ origin }) => {
          const texts = [];
          for (const dispatcher of [new copy.Pool(origin, { connections: 2 }), new copy.Client(new URL(origin))]) {
            const { body } = await dispatcher.request({ path: '/p?q=1', method: 'GET' });
            texts.push(await body.text());
            await dispatcher.close();
          }
          return texts;
        },
        exchanges: 2,
      });
      exchanges.forEach((exchange, i) => assertSameAsServer(exchange, server.accounts[i]));
    });

    test('each attempt of a RetryAgent is an exchange', async () => {
      const { exchanges } = await compare({
        handler: (account) => account.header('x-attempt') ?? (account.request.socket.server.attempts = (account.request.socket.server.attempts ?? 0) + 1) < 2
          ? account.answer(503, {}, 'busy') : account.answer(200, {}, 'fine'),
        client: async ({ origin }) => {
          const dispatcher = new copy.RetryAgent(new copy.Agent(), { minTimeout: 1, maxRetries: 2 });
          const { body } = await copy.request(origin, { dispatcher, method: 'GET' });
          return body.text();
        },
        exchanges: 2,
      });
      assert.deepEqual(exchanges.map(({ status }) => status), [503, 200]);
    });

    test('a pipelined request that undici sends again is two exchanges', async () => {
      const heads = [];
      let connections = 0;
      const server = net.createServer((socket) => {
        const first = connections++ === 0;
        let text = '';
        socket.on('error', () => {});
        socket.on('data', (data) => {
          text += data;
          const arrived = text.match(/GET [^]*?\r\n\r\n/g) ?? [];
          if (arrived.length < (first ? 3 : 1)) return;
          text = '';
          heads.push(...arrived);
          // The first connection answers one of its three requests and is gone.
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
          if (first) socket.end();
        });
      }).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const hub = new FakeHub();
      const uninstall = undici.install(hub);
      const client = new copy.Client(`http://127.0.0.1:${server.address().port}`, { pipelining: 3 });
      const get = async (path) => (await client.request({ path, method: 'GET', blocking: false })).body.text();
      const results = await Promise.allSettled(['/first', '/second', '/third'].map(get));
      assert.deepEqual(results.map(({ status }) => status), ['fulfilled', 'rejected', 'fulfilled']);
      await client.close();
      uninstall();
      server.close();

      assert.deepEqual(hub.violations, []);
      assert.deepEqual(hub.exchanges.map(({ head }) => `${head}\r\n`), heads);
      const outcomes = hub.exchanges.map(({ requestLine, outcome, error }) => `${requestLine} ${outcome} ${error?.code}`);
      assert.deepEqual(outcomes, [
        'GET /first HTTP/1.1 end undefined',
        'GET /second HTTP/1.1 error UND_ERR_SOCKET',
        'GET /third HTTP/1.1 error UND_ERR_SOCKET',
        'GET /third HTTP/1.1 end undefined',
      ]);
    });

    test('ProxyAgent: the tunnel is no exchange, what goes through it is', async () => {
      const proxy = http.createServer();
      proxy.on('connect', (request, socket, head) => {
        const [host, port] = request.url.split(':');
        const upstream = net.connect(Number(port), host, () => {
          socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
          upstream.write(head);
          upstream.pipe(socket).pipe(upstream);
        });
        for (const side of [upstream, socket]) side.on('error', () => { upstream.destroy(); socket.destroy(); });
      });
      proxy.listen(0, '127.0.0.1');
      await once(proxy, 'listening');
      try {
        const { exchange, server, hub } = await compare({
          handler: echo,
          server: { secure: true },
          client: async ({ origin }) => {
            const dispatcher = new copy.ProxyAgent({
              uri: `http://127.0.0.1:${proxy.address().port}`, requestTls: { rejectUnauthorized: false },
            });
            const response = await copy.fetch(`${origin}/v1/messages`, { dispatcher, method: 'POST', body: 'x' });
            const text = await response.text();
            await dispatcher.close();
            return text;
          },
          exchanges: 1,
        });
        assertSameAsServer(exchange, server.accounts[0]);
        assert.equal(exchange.origin, server.origin);
        assert.ok(hub.lookups.every(({ method }) => method !== 'CONNECT'));
      } finally {
        proxy.close();
      }
    });

    test('a plain-text proxy is asked for the whole URL', async () => {
      const { exchange, server, hub } = await compare({
        handler: echo,
        client: async ({ origin }) => {
          const client = new copy.Client(origin);
          const { body } = await client.request({
            path: 'http://api.example.com/v1/messages?x=1', method: 'GET', headers: { host: 'api.example.com' },
          });
          return body.text();
        },
        exchanges: 1,
      });
      assert.deepEqual(hub.lookups, [{ origin: 'http://api.example.com', path: '/v1/messages?x=1', method: 'GET' }]);
      assert.equal(exchange.origin, 'http://api.example.com');
      assertSameAsServer(exchange, server.accounts[0]);
    });

    test('an address that was dialled for a name is matched by the name', async () => {
      const server = await WireServer.start(echo);
      const hub = new FakeHub({ match: (origin) => origin === 'http://api.example.com' });
      const uninstall = undici.install(hub);
      const client = new copy.Client(server.origin);
      const { body } = await client.request({ path: '/', method: 'GET', headers: { host: 'api.example.com' } });
      await body.text();
      const [exchange] = await hub.settled(1);
      uninstall();
      await client.close();
      await server.close();
      assert.equal(exchange.origin, 'http://api.example.com');
      assertSameAsServer(exchange, server.accounts[0]);
    });

    test('an upgrade goes on with its socket', async () => {
      const { exchange } = await compare({
        handler: () => {},
        client: async ({ origin, server }) => {
          server.server.on('upgrade', (request, socket) => {
            socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nearly ');
            socket.on('data', (bytes) => socket.write(bytes)).on('end', () => socket.end());
          });
          const client = new copy.Client(origin);
          const { headers, socket } = await client.upgrade({ path: '/realtime', protocol: 'websocket' });
          socket.end('hello');
          let text = '';
          for await (const bytes of socket) text += bytes;
          return [headers.upgrade, text];
        },
        exchanges: 1,
      });
      assert.match(exchange.head, /^GET \/realtime HTTP\/1\.1\r\n[^]*upgrade: websocket\r\n/);
      assert.match(exchange.responseHead, /^HTTP\/1\.1 101 [^]*upgrade: websocket\r\n/);
      assert.deepEqual([exchange.outcome, String(exchange.requestBody), String(exchange.responseBody)], ['end', 'hello', 'early hello']);
    });

    test('connect() is a tunnel, not an exchange', async () => {
      const { hub } = await compare({
        handler: () => {},
        client: async ({ origin, server }) => {
          server.server.on('connect', (request, socket) => { socket.write('HTTP/1.1 200 OK\r\n\r\n'); });
          const { statusCode, socket } = await new copy.Client(origin).connect({ path: 'api.example.com:443' });
          socket.destroy();
          return statusCode;
        },
        exchanges: 0,
      });
      assert.deepEqual(hub.lookups, []);
    });

    test('a request aborted in the queue has its planned head and its error', async () => {
      const { exchanges } = await compare({
        handler: unanswered,
        client: async ({ origin }) => {
          const client = new copy.Client(origin);
          const controllers = [new AbortController(), new AbortController()];
          const calls = controllers.map(({ signal }, i) => client.request({
            path: `/${i}`, method: 'POST', body: 'unsent', headers: ['x-a', 'b'], signal,
          }).catch((error) => error.name));
          await once(client, 'connect');
          controllers[1].abort();
          controllers[0].abort();
          return Promise.all(calls);
        },
        exchanges: 2,
      });
      const queued = exchanges.find(({ requestLine }) => requestLine.includes(' /1 '));
      assert.match(queued.head, /^POST \/1 HTTP\/1\.1\r\nhost: 127\.0\.0\.1:\d+\r\nx-a: b\r\ncontent-length: 6\r\n$/);
      assert.equal(queued.requestBody.length, 0);
      assert.equal(queued.outcome, 'error');
    });

    test('a request that undici itself refuses to send', async () => {
      const { exchange } = await compare({
        handler: unanswered,
        client: ({ origin }) => new copy.Client(origin).request({
          path: '/', method: 'POST', body: 'x', headers: { 'content-length': '5' },
        }),
        exchanges: 1,
      });
      assert.equal(exchange.error.code, 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH');
    });

    test('a body destroyed unread keeps what had arrived', async () => {
      const { exchange } = await compare({
        handler: async (account) => { account.head(200, {}); await account.write('part'); },
        client: async ({ origin, hub }) => {
          const { body } = await copy.request(origin, { dispatcher: new copy.Agent() });
          await hub?.until(() => hub.exchanges[0].responseChunks.length === 1);
          const failed = once(body, 'error');
          body.destroy(new Error('enough'));
          return String(await failed);
        },
        exchanges: 1,
      });
      assert.equal(exchange.responseBody.toString(), 'part');
      assert.equal(exchange.outcome, 'error');
    });

    test('back-pressure still holds the server up', async () => {
      const { exchange } = await compare({
        handler: (account) => {
          account.head(200, {});
          const block = Buffer.alloc(1024 * 1024);
          return pipeline(Readable.from((function* () { for (let i = 0; i < 64; i++) yield block; })()), account.response)
            .catch(() => {});
        },
        client: async ({ origin, server }) => {
          const { body } = await copy.request(origin, { dispatcher: new copy.Agent() });
          await once(body, 'readable');
          await stalled(server.accounts[0].response.socket);
          const buffered = body.readableLength;
          body.on('error', () => {}).destroy();
          return buffered < 1024 * 1024;
        },
        exchanges: 1,
      });
      assert.ok(exchange.responseBody.length < 1024 * 1024, `${exchange.responseBody.length} bytes passed`);
    });

    describe('over HTTP/2', () => {
      const server = { http2: true };
      const agent = () => new copy.Agent({ allowH2: true, ...TLS });
      const post = (origin, body) => copy.request(`${origin}/v1/messages?x=1`, {
        dispatcher: agent(), method: 'POST', body, headers: { 'X-Own': 'a', 'x-many': ['1', '2'] },
      });

      for (const [kind, body] of Object.entries({ 'a string': () => 'téxt', 'a generator': bodies['a generator'] })) {
        test(`request with ${kind}`, async () => {
          const { exchange, server: { accounts: [account] } } = await compare({
            handler: echo, server, client: async ({ origin }) => (await post(origin, body())).body.text(), exchanges: 1,
          });
          assert.equal(account.request.httpVersion, '2.0');
          assert.equal(exchange.requestLine, 'POST /v1/messages?x=1 HTTP/2');
          const sent = account.headers.filter(([key]) => key[0] !== ':');
          sent.push(['host', account.header(':authority')]);
          assert.deepEqual(comparable(exchange.requestHeaders), comparable(sent));
          assert.deepEqual(exchange.requestBody, account.requestBody);
          assert.equal(exchange.requestEnded, true);
          assert.match(exchange.responseHead, /^HTTP\/2 200 \r\nx-echo: yes\r\n/);
          assert.deepEqual(exchange.responseBody, account.responseBody);
          assert.equal(exchange.outcome, 'end');
        });
      }

      test('its session can be told from those of others', async (t) => {
        const sessions = [];
        const { connect } = http2;
        t.mock.method(http2, 'connect', (...args) => {
          const session = connect(...args);
          sessions.push(session);
          return session;
        });
        await compare({
          handler: (account) => { assert.ok(isUndiciSession(sessions.at(-1))); return echo(account); },
          server,
          client: async ({ origin }) => (await post(origin, 'x')).body.text(),
          exchanges: 1,
        });
        assert.equal(sessions.length, 2);
        const others = await WireServer.start(echo, server);
        const own = connect(others.origin, { rejectUnauthorized: false });
        assert.equal(isUndiciSession(own), false);
        own.close();
        await others.close();
      });

      test('a stream that is reset keeps its part', async () => {
        let received;
        const { exchange } = await compare({
          handler: async (account) => {
            account.head(200, {});
            await account.write('part');
            await received.opened;
            account.response.stream.close(2);
          },
          server,
          client: async ({ origin }) => {
            received = gate();
            const { body } = await post(origin, 'x');
            const chunks = [];
            try {
              for await (const chunk of body) {
                chunks.push(String(chunk));
                received.open();
              }
            } catch (error) {
              return [chunks, error.code];
            }
          },
          exchanges: 1,
        });
        assert.equal(exchange.responseBody.toString(), 'part');
        assert.equal(exchange.outcome, 'error');
      });
    });
  });
}

/** Resolves once the server has not got rid of a byte for a while: something holds it up, or all is sent. */
async function stalled(socket) {
  for (let still = 0, last = -1; still < 200; last = socket.bytesWritten) {
    await turn();
    still = socket.bytesWritten === last ? still + 1 : 0;
  }
}

/** HTTP/2 keeps neither case nor repeated names, and undici's ages join values differently. */
function comparable(headers) {
  const merged = {};
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    const one = value.replaceAll(', ', ',');
    merged[key] = key in merged ? `${merged[key]},${one}` : one;
  }
  return merged;
}

test('a copy with channels of its own is left untapped, one without keeps its taps until uninstall', async () => {
  const server = await WireServer.start(echo);
  const hub = new FakeHub();
  for (const [id, keepsTaps] of [['undici', false], ['undici6', true]]) {
    const { Client } = require(id);
    const client = new Client(server.origin);
    const prototype = await requestPrototype(client);
    const before = Object.getOwnPropertyDescriptors(prototype);
    const uninstall = undici.install(hub);
    await (await client.request({ path: '/', method: 'POST', body: 'x' })).body.text();
    const during = Object.getOwnPropertyDescriptors(prototype);
    assert.equal(during.onData.value !== before.onData.value, keepsTaps, `${id} onData`);
    assert.equal(during.onBodySent.value !== before.onBodySent.value, keepsTaps, `${id} onBodySent`);
    assert.equal(during.onData.value.name, 'onData');
    assert.equal(during.onData.value.length, before.onData.value.length);
    uninstall();
    assert.deepEqual(Object.getOwnPropertyDescriptors(prototype), before);
    await client.close();
  }
  await server.close();
  assert.deepEqual(hub.exchanges.map((exchange) => exchange.requestBody.toString()), ['x', 'x']);
  assert.deepEqual(hub.violations, []);
});

/** The prototype of the copy's core requests, as any subscriber can get at it. */
async function requestPrototype(client) {
  let prototype;
  const channel = require('node:diagnostics_channel').channel('undici:request:create');
  const subscriber = ({ request }) => { prototype = Object.getPrototypeOf(request); };
  channel.subscribe(subscriber);
  await (await client.request({ path: '/', method: 'GET' })).body.text();
  channel.unsubscribe(subscriber);
  return prototype;
}
