'use strict';

// node:http and node:https: the server's account, the recorder's and the host's own result must agree.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const path = require('node:path');
const { Readable, pipeline } = require('node:stream');
const { after, before, describe, test } = require('node:test');
const zlib = require('node:zlib');
const { install } = require('../lib/hooks/http.js');
const { assertComplete, compare, noise } = require('./support/hook-compare.js');
const { digest } = require('./support/host-result.js');
const { outcome } = require('./support/http-outcome.js');
const { WireServer, gate } = require('./support/wire-server.js');

const CA = readFileSync(path.join(__dirname, '../fixtures/standin/tls/cert.pem'));
before(() => { https.globalAgent.options.ca = CA; });
after(() => {
  http.globalAgent.destroy();
  https.globalAgent.destroy();
});

const echo = (account) => account.answer(200, { 'content-type': 'text/plain', 'x-many': ['one', 'two'] }, account.requestBody);
const PATH = '/v1/messages?beta=true';

/** Every way to make a request, given what is needed for it; `done` is the response's listener. */
const FORMS = {
  'request(string, cb)': ({ lib, url }, done) => lib.request(url, done).end(),
  'request(URL, cb)': ({ lib, url }, done) => lib.request(new URL(url), done).end(),
  'request(options, cb)': ({ lib, hostname, port }, done) => lib.request({ hostname, port, path: PATH }, done).end(),
  'request(options)': ({ lib, hostname, port }, done) => lib.request({ host: hostname, port, path: PATH }).on('response', done).end(),
  'request(string, options, cb)': ({ lib, url }, done) => lib.request(url, { method: 'post', headers: { 'X-Case': 'Kept' } }, done).end('x'),
  'request(URL, options, cb)': ({ lib, url }, done) => lib.request(new URL(url), { method: 'PUT' }, done).end('x'),
  'request(URL, options)': ({ lib, url }, done) => lib.request(new URL(url), { method: 'DELETE' }).on('response', done).end(),
  'get(string, cb)': ({ lib, url }, done) => lib.get(url, done),
  'get(URL, options, cb)': ({ lib, url }, done) => lib.get(new URL(url), { headers: { a: ['1', '2'] } }, done),
  'get(options, cb)': ({ lib, hostname, port }, done) => lib.get({ hostname, port, path: PATH }, done),
  'headers as a flat array': ({ lib, url, hostname, port }, done) => lib.request(url, {
    method: 'POST', headers: ['Host', `${hostname}:${port}`, 'X-Twice', '1', 'X-Twice', '2', 'Transfer-Encoding', 'chunked'],
  }, done).end('flat'),
  'a detached function': ({ lib, url }, done) => {
    const { request } = lib;
    return request(url, done).end();
  },
  'no agent': ({ lib, url }, done) => lib.request(url, { agent: false, ca: CA }, done).end(),
  'an agent of its own': ({ lib, url }, done) => lib.request(url, { agent: new lib.Agent({ ca: CA }) }, done).end(),
  'auth in the URL': ({ lib, url }, done) => lib.get(url.replace('://', '://user:secret@'), done),
};

for (const [scheme, lib] of Object.entries({ http, https })) {
  describe(`node:${scheme} arguments`, { timeout: 60_000 }, () => {
    const serve = () => WireServer.start(echo, { secure: scheme === 'https' });
    for (const [name, make] of Object.entries(FORMS)) {
      test(name, () => compare(install, {
        serve,
        client: ({ origin, port }) => new Promise((resolve, reject) => {
          const result = {};
          const request = make({ lib, url: `${origin}${PATH}`, hostname: '127.0.0.1', port }, (response) => {
            result.response = response.statusCode;
            result.names = Reflect.ownKeys(response).filter((key) => typeof key === 'string' && key !== 'push' && key !== '_dump');
          });
          result.constructor = request.constructor.name;
          result.keys = Object.keys(request);
          outcome(request).then((seen) => resolve({ ...result, ...seen }), reject);
        }),
        verify: (seen) => {
          assertComplete(seen);
          assert.equal(seen.exchange.origin, seen.server.origin);
          assert.equal(seen.exchange.source, 2);
          assert.deepEqual(seen.hub.lookups, [{
            origin: seen.server.origin, path: PATH, method: seen.server.accounts[0].request.method,
          }]);
        },
      }));
    }
  });
}

