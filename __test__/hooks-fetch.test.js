'use strict';

// A global fetch that no hook below can see: here Node's own behind a function of the host, with the undici hook off.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { describe, test: nodeTest } = require('node:test');
const { setImmediate: turn } = require('node:timers/promises');
const { promisify } = require('node:util');
const v8 = require('node:v8');
const vm = require('node:vm');
const zlib = require('node:zlib');
const fetchHook = require('../lib/hooks/fetch.js');
const httpHook = require('../lib/hooks/http.js');
const undiciHook = require('../lib/hooks/undici.js');
const { SOURCE } = require('../lib/kinds.js');
const { FakeHub } = require('./support/fake-hub.js');
const { describeResponse, digest, hostResult } = require('./support/host-result.js');
const { WireServer, gate, refusedPort } = require('./support/wire-server.js');

/** A hang is a failure too. */
const test = (name, body) => nodeTest(name, { timeout: 20_000 }, body);

// `bun test __test__/hooks-fetch.test.js` runs this file as well: there everything below fetch is out of sight.
const onBun = process.versions.bun !== undefined;

const nodesFetch = globalThis.fetch;
/** What a native client or a runtime other than Node brings along. */
const hostsFetch = Object.assign((...args) => nodesFetch(...args), { preconnect() {} });

/** Runs `client` against a fresh server with `fetch` as the global, recorded by `hub` or by nobody. */
async function run({ handler, server: options, client, fetch = hostsFetch, hooks = [] }, hub) {
  const server = await WireServer.start(handler, options);
  globalThis.fetch = fetch;
  const uninstall = hub === null ? [] : [fetchHook, ...hooks].map((hook) => hook.install(hub));
  try {
    const result = await hostResult(() => client({ origin: server.origin, server, hub }), server.origin);
    if (hub !== null) await hub.settled(hub.expected);
    return { result, server };
  } finally {
    for (const undo of uninstall.reverse()) undo();
    globalThis.fetch = nodesFetch;
    await server.close();
  }
}

/** Collects garbage until the recorder has heard of a lost body. */
async function collectUntilEnd(hub) {
  v8.setFlagsFromString('--expose-gc');
  const collect = onBun ? () => globalThis.Bun.gc(true) : vm.runInNewContext('gc');
  for (let i = 0; hub !== null && hub.exchanges[0].outcome === null && i < 200; i++) {
    await turn();
    collect();
  }
}

/** The host's result must be the same with and without a recorder. */
async function compare(scenario) {
  const plain = await run(scenario, null);
  const hub = new FakeHub();
  hub.expected = scenario.exchanges ?? 1;
  const traced = await run(scenario, hub);
  assert.deepEqual(traced.result, plain.result, 'the host sees no difference');
  assert.deepEqual(hub.faults, []);
  assert.deepEqual(hub.violations, []);
  assert.equal(hub.recorded.length, hub.expected);
  return { hub, exchange: hub.recorded[0], exchanges: hub.recorded, server: traced.server, ...traced.result };
}

const PARTS = ['{"héllo":', '"wörld ☃"', '}'];
const answerInParts = async (account) => {
  account.head(200, { 'content-type': 'application/json', 'set-cookie': ['a=1', 'b=2'] });
  for (const part of PARTS) await account.write(part);
  await account.end();
};

function assertComplete({ exchange, server }) {
  const [account] = server.accounts;
  assert.equal(exchange.source, SOURCE.FETCH);
  assert.equal(exchange.requestLine, account.line);
  assert.equal(digest(exchange.requestBody), digest(account.requestBody));
  assert.equal(exchange.requestEnded, true);
  assert.equal(exchange.status, account.response.statusCode);
  assert.equal(digest(exchange.responseBody), digest(account.responseBody));
  assert.equal(exchange.outcome, 'end');
}

const ENCODER = new TextEncoder();
const streamOf = (...parts) => new ReadableStream({
  start(controller) {
    for (const part of parts) controller.enqueue(ENCODER.encode(part));
    controller.close();
  },
});

