'use strict';

// node:http2's client: the server's account, the recorder's and the host's own result must agree.

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const http2 = require('node:http2');
const net = require('node:net');
const path = require('node:path');
const { Duplex, Readable, pipeline } = require('node:stream');
const { describe, test } = require('node:test');
const { install } = require('../lib/hooks/http2.js');
const { compare, noise } = require('./support/hook-compare.js');
const { digest } = require('./support/host-result.js');
const { data, serveFrames } = require('./support/http2-frames.js');
const { serveHttp2 } = require('./support/http2-server.js');
const { gate, refusedPort } = require('./support/wire-server.js');

const CA = readFileSync(path.join(__dirname, '../fixtures/standin/tls/cert.pem'));
const PATH = '/v1/messages?beta=true';
const POST = { ':method': 'POST', ':path': PATH, 'content-type': 'application/json' };
const EVENTS = ['finish', 'headers', 'continue', 'response', 'push', 'trailers', 'aborted', 'end', 'timeout', 'error', 'close'];

/** What a program can see of a stream, in the order in which it sees it. Resolves when it closes. */
function outcome(stream, read = (keep) => stream.on('data', keep)) {
  const seen = { events: [], chunks: [] };
  for (const name of EVENTS) {
    stream.on(name, (subject) => {
      if (name === 'response') seen.headers = Object.entries(subject).filter(([key]) => key !== 'date');
      if (name === 'trailers') seen.trailers = Object.entries(subject);
      const detail = subject instanceof Error ? ` ${subject.name} ${subject.code} ${subject.message.replace(/:\d+/g, ':port')}` : '';
      seen.events.push(name + detail);
    });
  }
  read((chunk) => seen.chunks.push(chunk), seen);
  return new Promise((resolve) => {
    // The program's own last events come in later ticks.
    stream.on('close', () => setImmediate(() => {
      const { chunks, ...rest } = seen;
      const texts = chunks.length > 0 && chunks.every((chunk) => typeof chunk === 'string');
      const body = texts ? chunks.join('') : digest(Buffer.concat(chunks));
      resolve({ ...rest, body, rstCode: stream.rstCode, aborted: stream.aborted, sent: stream.sentHeaders[':path'] });
    }));
  });
}

/** Connects, lets `client` make streams, closes the session. */
const session = (client, options) => async (context) => {
  const connection = http2.connect(context.origin, { ca: CA, ...options });
  connection.on('stream', (pushed) => pushed.resume());
  const closed = new Promise((resolve) => connection.on('close', resolve));
  const sessionEvents = [];
  for (const name of ['error', 'goaway', 'close']) connection.on(name, (subject) => sessionEvents.push(`${name} ${subject?.code ?? ''}`));
  const result = await client({ ...context, session: connection });
  connection.close();
  await closed;
  return { result, sessionEvents };
};

function assertSame(exchange, account) {
  assert.equal(exchange.source, 3);
  assert.equal(exchange.requestLine, `${account.header(':method')} ${account.header(':path')} HTTP/2`);
  assert.deepEqual(exchange.requestHeaders, account.headers);
  assert.equal(exchange.origin, `${account.header(':scheme')}://${account.header(':authority')}`);
  assert.equal(digest(exchange.requestBody), digest(account.requestBody));
  assert.equal(exchange.status, account.status);
  assert.equal(digest(exchange.responseBody), digest(account.responseBody));
}

function assertComplete({ exchanges, server }) {
  assert.equal(exchanges.length, server.accounts.length);
  exchanges.forEach((exchange, i) => {
    assertSame(exchange, server.accounts[i]);
    assert.equal(exchange.outcome, 'end');
    assert.equal(exchange.requestEnded, true);
  });
}

const echo = (account) => account.answer(200, { 'content-type': 'text/plain', 'set-cookie': ['a=1', 'b=2'] }, account.requestBody);

