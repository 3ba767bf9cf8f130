'use strict';

// fetch of every undici in the process: the server's account, the recorder's and the host's own result must agree.

const assert = require('node:assert/strict');
const { describe, test: nodeTest } = require('node:test');
const { setImmediate: turn } = require('node:timers/promises');
const v8 = require('node:v8');
const vm = require('node:vm');
const zlib = require('node:zlib');
const undici = require('../lib/hooks/undici.js');
const { FakeHub } = require('./support/fake-hub.js');
const { describeResponse, digest, hostResult } = require('./support/host-result.js');
const { WireServer, gate, refusedPort } = require('./support/wire-server.js');

/** A hang is a failure too. */
const test = (name, body) => nodeTest(name, { timeout: 20_000 }, body);

/** Each with the classes of its own copy: a foreign FormData is a different thing to undici. */
const COPIES = [
  { name: `Node's fetch (undici ${process.versions.undici})`, fetch, Request, Response, FormData },
  ...['undici', 'undici6'].map((id) => {
    const copy = require(id);
    const dispatcher = new copy.Agent();
    return {
      ...copy,
      name: `npm undici ${require(`${id}/package.json`).version}`,
      // Without a dispatcher of its own a copy uses the global one, which belongs to whichever undici was loaded first.
      fetch: (input, init) => copy.fetch(input, { dispatcher, ...init }),
    };
  }),
];

const MB10 = Buffer.alloc(10 * 1024 * 1024);
for (let i = 0; i < MB10.length; i += 4) MB10.writeUInt32LE((i * 2654435761) >>> 0, i);

/** Runs `client` against a fresh server, recorded by `hub` or by nobody. */
async function run({ handler, server: options, client }, copy, hub) {
  const server = await WireServer.start(handler, options);
  const uninstall = hub === null ? () => {} : undici.install(hub);
  try {
    const result = await hostResult(() => client({ ...copy, origin: server.origin, server, hub }), server.origin);
    return { result, server };
  } finally {
    await hub?.idle;
    if (hub !== null) await hub.settled(hub.expected);
    uninstall();
    await server.close();
  }
}

/**
 * @param {any} copy
 * @param {{ handler: Function, server?: object, client: Function, exchanges?: number, verify?: Function }} scenario
 *   exchanges: how many the recorder must have at the end
 */
async function compare(copy, scenario) {
  const plain = await run(scenario, copy, null);
  const hub = new FakeHub();
  hub.expected = scenario.exchanges ?? 1;
  const traced = await run(scenario, copy, hub);
  assert.deepEqual(traced.result, plain.result, 'the host sees no difference');
  assert.deepEqual(hub.faults, []);
  assert.deepEqual(hub.violations, []);
  assert.equal(hub.recorded.length, hub.expected, 'exactly one record for each exchange');
  await scenario.verify?.({ hub, exchanges: hub.recorded, exchange: hub.recorded[0], server: traced.server, ...traced.result });
}

/** The recorded exchange is what went over the wire, head and body, both ways. */
function assertSameAsServer(exchange, account) {
  assert.equal(exchange.requestLine, account.line);
  assert.deepEqual(exchange.requestHeaders, account.headers);
  assert.equal(digest(exchange.requestBody), digest(account.requestBody));
  assert.equal(exchange.status, account.response.statusCode);
  assert.equal(digest(exchange.responseBody), digest(account.responseBody));
}

function assertComplete({ exchanges, server }) {
  assert.equal(exchanges.length, server.accounts.length);
  exchanges.forEach((exchange, i) => {
    assertSameAsServer(exchange, server.accounts[i]);
    assert.equal(exchange.outcome, 'end');
    assert.equal(exchange.requestEnded, true);
  });
}

const JSON_HEADERS = { 'content-type': 'application/json', 'x-many': ['one', 'two'] };
const answerJson = (account) => account.answer(200, JSON_HEADERS, '{"héllo":"wörld"}');

async function readText(response, origin) {
  const ownKeys = Reflect.ownKeys(response).filter((key) => typeof key === 'string');
  return { ...describeResponse(response, origin), ownKeys, text: await response.text() };
}