describe('requests', () => {
  const inits = {
    'nothing but a URL': () => ({}),
    'a string': () => ({ init: { method: 'post', body: '{"snowman":"☃"}', headers: { 'X-Own': 'kept' } } }),
    'an ArrayBuffer': () => ({ init: { method: 'PUT', body: ENCODER.encode('buffer').buffer } }),
    'a view into a larger buffer': () => ({ init: { method: 'POST', body: ENCODER.encode('..view..').subarray(2, 6) } }),
    'a DataView': () => ({ init: { method: 'POST', body: new DataView(ENCODER.encode('data').buffer, 1) } }),
    'a Blob': () => ({ init: { method: 'POST', body: new Blob(['blob ', new Uint8Array([0, 255])], { type: 'x/y' }) } }),
    'URLSearchParams': () => ({ init: { method: 'POST', body: new URLSearchParams({ a: '1 2', b: 'ü' }) } }),
    'a stream': () => ({ init: { method: 'POST', duplex: 'half', body: streamOf('first', 'second', 'third') } }),
    'an async iterable': () => ({
      init: { method: 'POST', duplex: 'half', body: (async function* () { yield ENCODER.encode('one'); yield ENCODER.encode('two'); })() },
    }),
    'a Request': () => ({ request: (url) => new Request(url, { method: 'POST', body: 'in a request', headers: { a: '1' } }) }),
    'a Request with a stream': () => ({
      request: (url) => new Request(url, { method: 'POST', duplex: 'half', body: streamOf('streamed ', 'request') }),
    }),
    'a Request and an init that overrides it': () => ({
      request: (url) => new Request(url, { method: 'POST', body: 'replaced', headers: { a: '1' } }),
      init: { method: 'PATCH', body: 'wins', headers: [['b', '2']] },
    }),
    'a URL object and Headers': () => ({
      request: (url) => new URL(url), init: { method: 'DELETE', headers: new Headers({ c: '3' }) },
    }),
  };
  for (const [name, make] of Object.entries(inits)) {
    test(name, async () => {
      const outcome = await compare({
        handler: answerInParts,
        client: async ({ origin }) => {
          const { request = (url) => url, init } = make();
          const input = request(`${origin}/v1/messages?beta=true`);
          const response = await fetch(input, init);
          return [await response.text(), input.bodyUsed, describeResponse(response, origin)];
        },
      });
      assertComplete(outcome);
      // The platform adds headers that are not to be seen from here; none of ours may be invented.
      const sent = new Map(outcome.server.accounts[0].headers.map(([key, value]) => [key.toLowerCase(), value]));
      for (const [key, value] of outcome.exchange.requestHeaders) assert.equal(sent.get(key.toLowerCase()), value, key);
    });
  }

  test('a FormData, between boundaries of our own', async () => {
    const { exchange, server } = await compare({
      handler: answerInParts,
      client: async ({ origin }) => {
        const form = new FormData();
        form.set('field', 'välue');
        form.set('file', new Blob(['\0\xff']), 'name.bin');
        return (await fetch(origin, { method: 'POST', body: form })).text();
      },
    });
    const [account] = server.accounts;
    const recorded = new Response(exchange.requestBody, { headers: exchange.requestHeaders.filter(([key]) => key === 'content-type') });
    const sent = new Response(account.requestBody, { headers: { 'content-type': account.header('content-type') } });
    const parts = async (form) => Promise.all([...await form].map(async ([key, value]) => [key, typeof value === 'string' ? value : [value.name, await value.text()]]));
    assert.deepEqual(await parts(recorded.formData()), await parts(sent.formData()));
  });

  test('a stream is read at the pace of fetch, and its failure is the host\'s', async () => {
    const { exchange, error } = await compare({
      handler: () => {},
      server: { early: true },
      client: ({ origin, server }) => {
        const parts = ['some', new Error('no more')];
        return fetch(origin, {
          method: 'POST',
          duplex: 'half',
          body: new ReadableStream({
            async pull(controller) {
              const part = parts.shift();
              if (typeof part === 'string') return controller.enqueue(ENCODER.encode(part));
              while (server.accounts.length === 0) await turn();
              controller.error(part);
            },
          }, { highWaterMark: 0 }),
        });
      },
    });
    assert.equal((error.cause ?? error).message, 'no more');
    assert.equal(exchange.requestBody.toString(), 'some');
    assert.equal(exchange.outcome, 'error');
  });

  test('what cannot be a URL is left to fetch', async () => {
    const { error, hub } = await compare({ handler: () => {}, client: () => fetch('no url'), exchanges: 0 });
    assert.equal(error.name, 'TypeError');
    assert.deepEqual(hub.lookups, []);
  });

  test('data: URLs are no exchanges', async () => {
    const { value } = await compare({ handler: () => {}, client: async () => (await fetch('data:,x')).text(), exchanges: 0 });
    assert.equal(value, 'x');
  });
});