/** The pair begins one unit later after each 64 K. */
const cuts = () => Array.from({ length: 8 }, (_, i) => `${'x'.repeat(65_536 - 6 + i - 2)}😀`).join('');
const SNOWMAN = '{"snowman":"☃","pair":"😀","accent":"é"}';
/** What is sent, and every way to send it. Each gets the request and reports callbacks to `called`. */
const BODIES = {
  'end()': [(r) => r.end(), ''],
  'end(cb)': [(r, called) => r.end(called('end')), ''],
  "end('')": [(r) => r.end(''), ''],
  'end(string)': [(r) => r.end(SNOWMAN), SNOWMAN],
  'end(string, cb)': [(r, called) => r.end(SNOWMAN, called('end')), SNOWMAN],
  'end(string, latin1, cb)': [(r, called) => r.end('é\xff', 'latin1', called('end')), Buffer.from('é\xff', 'latin1')],
  'end(string, hex)': [(r) => r.end('00ff7f', 'hex'), Buffer.from('00ff7f', 'hex')],
  'end(string, base64)': [(r) => r.end('AP9/', 'base64'), Buffer.from('AP9/', 'base64')],
  'end(string, utf16le)': [(r) => r.end('☃', 'utf16le'), Buffer.from('☃', 'utf16le')],
  'end(Buffer)': [(r) => r.end(noise(70_000)), noise(70_000)],
  'end(Uint8Array, null, cb)': [(r, called) => r.end(new Uint8Array([0, 255]), null, called('end')), Buffer.from([0, 255])],
  'end(a view into a larger buffer)': [(r) => r.end(new Uint8Array(noise(64).buffer, 8, 16)), noise(64).subarray(8, 24)],
  'write, write, end': [(r) => { r.write('a'); r.write(Buffer.from('b')); r.end('c'); }, 'abc'],
  'write(string, encoding, cb), end(cb)': [(r, called) => {
    r.write('6162', 'hex', called('first'));
    r.write('ü', called('second'));
    r.end(called('end'));
  }, 'abü'],
  "write(''), end(string)": [(r) => { r.write(''); r.end('x'); }, 'x'],
  'a character split between writes': [(r) => {
    const bytes = Buffer.from('😀');
    r.write(bytes.subarray(0, 2));
    r.end(bytes.subarray(2));
  }, '😀'],
  'content-length set': [(r) => { r.setHeader('Content-Length', 3); r.write('ab'); r.end('c'); }, 'abc'],
  'flushHeaders, later the body': [(r) => { r.flushHeaders(); setImmediate(() => r.end('late')); }, 'late'],
  'cork, writes, uncork': [(r) => { r.cork(); r.write('a'); r.write('b'); process.nextTick(() => { r.uncork(); r.end('c'); }); }, 'abc'],
  'a buffer that is used again': [(r) => {
    const buffer = Buffer.from('first');
    r.write(buffer, () => { buffer.write('again'); r.end(buffer); });
  }, 'firstagain'],
  'piped': [(r) => Readable.from([Buffer.from('one '), 'twö ', Buffer.from('three')], { objectMode: true }).pipe(r), 'one twö three'],
  'pipeline': [(r, called) => pipeline(Readable.from([noise(100_000)]), zlib.createGzip(), r, called('pipeline')), zlib.gzipSync(noise(100_000))],
  'a large string': [(r) => r.end('x'.repeat(480_000)), 'x'.repeat(480_000)],
  'a large string of pairs, cut nowhere': [(r) => { r.write(`a${'😀'.repeat(100_000)}`); r.end('☃é'.repeat(70_001)); },
    `a${'😀'.repeat(100_000)}${'☃é'.repeat(70_001)}`],
  'a large string with a pair at each possible place of a cut': [(r) => r.end(cuts()), cuts()],
  'a large string with halves of pairs': [(r) => r.end('\ud83d\ude00\ud83d\udc00 \ude00'.repeat(30_000), 'UTF-8'), '\ud83d\ude00\ud83d\udc00 \ude00'.repeat(30_000)],
  'a large string, base64': [(r) => r.end(noise(150_000).toString('base64'), 'base64'), noise(150_000)],
  'a large string, latin1': [(r) => r.end('é'.repeat(150_000), 'latin1'), Buffer.from('é'.repeat(150_000), 'latin1')],
  'end twice': [(r) => { r.end('once'); r.end(); }, 'once'],
};