const ENCODER = new TextEncoder();
const streamOf = (...parts) => new ReadableStream({
  start(controller) {
    for (const part of parts) controller.enqueue(ENCODER.encode(part));
    controller.close();
  },
});

/** What a fetch may be given, as a function of the copy's classes. */
const BODIES = {
  'no body': () => ({ init: {} }),
  'a string': () => ({ init: { method: 'POST', body: '{"snowman":"☃"}', headers: { 'X-Own-Case': 'kept' } } }),
  'an empty string': () => ({ init: { method: 'POST', body: '' } }),
  'an ArrayBuffer': () => ({ init: { method: 'PUT', body: ENCODER.encode('buffer').buffer } }),
  'a view into a larger buffer': () => ({ init: { method: 'POST', body: ENCODER.encode('..view..').subarray(2, 6) } }),
  'a Blob': () => ({ init: { method: 'POST', body: new Blob(['blob ', new Uint8Array([0, 255])], { type: 'x/y' }) } }),
  'URLSearchParams': () => ({ init: { method: 'POST', body: new URLSearchParams({ a: '1 2', b: 'ü' }) } }),
  'a FormData': ({ FormData }) => {
    const form = new FormData();
    form.set('field', 'välue');
    form.set('file', new Blob(['\0binary\xff']), 'name.bin');
    return { init: { method: 'POST', body: form } };
  },
  'a stream': () => ({ init: { method: 'POST', duplex: 'half', body: streamOf('first', 'second', 'third') } }),
  'an empty stream': () => ({ init: { method: 'POST', duplex: 'half', body: streamOf() } }),
  'a Request': ({ Request }) => ({ request: (url) => new Request(url, { method: 'POST', body: 'in a request' }) }),
  'a Request and an init that overrides it': ({ Request }) => ({
    request: (url) => new Request(url, { method: 'POST', body: 'replaced', headers: { a: '1' } }),
    init: { method: 'PATCH', body: 'wins', headers: { b: '2' } },
  }),
  'a URL object': () => ({ request: (url) => new URL(url), init: { method: 'DELETE' } }),
};