/** Every way to the bytes of a response; each gives something that can be compared. */
const READERS = {
  'text()': (response) => response.text(),
  'json()': (response) => response.json(),
  'arrayBuffer()': async (response) => digest(Buffer.from(await response.arrayBuffer())),
  'bytes()': async (response) => response.bytes === undefined ? null : digest(await response.bytes()),
  'blob()': async (response) => {
    const blob = await response.blob();
    return [blob.type, await blob.text()];
  },
  'getReader()': async (response) => {
    const reader = response.body.getReader();
    let text = '';
    for (let r = await reader.read(); !r.done; r = await reader.read()) text += Buffer.from(r.value).toString('latin1');
    await reader.closed;
    return text;
  },
  'readers in turn': async (response) => {
    const first = response.body.getReader();
    const { value } = await first.read();
    first.releaseLock();
    const rest = [];
    for await (const chunk of response.body) rest.push(chunk);
    return Buffer.concat([value, ...rest]).toString();
  },
  'for await': async (response) => {
    const chunks = [];
    for await (const chunk of response.body) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  },
  'values()': async (response) => {
    const chunks = [];
    for await (const chunk of response.body.values()) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  },
  'pipeTo()': async (response) => {
    const chunks = [];
    await response.body.pipeTo(new WritableStream({ write: (chunk) => { chunks.push(chunk); } }));
    return Buffer.concat(chunks).toString();
  },
  'pipeThrough()': async (response) => {
    let text = '';
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) text += chunk;
    return text;
  },
  'tee()': async (response) => {
    const [a, b] = response.body.tee();
    return Promise.all([new Response(b).text(), READERS['for await']({ body: a })]);
  },
  'clone() and both': async (response) => {
    const copy = response.clone();
    return [await copy.json(), await response.text()];
  },
  'clone() only': (response) => response.clone().text(),
  'clone() of a clone': async (response) => {
    const copies = [response, response.clone()];
    copies.push(copies[1].clone());
    return Promise.all(copies.map((copy) => copy.text()));
  },
};