describe('request bodies', { timeout: 60_000 }, () => {
  for (const [name, [send, expected]] of Object.entries(BODIES)) {
    test(name, () => compare(install, {
      serve: () => WireServer.start(echo),
      client: async ({ origin }) => {
        const calls = [];
        const request = http.request(`${origin}${PATH}`, { method: 'POST' });
        const seen = outcome(request);
        send(request, (what) => (error) => calls.push(`${what} ${error?.code ?? ''}`));
        return { ...await seen, calls };
      },
      verify: (seen) => {
        assertComplete(seen);
        assert.equal(digest(seen.exchange.requestBody), digest(Buffer.from(expected)));
      },
    }));
  }

  test('Expect: 100-continue is recorded from its head on', () => compare(install, {
    serve: () => WireServer.start(echo),
    client: async ({ origin, hub }) => {
      const request = http.request(`${origin}${PATH}`, { method: 'POST', headers: { Expect: '100-continue' } });
      const seen = outcome(request);
      const begunEarly = new Promise((resolve) => request.on('continue', () => {
        resolve(hub === null || hub.throwIn !== '' ? 1 : hub.exchanges.length);
        request.end('at last');
      }));
      return { ...await seen, begunEarly: await begunEarly };
    },
    verify: assertComplete,
  }));

  test('a write that is refused is not recorded', () => compare(install, {
    serve: () => WireServer.start(echo),
    client: async ({ origin }) => {
      const request = http.request(`${origin}${PATH}`, { method: 'POST' });
      const thrown = [];
      for (const bad of [null, 5, {}]) {
        try { request.write(bad); } catch (error) { thrown.push(error.code); }
      }
      try { request.end([1]); } catch (error) { thrown.push(error.code); }
      const seen = outcome(request);
      request.end('good');
      request.write('too late', (error) => thrown.push(error.code));
      return { ...await seen, thrown };
    },
    verify: ({ exchange }) => assert.equal(String(exchange.requestBody), 'good'),
  }));
});

/** Answers, each as a handler; all are complete. */
const ANSWERS = {
  'content-length': (a) => a.answer(200, { 'content-length': 5 }, 'hello'),
  'no body': (a) => a.answer(200, { 'content-length': 0 }),
  '204': (a) => a.answer(204, { 'x-a': 'b' }),
  '304': (a) => a.answer(304, { etag: '"x"' }),
  'a reason of its own': (a) => { a.response.statusMessage = 'Überlastet'; return a.answer(529, {}, '{"type":"overloaded_error"}'); },
  'gzip': (a) => a.answer(200, { 'content-encoding': 'gzip' }, zlib.gzipSync('packed '.repeat(1000))),
  'many chunks': async (a) => {
    a.head(200, { 'content-type': 'text/event-stream' });
    for (let i = 0; i < 20; i++) await a.write(`event: ping\ndata: {"n":${i}}\n\n`);
    await a.end();
  },
  'trailers': async (a) => {
    a.head(200, { trailer: 'x-checksum' });
    await a.write('body');
    a.response.addTrailers({ 'x-checksum': '42', 'x-other': 'y' });
    await a.end();
  },
  'informational answers first': async (a) => {
    a.response.writeProcessing();
    a.response.writeEarlyHints({ link: '</style.css>; rel=preload' });
    await a.answer(200, {}, 'final');
  },
  'repeated and odd headers': (a) => a.answer(200, { 'set-cookie': ['a=1', 'b=2'], 'X-MiXed': 'a  b', 'x-latin1': 'caf\xe9' }, '.'),
  'no keep-alive': (a) => a.answer(200, { connection: 'close' }, 'bye'),
};