/** What is sent, and every way to send it. */
const BODIES = {
  'nothing: GET': [({ session: s }) => s.request({ ':path': PATH }), ''],
  'nothing: no headers': [({ session: s }) => s.request(), ''],
  'nothing: endStream': [({ session: s }) => s.request(POST, { endStream: true }), ''],
  'HEAD': [({ session: s }) => s.request({ ':method': 'HEAD', ':path': PATH }), ''],
  'end()': [({ session: s }) => s.request(POST).end(), ''],
  'end(string)': [({ session: s }) => s.request(POST).end('{"snowman":"☃"}'), '{"snowman":"☃"}'],
  'end(string, latin1)': [({ session: s }) => s.request(POST).end('é', 'latin1'), Buffer.from('é', 'latin1')],
  'end(Uint8Array)': [({ session: s }) => s.request(POST).end(new Uint8Array([0, 255])), Buffer.from([0, 255])],
  'write, write, end': [({ session: s }) => {
    const stream = s.request({ ...POST, 'x-many': ['1', '2'], 'X-Case': 'kept' });
    stream.write('6162', 'hex');
    stream.write(Buffer.from('c'));
    return stream.end('dé');
  }, 'abcdé'],
  'writes one after the other': [({ session: s }) => {
    const stream = s.request(POST);
    stream.write('a', () => stream.write('b', () => stream.end('c')));
    return stream;
  }, 'abc'],
  'piped': [({ session: s }) => pipeline(Readable.from([noise(100_000), 'end']), s.request(POST), () => {}), Buffer.concat([noise(100_000), Buffer.from('end')])],
  'setDefaultEncoding': [({ session: s }) => {
    const stream = s.request(POST);
    stream.setDefaultEncoding('base64');
    return stream.end('AP9/');
  }, Buffer.from('AP9/', 'base64')],
};

for (const secure of [false, true]) {
  describe(secure ? 'h2' : 'h2c', { timeout: 60_000 }, () => {
    for (const [name, [start, expected]] of Object.entries(BODIES)) {
      test(`request with ${name}`, () => compare(install, {
        serve: () => serveHttp2((account) => (account.header(':method') === 'HEAD' ? account.answer(200, { 'content-length': 5 }) : echo(account)), { secure }),
        client: session((context) => outcome(start(context))),
        verify: (seen) => {
          assertComplete(seen);
          assert.equal(digest(seen.exchange.requestBody), digest(Buffer.from(expected)));
        },
      }));
    }

    test('a stream on a session that has long been open', () => compare(install, {
      serve: () => serveHttp2(echo, { secure }),
      exchanges: 2,
      client: session(async ({ session: s }) => {
        const results = [await outcome(s.request(POST).end('one'))];
        results.push(await outcome(s.request(POST).end('two')));
        return results;
      }),
      verify: assertComplete,
    }));
  });
}

test('headers as a flat array', { skip: Number(process.versions.node.split('.')[0]) < 24 }, () => compare(install, {
  serve: () => serveHttp2(echo),
  client: session(({ session: s }) => outcome(s.request(/** @type {any} */ ([':method', 'POST', ':path', PATH, 'X-A', '1', 'x-b', '2'])).end('flat'))),
  verify: ({ exchange, server }) => {
    assert.equal(exchange.origin, server.origin);
    assert.deepEqual(exchange.requestHeaders.map(([key, value]) => [key.toLowerCase(), value]), server.accounts[0].headers);
    assert.equal(String(exchange.requestBody), 'flat');
  },
}));

/** Answers; all are complete. */
const ANSWERS = {
  '204': (a) => a.head(204, {}, { endStream: true }),
  '304': (a) => a.head(304, { etag: 'x' }, { endStream: true }),
  '529': (a) => a.answer(529, { 'content-type': 'application/json' }, '{"type":"overloaded_error"}'),
  'an empty body': (a) => a.answer(200, {}, ''),
  'head and body in one segment': (a) => a.answer(200, {}, noise(3000)),
  'many chunks': async (a) => {
    a.head(200, { 'content-type': 'text/event-stream' });
    for (let i = 0; i < 20; i++) await a.write(`data: ${i}\n\n`);
    a.end();
  },
  'trailers': (a) => {
    a.head(200, {}, { waitForTrailers: true });
    a.stream.on('wantTrailers', () => a.stream.sendTrailers({ 'x-checksum': '42', 'x-many': ['a', 'b'] }));
    a.end('body');
  },
  'trailers without a body': (a) => {
    a.head(200, {}, { waitForTrailers: true });
    a.stream.on('wantTrailers', () => a.stream.sendTrailers({ 'grpc-status': '0' }));
    a.end();
  },
  'informational answers first': (a) => {
    a.stream.additionalHeaders({ ':status': 103, link: '</style.css>' });
    a.answer(200, {}, 'final');
  },
  'a pushed stream beside it': (a) => {
    a.stream.pushStream({ ':path': '/pushed' }, (error, pushed) => {
      pushed?.on('error', () => {});
      pushed?.respond();
      pushed?.end('not asked for');
    });
    a.answer(200, {}, 'asked for');
  },
};