describe('responses', () => {
  for (const [name, read] of Object.entries(READERS)) {
    test(`read by ${name}`, async () => {
      const outcome = await compare({
        handler: answerInParts,
        client: async ({ origin }) => {
          const response = await fetch(origin);
          const before = describeResponse(response, origin);
          const value = await read(response);
          return { before, value, bodyUsed: response.bodyUsed, again: await hostResult(() => response.text(), origin) };
        },
      });
      if (name === 'bytes()' && outcome.value.value === null) return; // Node 20 has none
      assertComplete(outcome);
    });
  }

  test('a chunk is on record when the client has it, and comes when it was sent', async () => {
    let next;
    const { exchange } = await compare({
      handler: async (account) => {
        account.head(200, { 'content-type': 'text/event-stream' });
        for (const text of ['event: a\n', 'data: ☃\n\n', 'data: b\n\n']) {
          next = gate();
          await account.write(text);
          await next.opened;
        }
        await account.end();
      },
      client: async ({ origin, hub }) => {
        const response = await fetch(origin);
        const chunks = [];
        for await (const chunk of response.body) {
          chunks.push(Buffer.from(chunk).toString());
          if (hub !== null) assert.equal(hub.exchanges[0].responseBody.toString(), chunks.join(''));
          next.open();
        }
        return chunks;
      },
    });
    assert.equal(exchange.responseChunks.length, 3);
  });

  test('the response is the one that fetch gave, and looks it', async () => {
    let given;
    const fetch = async (...args) => (given = await nodesFetch(...args));
    const { value } = await compare({
      handler: answerInParts,
      client: async ({ origin }) => {
        const response = await globalThis.fetch(origin);
        return [
          response === given, response instanceof Response, Object.keys(response), Object.keys(response.body),
          response.text.name, response.text.length, response.body === response.body, await response.text(),
        ];
      },
      fetch,
    });
    assert.deepEqual(value, [true, true, [], [], 'text', 0, true, PARTS.join('')]);
  });

  for (const [method, status] of [['HEAD', 200], ['GET', 204], ['GET', 304]]) {
    test(`${method} answered with ${status} is complete with its head`, async () => {
      assertComplete(await compare({
        handler: (account) => account.answer(status, { etag: '"x"' }),
        client: async ({ origin }) => describeResponse(await fetch(origin, { method }), origin),
      }));
    });
  }

  test('an encoded body is recorded as the program reads it', async () => {
    const { exchange } = await compare({
      handler: (account) => account.answer(200, { 'content-encoding': 'gzip' }, zlib.gzipSync('plain')),
      client: async ({ origin }) => (await fetch(origin)).text(),
    });
    assert.equal(exchange.responseBody.toString(), 'plain');
  });

  for (const bytes of [[0xef, 0xbb, 0xbf, 0x61], [0x61, 0xff, 0xc3], []]) {
    test(`text() of ${Buffer.from(bytes).toString('hex') || 'nothing'} keeps the bytes`, async () => {
      assertComplete(await compare({
        handler: async (account) => { account.head(200, {}); await account.end(Buffer.from(bytes)); },
        client: async ({ origin }) => (await fetch(origin)).text(),
      }));
    });
  }

  test('formData() and a json() that fails', async () => {
    const { exchanges } = await compare({
      handler: (account) => account.answer(200, { 'content-type': 'application/x-www-form-urlencoded' }, 'a=1&b=%20'),
      client: async ({ origin }) => [
        [...await (await fetch(origin)).formData()],
        await hostResult(async () => (await fetch(origin)).json(), origin),
      ],
      exchanges: 2,
    });
    assert.deepEqual(exchanges.map(({ outcome }) => outcome), ['end', 'end']);
  });

  test('a redirect is one call', async () => {
    const { exchange, value } = await compare({
      handler: (account) => account.line.includes('/first') ? account.answer(302, { location: '/second' }) : answerInParts(account),
      client: async ({ origin }) => {
        const response = await fetch(`${origin}/first`);
        return [await response.text(), response.redirected];
      },
    });
    assert.equal(value[1], true);
    assert.equal(exchange.requestLine, 'GET /first HTTP/1.1');
    assert.equal(exchange.status, 200);
  });

  test('10 MB each way', async () => {
    const big = Buffer.alloc(10 * 1024 * 1024, 'abcdefg');
    assertComplete(await compare({
      handler: (account) => account.answer(200, {}, big),
      client: async ({ origin }) => digest(Buffer.from(await (await fetch(origin, { method: 'POST', body: big })).arrayBuffer())),
    }));
  });
});