describe('responses', { timeout: 60_000 }, () => {
  for (const [name, handler] of Object.entries(ANSWERS)) {
    for (const method of ['GET', 'POST']) {
      test(`${name}, ${method}`, () => compare(install, {
        serve: () => WireServer.start(handler),
        client: ({ origin }) => {
          const request = http.request(`${origin}${PATH}`, { method });
          const seen = outcome(request);
          request.end(method === 'POST' ? 'question' : undefined);
          return seen;
        },
        verify: (seen) => {
          assertComplete(seen);
          const trailers = name === 'trailers' ? 'x-checksum: 42\r\nx-other: y\r\n' : '';
          assert.equal(seen.exchange.trailers, trailers);
          assert.deepEqual(
            seen.exchange.responseHeaders.flat().filter((_, i, all) => !/^(date|keep-alive)$/i.test(all[i - (i % 2)])),
            seen.value.headers);
        },
      }));
    }
  }

  test('HEAD', () => compare(install, {
    serve: () => WireServer.start((account) => account.answer(200, { 'content-length': 1000 })),
    client: ({ origin }) => outcome(http.request(`${origin}${PATH}`, { method: 'HEAD' }).end()),
    verify: assertComplete,
  }));

  /** Ways to read, each given the response and where to keep its chunks. */
  const READERS = {
    'setEncoding': (response, keep) => response.setEncoding('utf8').on('data', keep),
    'for await': async (response, keep) => { for await (const chunk of response) keep(chunk); },
    "'readable'": (response, keep) => response.on('readable', () => {
      for (let chunk; (chunk = response.read(7)) !== null || (chunk = response.read()) !== null;) keep(chunk);
    }),
    'pipe': (response, keep) => once(response.pipe(zlib.createGunzip()).on('data', keep), 'end'),
    'paused for a while': (response, keep) => {
      response.pause();
      setImmediate(() => response.on('data', keep).resume());
    },
    'resume': (response) => response.resume(),
  };
  for (const [name, read] of Object.entries(READERS)) {
    test(`read with ${name}`, () => compare(install, {
      serve: () => WireServer.start((account) => account.answer(200, {}, zlib.gzipSync(noise(200_000)))),
      client: async ({ origin }) => {
        const seen = await outcome(http.get(`${origin}${PATH}`), { read });
        return name === 'setEncoding' ? { ...seen, body: digest(seen.body) } : seen;
      },
      verify: assertComplete,
    }));
  }

  test('nobody listens: Node drops the body, which is on record all the same', () => compare(install, {
    serve: () => WireServer.start(async (account) => {
      account.head(200, {});
      for (let i = 0; i < 5; i++) await account.write(noise(50_000));
      await account.end('last');
    }),
    client: ({ origin }) => outcome(http.get(`${origin}${PATH}`), { listen: false }),
    verify: assertComplete,
  }));

  test('each chunk is on record when the host gets it, with nothing delayed', () => {
    let next;
    return compare(install, {
      serve: () => WireServer.start(async (account) => {
        account.head(200, {});
        for (let i = 0; i < 3; i++) {
          next = gate();
          await account.write(`chunk ${i}`);
          await next.opened;
        }
        await account.end();
      }),
      client: async ({ origin, hub }) => {
        const lengths = [];
        await outcome(http.get(`${origin}${PATH}`), { read: (response) => response.on('data', (chunk) => {
          const recorded = hub?.throwIn === '' ? String(hub.exchanges[0].responseChunks.at(-1)) : String(chunk);
          lengths.push([String(chunk), recorded]);
          next.open();
        }) });
        return lengths;
      },
      verify: ({ value }) => assert.deepEqual(value, ['chunk 0', 'chunk 1', 'chunk 2'].map((text) => [text, text])),
    });
  });
});