describe('responses', { timeout: 60_000 }, () => {
  for (const [name, handler] of Object.entries(ANSWERS)) {
    test(name, () => compare(install, {
      serve: () => serveHttp2(handler),
      client: session(({ session: s }) => outcome(s.request(POST).end('question'))),
      verify: (seen) => {
        assertComplete(seen);
        const trailers = { 'trailers': 'x-checksum: 42\r\nx-many: a\r\nx-many: b\r\n', 'trailers without a body': 'grpc-status: 0\r\n' };
        assert.equal(seen.exchange.trailers, trailers[name] ?? '');
      },
    }));
  }

  const READERS = {
    'setEncoding': (stream) => (keep) => stream.setEncoding('utf8').on('data', keep),
    'for await': (stream) => async (keep) => { for await (const chunk of stream) keep(chunk); },
    "'readable'": (stream) => (keep) => stream.on('readable', () => { for (let c; (c = stream.read()) !== null;) keep(c); }),
    'paused for a while': (stream) => (keep) => stream.once('response', () => setImmediate(() => stream.on('data', keep))),
  };
  for (const [name, read] of Object.entries(READERS)) {
    test(`read with ${name}`, () => compare(install, {
      serve: () => serveHttp2((account) => account.answer(200, {}, Buffer.from(noise(90_000).toString('base64')))),
      client: session(async ({ session: s }) => {
        const stream = s.request(POST).end('question');
        const { body, ...rest } = await outcome(stream, read(stream));
        return { ...rest, body: digest(body) === body ? body : digest(body) };
      }),
      verify: assertComplete,
    }));
  }

  // As under a proxy agent: frames are then read within a callback of the stream's, and 'response' comes after the data.
  for (const trailing of [false, true]) {
    test(`a connection of the program's own, everything in one segment${trailing ? ', in two chunks' : ''}`, () => compare(install, {
      serve: () => serveFrames((peer, id) => peer.answer(id, data(id, 'first '), data(id, trailing ? 'last' : '', !trailing), ...(trailing ? [data(id, '', true)] : []))),
      client: ({ origin }) => {
        const socket = net.connect(Number(new URL(origin).port), '127.0.0.1');
        const own = Duplex.from({ readable: socket, writable: socket });
        return session(({ session: s }) => outcome(s.request(POST).end('question')), { createConnection: () => own })({ origin });
      },
      verify: ({ exchange }) => {
        assert.equal(exchange.outcome, 'end');
        assert.equal(exchange.status, 200);
        assert.equal(String(exchange.responseBody), trailing ? 'first last' : 'first ');
      },
    }));
  }

  test('each chunk is on record when the host gets it', () => {
    let next;
    return compare(install, {
      serve: () => serveHttp2(async (account) => {
        account.head(200);
        for (let i = 0; i < 3; i++) {
          next = gate();
          await account.write(`chunk ${i}`);
          await next.opened;
        }
        account.end();
      }),
      client: session(async ({ session: s, hub }) => {
        const pairs = [];
        const stream = s.request(POST).end();
        await outcome(stream, (keep) => stream.on('data', (chunk) => {
          keep(chunk);
          pairs.push([String(chunk), hub?.throwIn === '' ? String(hub.exchanges[0].responseChunks.at(-1)) : String(chunk)]);
          next.open();
        }));
        return pairs;
      }),
      verify: ({ value }) => assert.deepEqual(value.result, ['chunk 0', 'chunk 1', 'chunk 2'].map((text) => [text, text])),
    });
  });

  test('a response that is never read', () => compare(install, {
    serve: () => serveHttp2((account) => account.answer(200, {}, 'unread')),
    client: session(async ({ session: s, hub }) => {
      const stream = s.request(POST).end('question');
      await once(stream, 'response');
      if (hub?.throwIn === '') await hub.settled(1);
      stream.destroy();
      await once(stream, 'close');
      return stream.rstCode;
    }),
    verify: assertComplete,
  }));

  test('10 MB each way', () => compare(install, {
    serve: () => serveHttp2(echo),
    client: session(({ session: s }) => outcome(s.request(POST).end(noise(10 << 20)))),
    verify: assertComplete,
  }));

  test('50 at once on one session', () => compare(install, {
    serve: () => serveHttp2((account) => account.answer(200, {}, `answer to ${account.requestBody}`)),
    exchanges: 50,
    client: session(({ session: s }) => Promise.all(Array.from({ length: 50 }, async (_, i) =>
      (await outcome(s.request({ ...POST, ':path': `/v1/messages/${i}` }).end(`question ${i}`))).body))),
    verify: ({ exchanges, server }) => {
      for (const exchange of exchanges) {
        assertSame(exchange, server.accounts.find((account) => exchange.requestLine.includes(`${account.header(':path')} `)));
        assert.equal(exchange.outcome, 'end');
      }
    },
  }));
});