describe('failures', () => {
  test('refused', async () => {
    const port = await refusedPort();
    const { exchange } = await compare({
      handler: () => {}, client: () => fetch(`http://127.0.0.1:${port}/v1/messages`, { method: 'POST', body: 'x' }),
    });
    assert.equal(exchange.requestLine, 'POST /v1/messages HTTP/1.1');
    assert.equal(exchange.error.code, 'ECONNREFUSED');
  });

  for (const [name, read] of Object.entries(READERS)) {
    test(`reset while read by ${name}`, async () => {
      let arrived;
      const { exchange, value } = await compare({
        handler: async (account) => {
          account.head(200, { 'content-length': '1000' });
          await account.write('partial');
          await arrived.opened;
          account.response.socket.destroy();
        },
        client: async ({ origin, hub }) => {
          arrived = gate();
          const response = await fetch(origin);
          if (name === 'bytes()' && response.bytes === undefined) return null;
          const reading = hostResult(() => read(response), origin);
          await hub?.until(() => hub.exchanges[0].responseChunks.length === 1);
          arrived.open();
          return reading;
        },
        exchanges: name === 'bytes()' && Response.prototype.bytes === undefined ? 0 : 1,
      });
      if (value === null) return;
      assert.equal(exchange.responseBody.toString(), 'partial');
      assert.equal(exchange.outcome, 'error');
      assert.equal(exchange.error.code, onBun ? 'ECONNRESET' : 'UND_ERR_SOCKET');
    });
  }

  const drops = {
    'break': async (response) => { for await (const _ of response.body) break; },
    'body.cancel()': (response) => response.body.cancel(),
    'reader.cancel()': (response) => response.body.getReader().cancel(),
    'a sink that fails': (response) => response.body.pipeTo(new WritableStream({ write() { throw new Error('sink'); } })),
    'both sides of a tee cancelled': async (response) => {
      const sides = response.body.tee();
      await Promise.all(sides.map((side) => side.cancel()));
    },
  };
  for (const [name, drop] of Object.entries(drops)) {
    test(`dropped by ${name}`, async () => {
      const { exchange } = await compare({
        handler: async (account) => { account.head(529, {}); await account.write('overloaded'); },
        client: async ({ origin }) => drop(await fetch(origin)),
      });
      assert.equal(exchange.status, 529);
      assert.equal(exchange.outcome, 'error');
    });
  }

  test('one side of a tee cancelled leaves the other on record', async () => {
    assertComplete(await compare({
      handler: answerInParts,
      client: async ({ origin }) => {
        const [a, b] = (await fetch(origin)).body.tee();
        a.cancel();
        return READERS['for await']({ body: b });
      },
    }));
  });

  test('abort before and in the body', async () => {
    let arrived;
    const { exchanges } = await compare({
      handler: async (account) => {
        if (account.line.includes('/before')) return arrived.open();
        account.head(200, {});
        await account.write('part');
      },
      client: async ({ origin }) => {
        arrived = gate();
        const before = new AbortController();
        const unanswered = hostResult(() => fetch(`${origin}/before`, { signal: before.signal }), origin);
        await arrived.opened;
        before.abort();
        const within = new AbortController();
        const response = await fetch(`${origin}/within`, { signal: within.signal });
        const reader = response.body.getReader();
        await reader.read();
        within.abort();
        return [await unanswered, await hostResult(() => reader.read(), origin)];
      },
      exchanges: 2,
    });
    assert.deepEqual(exchanges.map(({ error }) => error.code), ['ABORT_ERR', 'ABORT_ERR']);
    assert.equal(exchanges[1].responseBody.toString(), 'part');
  });

  for (const [name, use] of Object.entries({
    'collected unread': async () => {},
    'collected half read': async (response) => { await response.body.getReader().read(); },
  })) {
    test(`a body ${name} ends as not seen`, async () => {
      const { exchange } = await compare({
        handler: (account) => account.answer(200, {}, 'unseen'),
        client: async ({ origin, hub }) => {
          await (async () => use(await fetch(origin)))();
          await collectUntilEnd(hub);
        },
      });
      assert.equal(exchange.error.code, 'ERR_BODY_NOT_SEEN');
    });
  }

  test('a body that the platform takes over is complete or says that it was not seen', async () => {
    const { exchange } = await compare({
      handler: (account) => account.answer(200, {}, 'taken'),
      client: async ({ origin, hub }) => {
        const text = await (async () => new Response((await fetch(origin)).body).text())();
        await collectUntilEnd(hub);
        return text;
      },
    });
    if (exchange.outcome === 'end') assert.equal(exchange.responseBody.toString(), 'taken');
    else assert.equal(exchange.error.code, 'ERR_BODY_NOT_SEEN');
  });

  test('a rejection that the host forgets stays an unhandled one, one that it handles does not become one', async () => {
    const port = await refusedPort();
    const script = `
      const { FakeHub } = require(${JSON.stringify(require.resolve('./support/fake-hub.js'))});
      const nodesFetch = fetch;
      globalThis.fetch = (...args) => nodesFetch(...args);
      require(${JSON.stringify(require.resolve('../lib/hooks/fetch.js'))}).install(new FakeHub());
      let unhandled = 0;
      process.on('unhandledRejection', () => { unhandled++; });
      fetch('http://127.0.0.1:${port}/handled').catch(() => {}).then(() => {
        fetch('http://127.0.0.1:${port}/forgotten');
      });
      process.on('exit', () => console.log(unhandled));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', script]);
    assert.equal(stdout, '1\n');
  });

  for (const throwIn of ['match', 'begin', 'chunk', 'mark', 'all']) {
    test(`a recorder that throws in ${throwIn} is the recorder's problem`, async () => {
      const scenario = {
        handler: answerInParts,
        client: async ({ origin }) => {
          const response = await fetch(origin, { method: 'POST', duplex: 'half', body: streamOf('x', 'y') });
          return [await READERS['for await'](response), describeResponse(response, origin)];
        },
      };
      const plain = await run(scenario, null);
      const hub = new FakeHub({ throwIn });
      hub.expected = 0;
      const traced = await run(scenario, hub);
      assert.deepEqual(traced.result, plain.result);
      assert.ok(hub.faults.length > 0, 'and it is counted');
      assert.equal(traced.server.accounts[0].requestBody.toString(), 'xy');
    });
  }
});