describe('many and large', { timeout: 120_000 }, () => {
  test('10 MB each way', () => compare(install, {
    serve: () => WireServer.start(echo),
    client: async ({ origin }) => {
      const request = http.request(`${origin}${PATH}`, { method: 'POST' });
      const seen = outcome(request);
      const body = noise(10 << 20);
      // 'drain' comes as often as the socket has it: the host's own rhythm is not compared.
      pipeline(Readable.from((function* () {
        for (let i = 0; i < body.length; i += 65_536) yield body.subarray(i, i + 65_536);
      })()), request, () => {});
      const { events, ...rest } = await seen;
      return { ...rest, events: events.filter((event) => event !== 'drain') };
    },
    verify: assertComplete,
  }));

  test('50 at once over 4 kept sockets', () => compare(install, {
    serve: () => WireServer.start((account) => account.answer(200, {}, `answer to ${account.requestBody}`)),
    exchanges: 50,
    client: async ({ origin }) => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
      const results = await Promise.all(Array.from({ length: 50 }, (_, i) => {
        const request = http.request(`${origin}/v1/messages/${i}`, { method: 'POST', agent });
        const seen = outcome(request);
        request.end(`question ${i}`);
        return seen;
      }));
      agent.destroy();
      return results.map(({ body, status }) => [body, status]);
    },
    verify: ({ exchanges, server }) => {
      for (const exchange of exchanges) {
        const account = server.accounts.find(({ line }) => line === exchange.requestLine);
        assert.equal(String(exchange.requestBody), String(account.requestBody));
        assert.equal(String(exchange.responseBody), String(account.responseBody));
        assert.equal(exchange.outcome, 'end');
      }
    },
  }));

  test('a reader that stops still stops the server', () => {
    let stalled;
    return compare(install, {
      serve: () => {
        stalled = gate();
        return WireServer.start(async (account) => {
          account.head(200, {});
          const piece = noise(1 << 20);
          let pieces = 0;
          // Loopback buffers take a few MB; without back-pressure this would never be false for long.
          while (account.response.write(piece) || account.response.writableLength < 4 << 20) pieces++;
          stalled.open();
          await new Promise((resolve) => account.response.once('drain', resolve));
          account.written.push(...Array.from({ length: pieces + 1 }, () => piece));
          await account.end();
        });
      },
      client: async ({ origin }) => {
        let buffered = 0;
        const seen = await outcome(http.get(`${origin}${PATH}`), { read: async (response, keep) => {
          response.pause();
          await stalled.opened;
          buffered = response.readableLength;
          response.on('data', keep).resume();
        } });
        return { status: seen.status, complete: seen.complete, held: buffered <= 1 << 20 };
      },
      verify: (seen) => {
        assertComplete(seen);
        assert.equal(seen.value.held, true);
      },
    });
  });
});

test('what is not matched is left alone', () => compare(install, {
  serve: () => WireServer.start(echo),
  exchanges: 0,
  match: () => false,
  client: async ({ origin, hub }) => {
    const request = http.request(`${origin}/other`, { method: 'POST' });
    const seen = outcome(request);
    if (hub?.throwIn === '') request.on('response', (response) => assert.equal(Object.hasOwn(response, 'push'), false));
    request.write('a');
    request.end('b');
    return seen;
  },
  verify: ({ hub }) => assert.equal(hub.lookups.length, 1, 'decided once'),
}));

test('no listener is added to requests and responses', () => compare(install, {
  serve: () => WireServer.start(echo),
  client: ({ origin }) => new Promise((resolve) => {
    const request = http.get(`${origin}${PATH}`, (response) => {
      const names = (emitter) => emitter.eventNames().map((name) => `${String(name)} ${emitter.listenerCount(name)}`);
      const result = { request: names(request), response: names(response) };
      response.resume().on('close', () => resolve(result));
    });
  }),
}));
