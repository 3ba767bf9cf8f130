'use strict';

// The HTTP libraries that stand on node:http: each hop and each retry is one exchange, and none notices us.

const assert = require('node:assert/strict');
const http = require('node:http');
const { after, before, describe, test } = require('node:test');
const zlib = require('node:zlib');
const { install } = require('../lib/hooks/http.js');
const { assertComplete, assertSameAsServer, compare, noise } = require('./support/hook-compare.js');
const { digest } = require('./support/host-result.js');
const { WireServer, refusedPort } = require('./support/wire-server.js');

/**
 * A library, brought to one form: `call(url, { method, body, signal, onChunk, retries })` → { status, body, url }.
 * @type {Record<string, { load: () => Promise<any>, call?: Function }>}
 */
const CLIENTS = {
  axios: {
    load: () => import('axios'),
    async call({ default: axios }, url, { method = 'GET', body, signal, onChunk } = {}) {
      const response = await axios.request({
        url, method, data: body, signal, responseType: onChunk ? 'stream' : 'arraybuffer', validateStatus: () => true,
        headers: { 'content-type': 'application/json' },
      });
      if (onChunk) for await (const chunk of response.data) await onChunk(chunk);
      return { status: response.status, body: onChunk ? '' : digest(response.data) };
    },
  },
  got: {
    load: () => import('got'),
    async call({ default: got }, url, { method = 'GET', body, signal, onChunk, retries = 0 } = {}) {
      const options = { method, body, signal, throwHttpErrors: false, retry: { limit: retries, calculateDelay: ({ computedValue }) => (computedValue && 1) } };
      if (onChunk) {
        for await (const chunk of got.stream(url, options)) await onChunk(chunk);
        return {};
      }
      const response = await got(url, { ...options, responseType: 'buffer' });
      return { status: response.statusCode, body: digest(response.body), retries: response.retryCount };
    },
  },
  'node-fetch': {
    load: () => import('node-fetch'),
    async call({ default: fetch }, url, { method = 'GET', body, signal, onChunk } = {}) {
      const response = await fetch(url, { method, body, signal });
      if (onChunk) for await (const chunk of response.body) await onChunk(chunk);
      return { status: response.status, redirected: response.redirected, body: onChunk ? '' : digest(Buffer.from(await response.arrayBuffer())) };
    },
  },
};

for (const [name, { load, call }] of Object.entries(CLIENTS)) {
  describe(name, { timeout: 60_000 }, () => {
    /** @type {any} */
    let client;
    before(async () => {
      const library = await load();
      client = (url, options) => call(library, url, options);
    });
    after(() => http.globalAgent.destroy());

    test('a JSON exchange', () => compare(install, {
      serve: () => WireServer.start((account) => account.answer(200, { 'content-type': 'application/json' }, '{"ok":true}')),
      client: ({ origin }) => client(`${origin}/v1/messages`, { method: 'POST', body: '{"snowman":"☃"}' }),
      verify: assertComplete,
    }));

    test('1 MB each way, packed', () => compare(install, {
      serve: () => WireServer.start((account) => account.answer(200, { 'content-encoding': 'gzip' }, zlib.gzipSync(account.requestBody))),
      client: ({ origin }) => client(`${origin}/v1/messages`, { method: 'POST', body: noise(1 << 20).toString('latin1') }),
      verify: assertComplete,
    }));

    test('a stream', () => compare(install, {
      serve: () => WireServer.start(async (account) => {
        account.head(200, { 'content-type': 'text/event-stream' });
        for (let i = 0; i < 10; i++) await account.write(`data: ${i}\n\n`);
        await account.end();
      }),
      client: async ({ origin }) => {
        let text = '';
        const result = await client(`${origin}/v1/messages`, { method: 'POST', body: '{}', onChunk: (chunk) => { text += chunk; } });
        return { ...result, text };
      },
      verify: assertComplete,
    }));

    for (const status of [301, 303, 307]) {
      test(`a redirect by ${status}: two exchanges`, () => compare(install, {
        serve: () => WireServer.start((account) => (account.request.url === '/v1/messages'
          ? account.answer(status, { location: '/v1/elsewhere' }, 'over there')
          : account.answer(200, {}, `here: ${account.requestBody}`))),
        exchanges: 2,
        client: ({ origin }) => client(`${origin}/v1/messages`, { method: 'POST', body: '{"a":1}' }),
        verify: (seen) => {
          assertComplete(seen);
          assert.deepEqual(seen.exchanges.map((exchange) => exchange.status), [status, 200]);
        },
      }));
    }

    test('an HTTP error', () => compare(install, {
      serve: () => WireServer.start((account) => account.answer(529, {}, '{"type":"error"}')),
      client: ({ origin }) => client(`${origin}/v1/messages`, { method: 'POST', body: '{}' }),
      verify: assertComplete,
    }));

    test('a refused connection', () => compare(install, {
      serve: async () => ({ origin: `http://127.0.0.1:${await refusedPort()}`, close: async () => {} }),
      client: ({ origin }) => client(`${origin}/v1/messages`, { method: 'POST', body: '{}' }),
      verify: ({ exchange }) => assert.equal(exchange.error.code, 'ECONNREFUSED'),
    }));

    test('an abort in mid-stream', () => compare(install, {
      serve: () => WireServer.start(async (account) => {
        account.head(200, {});
        await account.write('first');
      }),
      client: ({ origin }) => {
        const controller = new AbortController();
        return client(`${origin}/v1/messages`, { method: 'POST', body: '{}', signal: controller.signal, onChunk: () => controller.abort() });
      },
      verify: ({ exchange, server }) => {
        assertSameAsServer(exchange, server.accounts[0]);
        assert.equal(exchange.outcome, 'error');
        assert.equal(exchange.error.code, name === 'axios' ? 'ERR_CANCELED' : 'ABORT_ERR', 'the error that the library gave');
      },
    }));

    test('a stream that breaks off', () => compare(install, {
      serve: () => WireServer.start(async (account) => {
        account.head(200, {});
        await account.write('first');
      }),
      client: ({ origin, server }) => client(`${origin}/v1/messages`, {
        method: 'POST', body: '{}', onChunk: () => { for (const socket of server.sockets) socket.resetAndDestroy(); },
      }),
      verify: ({ exchange }) => {
        assert.equal(exchange.error.code, 'ECONNRESET');
        assert.equal(String(exchange.responseBody), 'first');
      },
    }));
  });
}

test("got's retries: an exchange each", { timeout: 60_000 }, async () => {
  const library = await CLIENTS.got.load();
  let calls = 0;
  await compare(install, {
    serve: () => {
      calls = 0;
      return WireServer.start((account) => account.answer(calls++ < 2 ? 503 : 200, {}, `attempt ${calls}`));
    },
    exchanges: 3,
    client: ({ origin }) => CLIENTS.got.call(library, `${origin}/v1/messages`, { method: 'PUT', body: 'again', retries: 3 }),
    verify: (seen) => {
      assertComplete(seen);
      assert.deepEqual(seen.exchanges.map((exchange) => exchange.status), [503, 503, 200]);
    },
  });
});