describe('with a hook below that sees the same call', { skip: onBun }, () => {
  test('a fetch on undici is recorded once, by the undici hook', async () => {
    const { hub, exchanges, server } = await compare({
      handler: (account) => account.line.includes('/first') ? account.answer(307, { location: '/second' }) : answerInParts(account),
      client: async ({ origin }) => (await fetch(`${origin}/first`, { method: 'POST', body: 'x' })).text(),
      hooks: [undiciHook],
      exchanges: 2,
    });
    assert.deepEqual(exchanges.map(({ source }) => source), [SOURCE.UNDICI, SOURCE.UNDICI]);
    assert.equal(hub.exchanges.length, 3);
    assert.equal(server.accounts.length, 2);
  });

  test('so is node-fetch, by the http hook', async () => {
    const { default: nodeFetch } = await import('node-fetch');
    const { exchange, hub } = await compare({
      handler: answerInParts,
      client: async ({ origin }) => (await fetch(`${origin}/v1/messages`, { method: 'POST', body: 'x' })).text(),
      fetch: nodeFetch,
      hooks: [httpHook],
    });
    assert.equal(exchange.source, SOURCE.HTTP);
    assert.equal(exchange.responseBody.toString(), PARTS.join(''));
    assert.equal(hub.exchanges.length, 2);
  });

  test('calls at the same time do not claim each other', async () => {
    let queued;
    const { hub, exchanges } = await compare({
      handler: (account) => account.answer(200, {}, account.request.url),
      client: async ({ origin }) => {
        queued = fetch(`${origin}/native`); // recorded by the wrapper alone
        const through = await fetch(`${origin}/undici`);
        return [await (await queued).text(), await through.text()];
      },
      // Only what goes through an undici of ours is seen below.
      fetch: (input) => String(input).includes('/native') ? nodesHttpFetch(input) : nodesFetch(input),
      hooks: [undiciHook],
      exchanges: 2,
    });
    const sources = Object.fromEntries(exchanges.map(({ requestLine, source }) => [requestLine.split(' ')[1], source]));
    assert.deepEqual(sources, { '/native': SOURCE.FETCH, '/undici': SOURCE.UNDICI });
    assert.equal(hub.exchanges.length, 3);
  });
});