const ended = ({ code, message = /./, body = '', status = body === '' ? 0 : 200 }) => ({ exchange }) => {
  assert.equal(exchange.outcome, 'error');
  assert.match(exchange.error.code, code instanceof RegExp ? code : new RegExp(`^${code}$`));
  assert.match(exchange.error.message, message);
  assert.equal(exchange.status, status);
  assert.equal(String(exchange.responseBody), body);
};
const half = () => serveFrames((peer, id) => peer.answer(id, data(id, 'half')));
const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_REFUSED_STREAM, NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_NO_ERROR } = http2.constants;

describe('failures', { timeout: 60_000 }, () => {
  const BY_SERVER = {
    'RST_STREAM INTERNAL_ERROR': [(peer, id) => peer.rst(id, NGHTTP2_INTERNAL_ERROR), { code: 'ERR_HTTP2_STREAM_ERROR', message: /NGHTTP2_INTERNAL_ERROR/ }],
    'RST_STREAM REFUSED_STREAM': [(peer, id) => peer.rst(id, NGHTTP2_REFUSED_STREAM), { code: 'ERR_HTTP2_STREAM_ERROR', message: /NGHTTP2_REFUSED_STREAM/ }],
    'RST_STREAM CANCEL': [(peer, id) => peer.rst(id, NGHTTP2_CANCEL), { code: 'NGHTTP2_CANCEL' }],
    'RST_STREAM NO_ERROR': [(peer, id) => peer.rst(id, NGHTTP2_NO_ERROR), { code: 'ABORT_ERR' }],
    'GOAWAY with an error': [(peer) => peer.goaway(0, NGHTTP2_ENHANCE_YOUR_CALM), { code: 'ERR_HTTP2_SESSION_ERROR', message: /11/ }],
    // Nodes differ in whether they tell the stream of it or close it in silence.
    'a reset connection': [(peer) => peer.socket.resetAndDestroy(), { code: /^(?:ECONNRESET|NGHTTP2_CANCEL)$/ }],
    'a closed connection': [(peer) => peer.socket.end(), { code: 'NGHTTP2_CANCEL' }],
  };
  for (const [name, [act, expected]] of Object.entries(BY_SERVER)) {
    test(`${name} before the answer`, () => compare(install, {
      serve: () => serveFrames(act),
      client: session(({ session: s }) => outcome(s.request(POST).end('question'))),
      verify: ended(expected),
    }));
    test(`${name} in mid-stream`, () => {
      let got;
      return compare(install, {
        serve: () => {
          got = gate();
          return serveFrames(async (peer, id) => {
            peer.answer(id, data(id, 'half'));
            await got.opened;
            act(peer, id);
          });
        },
        client: session(({ session: s }) => {
          const stream = s.request(POST).end('question');
          return outcome(stream, (keep) => stream.on('data', keep).once('data', got.open));
        }),
        verify: ended({ ...expected, body: 'half' }),
      });
    });
  }

  const BY_CLIENT = {
    'close()': [({ stream }) => stream.close(), { code: 'ABORT_ERR' }],
    'close(CANCEL)': [({ stream }) => stream.close(NGHTTP2_CANCEL), { code: 'NGHTTP2_CANCEL' }],
    'destroy()': [({ stream }) => stream.destroy(), { code: 'ABORT_ERR' }],
    'destroy(error)': [({ stream }) => stream.destroy(Object.assign(new Error('enough'), { code: 'E_ENOUGH' })), { code: 'E_ENOUGH' }],
    'a signal': [({ controller }) => controller.abort(), { code: 'ABORT_ERR' }],
    'session.destroy()': [({ session: s }) => s.destroy(), { code: 'ABORT_ERR' }],
    'session.destroy(error)': [({ session: s }) => s.destroy(Object.assign(new Error('all of it'), { code: 'E_ALL' })), { code: 'E_ALL' }],
  };
  for (const [name, [act, expected]] of Object.entries(BY_CLIENT)) {
    test(`${name} in mid-stream`, () => compare(install, {
      serve: half,
      client: session(({ session: s }) => {
        const controller = new AbortController();
        const stream = s.request(POST, { signal: controller.signal }).end('question');
        return outcome(stream, (keep) => stream.on('data', keep).once('data', () => act({ stream, controller, session: s })));
      }),
      verify: ended({ ...expected, body: 'half' }),
    }));
  }

  test('break out of for await', () => compare(install, {
    serve: half,
    client: session(({ session: s }) => {
      const stream = s.request(POST).end('question');
      return outcome(stream, async (keep) => { for await (const chunk of stream) { keep(chunk); break; } });
    }),
    verify: ended({ code: 'ABORT_ERR', body: 'half' }),
  }));

  test('a signal that is aborted already', () => compare(install, {
    serve: () => serveHttp2(echo),
    client: session(({ session: s }) => {
      const controller = new AbortController();
      controller.abort();
      return outcome(s.request(POST, { signal: controller.signal }));
    }),
    verify: ended({ code: 'ABORT_ERR' }),
  }));

  test('a refused connection', () => compare(install, {
    serve: async () => ({ origin: `http://127.0.0.1:${await refusedPort()}`, close: async () => {} }),
    client: session(({ session: s }) => outcome(s.request(POST).end('question'))),
    verify: ended({ code: 'ECONNREFUSED' }),
  }));

  test('a server that does not speak HTTP/2', () => compare(install, {
    serve: async () => {
      const server = net.createServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n')).listen(0, '127.0.0.1');
      await once(server, 'listening');
      return { origin: `http://127.0.0.1:${/** @type {net.AddressInfo} */ (server.address()).port}`, close: async () => { server.close(); } };
    },
    client: session(async ({ session: s }) => (await outcome(s.request(POST).end('question'))).events.length > 0),
    verify: ({ exchange }) => assert.equal(exchange.outcome, 'error'),
  }));

  test('an answer before the request is over, which is then closed by the server', () => compare(install, {
    serve: () => serveHttp2((account) => {
      account.answer(413, {}, 'too long');
      account.stream.on('finish', () => account.stream.close(NGHTTP2_NO_ERROR));
    }, { early: true }),
    client: session(async ({ session: s }) => {
      const stream = s.request(POST);
      stream.write('first');
      const { events, ...rest } = await outcome(stream);
      return rest;
    }),
    verify: ({ exchange }) => {
      assert.equal(exchange.outcome, 'end');
      assert.equal(exchange.status, 413);
      assert.equal(String(exchange.responseBody), 'too long');
      assert.equal(String(exchange.requestBody), 'first');
      assert.equal(exchange.requestEnded, false);
    },
  }));

  test('both directions at once: what is sent after the end of the answer is still on record', () => compare(install, {
    serve: () => serveHttp2((account) => account.answer(200, {}, 'done'), { early: true }),
    client: session(({ session: s }) => {
      const stream = s.request(POST);
      stream.write('first ');
      return outcome(stream, (keep) => stream.on('data', keep).on('end', () => stream.end('last')));
    }),
    verify: (seen) => {
      assertComplete(seen);
      assert.equal(String(seen.exchange.requestBody), 'first last');
    },
  }));
});

test('what is not matched is left alone', () => compare(install, {
  serve: () => serveHttp2(echo),
  exchanges: 0,
  match: () => false,
  client: session(({ session: s }) => outcome(s.request(POST).end('body'))),
  verify: ({ hub, server }) => assert.deepEqual(hub.lookups, [{ origin: server.origin, path: PATH, method: 'POST' }]),
}));

test('no listener and no property is added to streams', () => compare(install, {
  serve: () => serveHttp2(echo),
  client: session(async ({ session: s }) => {
    const stream = s.request(POST).end('body');
    await once(stream, 'response');
    const result = [stream.eventNames().map((name) => `${String(name)} ${stream.listenerCount(name)}`), Object.keys(stream)];
    await once(stream.resume(), 'close');
    return result;
  }),
}));

test('a tunnel is no exchange', () => compare(install, {
  serve: () => serveHttp2(echo),
  exchanges: 0,
  client: session(({ session: s }) => {
    const stream = s.request({ ':method': 'CONNECT', ':authority': 'api.anthropic.com:443' });
    return outcome(stream.end('inside'));
  }),
}));