for (const copy of COPIES) {
  describe(copy.name, () => {
    for (const [name, make] of Object.entries(BODIES)) {
      test(`request with ${name}`, () => compare(copy, {
        handler: answerJson,
        client: async ({ fetch, origin }) => {
          const { request = (url) => url, init } = make(copy);
          return readText(await fetch(request(`${origin}/v1/messages?beta=true`), init), origin);
        },
        verify: assertComplete,
      }));
    }

    test('a stream reaches the recorder and the client chunk by chunk', () => {
      let next;
      return compare(copy, {
        handler: async (account) => {
          account.head(200, { 'content-type': 'text/event-stream' });
          for (const text of ['event: a\n', 'data: ☃\n\n', 'data: b\n\n']) {
            next = gate();
            await account.write(text);
            await next.opened;
          }
          await account.end();
        },
        client: async ({ fetch, origin, hub }) => {
          const response = await fetch(origin);
          const chunks = [];
          for await (const chunk of response.body) {
            chunks.push(Buffer.from(chunk).toString());
            // What the client holds in its hands is on record already, and nothing beyond it.
            if (hub !== null) assert.equal(hub.exchanges[0].responseBody.toString(), chunks.join(''));
            next.open();
          }
          return chunks;
        },
        verify: (outcome) => {
          assertComplete(outcome);
          assert.equal(outcome.exchange.responseChunks.length, 3);
        },
      });
    });

    for (const [method, status] of [['HEAD', 200], ['GET', 204], ['GET', 304]]) {
      test(`${method} answered with ${status} has no body and an end`, () => compare(copy, {
        handler: (account) => account.answer(status, { etag: '"x"' }),
        client: async ({ fetch, origin }) => readText(await fetch(origin, { method }), origin),
        verify: assertComplete,
      }));
    }

    test('trailers', () => compare(copy, {
      handler: async (account) => {
        account.head(200, { trailer: 'x-checksum' });
        await account.write('body');
        account.response.addTrailers({ 'x-checksum': 'abc' });
        await account.end();
      },
      client: async ({ fetch, origin }) => readText(await fetch(origin), origin),
      verify: (outcome) => {
        assertComplete(outcome);
        assert.equal(outcome.exchange.trailers, 'x-checksum: abc\r\n');
      },
    }));

    test('a compressed body is recorded as it was on the wire', () => compare(copy, {
      handler: (account) => account.answer(200, { 'content-encoding': 'gzip' }, zlib.gzipSync('plain '.repeat(1000))),
      client: async ({ fetch, origin }) => readText(await fetch(origin), origin),
      verify: assertComplete,
    }));

    test('each hop of a redirect is an exchange', () => compare(copy, {
      handler: (account) => account.line.startsWith('POST /first')
        ? account.answer(307, { location: '/second' }, 'moved') : answerJson(account),
      client: async ({ fetch, origin }) => readText(await fetch(`${origin}/first`, { method: 'POST', body: 'x' }), origin),
      exchanges: 2,
      verify: (outcome) => {
        const [first, second] = outcome.exchanges;
        assert.equal(outcome.value.redirected, true);
        assert.equal(first.requestLine, 'POST /first HTTP/1.1');
        assert.equal(first.status, 307);
        assertSameAsServer(second, outcome.server.accounts[1]);
        assert.equal(second.outcome, 'end');
        assert.notEqual(first.outcome, null);
      },
    }));

    test('an informational answer is not the answer', () => compare(copy, {
      handler: async (account) => {
        await new Promise((resolve) => { account.response.writeEarlyHints({ link: '</a>; rel=preload' }, resolve); });
        await answerJson(account);
      },
      client: async ({ fetch, origin }) => readText(await fetch(origin), origin),
      verify: assertComplete,
    }));

    test('keeps a partial body when the connection is reset', () => compare(copy, {
      handler: async (account) => {
        account.head(200, { 'content-length': '1000' });
        await account.write('partial');
        account.response.socket.destroy();
      },
      client: async ({ fetch, origin }) => (await fetch(origin)).text(),
      verify: ({ exchange, server }) => {
        assertSameAsServer(exchange, server.accounts[0]);
        assert.equal(exchange.outcome, 'error');
        assert.equal(exchange.error.code, 'UND_ERR_SOCKET');
      },
    }));

    test('a connection reset before the answer', () => compare(copy, {
      handler: (account) => { account.response.socket.destroy(); },
      client: async ({ fetch, origin }) => (await fetch(origin, { method: 'POST', body: 'x' })).text(),
      verify: ({ exchange, server }) => {
        assert.deepEqual(exchange.requestHeaders, server.accounts[0].headers);
        assert.equal(exchange.responseHead, null);
        assert.equal(exchange.outcome, 'error');
      },
    }));

    for (const [name, reason, expected] of [
      ['abort()', [], { code: 'ABORT_ERR', message: 'This operation was aborted' }],
      ['abort(error)', [Object.assign(new Error('mine'), { code: 'MY_CODE' })], { code: 'MY_CODE', message: 'mine' }],
      ['abort("text")', ['text'], { code: 'ABORT_ERR', message: 'text' }],
    ]) {
      test(`${name} in mid-stream`, () => compare(copy, {
        handler: async (account) => {
          account.head(200, { 'content-type': 'text/event-stream' });
          await account.write('data: 1\n\n');
        },
        client: async ({ fetch, origin }) => {
          const controller = new AbortController();
          const response = await fetch(origin, { signal: controller.signal });
          const reader = response.body.getReader();
          await reader.read();
          controller.abort(...reason);
          await reader.read();
        },
        verify: ({ exchange }) => {
          assert.equal(exchange.responseBody.toString(), 'data: 1\n\n');
          assert.deepEqual(exchange.error, expected);
        },
      }));
    }

    test('abort before the answer', () => {
      let arrived;
      return compare(copy, {
        handler: () => arrived.open(),
        client: async ({ fetch, origin }) => {
          arrived = gate();
          const controller = new AbortController();
          const answered = fetch(origin, { method: 'POST', body: 'x', signal: controller.signal });
          await Promise.race([arrived.opened, answered]);
          controller.abort();
          await answered;
        },
        verify: ({ exchange }) => {
          assert.equal(exchange.requestBody.toString(), 'x');
          assert.equal(exchange.responseHead, null);
          assert.deepEqual(exchange.error, { code: 'ABORT_ERR', message: 'This operation was aborted' });
        },
      });
    });

    for (const [name, drop] of Object.entries({
      'a break out of the body': async (response) => { for await (const _ of response.body) break; },
      'a body cancelled unread': (response) => response.body.cancel(),
      'a reader cancelled after a chunk': async (response) => {
        const reader = response.body.getReader();
        await reader.read();
        await reader.cancel();
      },
    })) {
      test(`${name} ends the exchange with what had arrived`, () => compare(copy, {
        handler: async (account) => {
          account.head(529, { 'retry-after': '1' });
          await account.write('overloaded');
        },
        client: async ({ fetch, origin, hub }) => {
          const response = await fetch(origin);
          await hub?.until(() => hub.exchanges[0].responseChunks.length === 1);
          await drop(response);
        },
        verify: ({ exchange }) => {
          assert.equal(exchange.status, 529);
          assert.equal(exchange.responseBody.toString(), 'overloaded');
          assert.equal(exchange.outcome, 'error');
          assert.equal(exchange.error.code, 'ABORT_ERR');
        },
      }));
    }

    test('a response that is collected unread ends the exchange', () => {
      v8.setFlagsFromString('--expose-gc');
      const collect = vm.runInNewContext('gc');
      return compare(copy, {
        handler: async (account) => {
          account.head(200, {});
          await account.write('x'.repeat(10));
        },
        client: async ({ fetch, origin, hub }) => {
          await (async () => { await fetch(origin); })();
          for (let i = 0; hub !== null && hub.exchanges[0].outcome === null && i < 200; i++) {
            await turn();
            collect();
          }
        },
        verify: ({ exchange }) => {
          assert.equal(exchange.outcome, 'error');
          assert.equal(exchange.responseBody.toString(), 'x'.repeat(10));
        },
      });
    });

    test('a refused connection', async () => {
      const port = await refusedPort();
      await compare(copy, {
        handler: () => {},
        client: ({ fetch }) => fetch(`http://127.0.0.1:${port}/v1/messages`, { method: 'POST', body: 'unsent' }),
        verify: ({ exchange }) => {
          assert.equal(exchange.requestLine, 'POST /v1/messages HTTP/1.1');
          assert.equal(exchange.origin, `http://127.0.0.1:${port}`);
          assert.equal(exchange.requestBody.length, 0);
          assert.equal(exchange.requestEnded, false);
          assert.deepEqual(exchange.error, { code: 'ECONNREFUSED', message: `connect ECONNREFUSED 127.0.0.1:${port}` });
        },
      });
    });

    test('a name that does not resolve', () => compare(copy, {
      handler: () => {},
      client: ({ fetch }) => fetch('http://nonexist.invalid/v1/messages'),
      verify: ({ exchange }) => {
        assert.match(exchange.head, /^GET \/v1\/messages HTTP\/1\.1\r\nhost: nonexist\.invalid\r\n/);
        assert.match(exchange.error.code, /^(ENOTFOUND|EAI_AGAIN)$/);
      },
    }));

    test('an answer that is not HTTP', () => compare(copy, {
      handler: (account) => { account.response.socket.end('NONSENSE\r\n\r\n'); },
      client: async ({ fetch, origin }) => (await fetch(origin)).text(),
      verify: ({ exchange }) => assert.match(exchange.error.code, /^(HPE_\w+|HTTPParserError)$/),
    }));

    test('a body that fails while it is sent', () => compare(copy, {
      handler: () => {},
      server: { early: true },
      client: ({ fetch, origin, server }) => {
        const parts = ['some', new Error('no more')];
        return fetch(origin, {
          method: 'POST',
          duplex: 'half',
          body: new ReadableStream({
            async pull(controller) {
              const part = parts.shift();
              if (typeof part === 'string') return controller.enqueue(ENCODER.encode(part));
              while (server.accounts.length === 0) await turn(); // the head goes out with the first part
              controller.error(part);
            },
          }),
        });
      },
      verify: ({ exchange, server }) => {
        assert.deepEqual(exchange.requestHeaders, server.accounts[0].headers);
        assert.equal(exchange.requestBody.toString(), 'some');
        assert.deepEqual(exchange.error, { code: '', message: 'no more' });
      },
    }));

    test('an early answer while the request is still being sent', () => compare(copy, {
      handler: (account) => account.answer(413, { connection: 'close' }, 'too large'),
      server: { early: true },
      client: async ({ fetch, origin }) => {
        let answered = false;
        const response = await fetch(origin, {
          method: 'POST',
          duplex: 'half',
          body: new ReadableStream({
            async pull(controller) {
              if (answered) return controller.close();
              await turn();
              controller.enqueue(new Uint8Array(10));
            },
          }),
        });
        answered = true;
        return response.text();
      },
      verify: ({ exchange, server }) => {
        assert.equal(exchange.status, 413);
        assert.equal(digest(exchange.responseBody), digest(server.accounts[0].responseBody));
        assert.equal(exchange.outcome, 'end');
      },
    }));

    test('10 MB each way', () => compare(copy, {
      handler: (account) => account.answer(200, {}, MB10),
      client: async ({ fetch, origin }) => {
        const response = await fetch(origin, { method: 'POST', body: MB10 });
        return digest(Buffer.from(await response.arrayBuffer()));
      },
      verify: assertComplete,
    }));

    test('50 at a time', () => compare(copy, {
      handler: async (account) => {
        account.head(200, {});
        await account.write(account.request.url);
        await account.end(account.requestBody);
      },
      client: ({ fetch, origin }) => Promise.all(Array.from({ length: 50 }, async (_, i) => {
        const response = await fetch(`${origin}/${i}`, { method: 'POST', body: String(i).repeat(2000) });
        return digest(await response.text());
      })),
      exchanges: 50,
      verify: ({ exchanges, server }) => {
        const byLine = new Map(server.accounts.map((account) => [account.line, account]));
        for (const exchange of exchanges) {
          assertSameAsServer(exchange, byLine.get(exchange.requestLine));
          assert.equal(exchange.outcome, 'end');
        }
      },
    }));

    for (const throwIn of ['match', 'begin', 'chunk', 'mark', 'all']) {
      test(`a recorder that throws in ${throwIn} is the recorder's problem`, async () => {
        const scenario = {
          handler: async (account) => {
            account.head(200, JSON_HEADERS);
            await account.write('a');
            await account.end('b');
          },
          client: async ({ fetch, origin }) => readText(await fetch(origin, { method: 'POST', body: 'x' }), origin),
        };
        const plain = await run(scenario, copy, null);
        const hub = new FakeHub({ throwIn });
        hub.expected = 0;
        const traced = await run(scenario, copy, hub);
        assert.deepEqual(traced.result, plain.result);
        assert.ok(hub.faults.length > 0, 'and it is counted');
      });
    }

    test('what no rule matches is looked up once and left alone', async () => {
      const hub = new FakeHub({ match: () => false });
      hub.expected = 0;
      const scenario = {
        handler: answerJson,
        client: async ({ fetch, origin }) => readText(await fetch(`${origin}/path?q=1`), origin),
      };
      const { server } = await run(scenario, copy, hub);
      assert.deepEqual(hub.lookups, [{ origin: server.origin, path: '/path?q=1', method: 'GET' }]);
      assert.deepEqual(hub.exchanges, []);
    });
  });
}

test('installs once, and leaves nothing behind', async () => {
  const hub = new FakeHub();
  const uninstall = undici.install(hub);
  assert.equal(undici.install(new FakeHub()), uninstall);
  uninstall();
  uninstall();
  const server = await WireServer.start(answerJson);
  await (await fetch(server.origin)).text();
  await server.close();
  assert.deepEqual(hub.lookups, []);
});