/** A fetch on node:http, which nobody watches here. */
async function nodesHttpFetch(input) {
  const [message] = await once(require('node:http').get(String(input)), 'response');
  const chunks = [];
  for await (const chunk of message) chunks.push(chunk);
  return new Response(Buffer.concat(chunks), { status: message.statusCode });
}

describe('installing', () => {
  test('Node\'s own fetch is marked, not wrapped, and undici is not loaded for it', async () => {
    if (onBun) return;
    const script = `
      const before = fetch;
      const uninstall = require(${JSON.stringify(path.join(__dirname, '../lib/hooks/fetch.js'))}).install({ onWire: null });
      require(${JSON.stringify(path.join(__dirname, '../lib/hooks/undici.js'))}).install({});
      const loaded = process.moduleLoadList.filter((name) => /deps.undici|NativeModule _?https?(_|$)/.test(name));
      console.log(fetch === before, fetch.__claudeTraceInstrumented, Object.keys(fetch), loaded);
      uninstall();
      console.log(Reflect.ownKeys(fetch).includes('__claudeTraceInstrumented'));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', script]);
    assert.equal(stdout, 'true true [] []\nfalse\n');
  });

  test('a wrapper looks like what it wraps and goes again', () => {
    globalThis.fetch = hostsFetch;
    try {
      const hub = new FakeHub();
      const descriptor = Object.getOwnPropertyDescriptor(globalThis, 'fetch');
      const uninstall = fetchHook.install(hub);
      assert.notEqual(globalThis.fetch, hostsFetch);
      assert.equal(fetchHook.install(hub), uninstall);
      assert.deepEqual(Reflect.ownKeys(globalThis.fetch).filter((key) => key !== '__claudeTraceInstrumented'), Reflect.ownKeys(hostsFetch));
      assert.equal(globalThis.fetch.preconnect, hostsFetch.preconnect);
      assert.equal(globalThis.fetch.length, hostsFetch.length);
      assert.equal(globalThis.fetch.__claudeTraceInstrumented, true);
      assert.equal(typeof hub.onWire, 'function');
      uninstall();
      assert.deepEqual(Object.getOwnPropertyDescriptor(globalThis, 'fetch'), descriptor);
      assert.equal(hub.onWire, null);
    } finally {
      globalThis.fetch = nodesFetch;
    }
  });

  test('what was put over the wrapper stays, and the wrapper below it only passes on', async () => {
    const server = await WireServer.start(answerInParts);
    globalThis.fetch = hostsFetch;
    try {
      const hub = new FakeHub();
      const uninstall = fetchHook.install(hub);
      const wrapper = globalThis.fetch;
      const later = (...args) => wrapper(...args);
      globalThis.fetch = later;
      uninstall();
      assert.equal(globalThis.fetch, later);
      assert.equal(await (await fetch(server.origin)).text(), PARTS.join(''));
      assert.deepEqual(hub.lookups, []);
    } finally {
      globalThis.fetch = nodesFetch;
      await server.close();
    }
  });

  test('a fetch that another recorder has marked is left to it', () => {
    globalThis.fetch = Object.assign(() => {}, { __claudeTraceInstrumented: true });
    try {
      const { fetch } = globalThis;
      assert.equal(fetchHook.install(new FakeHub()), false);
      assert.equal(globalThis.fetch, fetch);
    } finally {
      globalThis.fetch = nodesFetch;
    }
  });
});
