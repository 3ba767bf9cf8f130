'use strict';

// node:http when it goes wrong: one truthful end, with all that had arrived, and no difference for the host.

const assert = require('node:assert/strict');
const http = require('node:http');
const { Readable, pipeline } = require('node:stream');
const { after, describe, test } = require('node:test');
const { install } = require('../lib/hooks/http.js');
const { compare } = require('./support/hook-compare.js');
const { outcome } = require('./support/http-outcome.js');
const { serveRaw } = require('./support/raw-server.js');
const { gate, refusedPort } = require('./support/wire-server.js');

after(() => http.globalAgent.destroy());

const nobody = async () => {
  const port = await refusedPort();
  return { port, origin: `http://127.0.0.1:${port}`, close: async () => {} };
};
const silent = () => serveRaw(() => {});
const HALF = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello';
const CHUNKED_HALF = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n';
const post = (origin, options = {}) => http.request(`${origin}/v1/messages`, { method: 'POST', agent: false, ...options });
const send = (origin, options) => {
  const request = post(origin, options);
  const seen = outcome(request);
  request.end('question');
  return { request, seen };
};

/** What the record must say. */
const ended = ({ code, message, body = null, status = body === null ? 0 : 200, question = 'question', requestEnded }) => ({ exchange }) => {
  assert.equal(exchange.outcome, 'error');
  assert.equal(exchange.error.code, code);
  if (message !== undefined) assert.match(exchange.error.message, message);
  assert.equal(exchange.status, status);
  assert.equal(String(exchange.responseBody), body ?? '');
  assert.equal(String(exchange.requestBody), question);
  if (requestEnded !== undefined) assert.equal(exchange.requestEnded, requestEnded);
};

/** The server gives up. Name → server, the record, and the client if it is a special one. */
const NETWORK = {
  'a refused connection': [nobody, ended({ code: 'ECONNREFUSED', requestEnded: false })],
  'several addresses, all refused': [nobody, ended({ code: 'ECONNREFUSED', message: /127\.0\.0\.1/ }), ({ port }) =>
    send(`http://both.example:${port}`, {
      autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 2000,
      lookup: (_, options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }, { address: '127.0.0.2', family: 4 }]),
    }).seen],
  'a name that does not resolve': [nobody, ended({ code: 'ENOTFOUND' }), ({ origin }) => send(origin.replace('127.0.0.1', 'no.example'), {
    lookup: (name, _, callback) => callback(Object.assign(new Error(`getaddrinfo ENOTFOUND ${name}`), { code: 'ENOTFOUND' })),
  }).seen],
  'a reset before the answer': [() => serveRaw((socket) => socket.resetAndDestroy()), ended({ code: 'ECONNRESET', requestEnded: true })],
  'a connection closed before the answer': [() => serveRaw((socket) => socket.end()), ended({ code: 'ECONNRESET', message: /hang up/ })],
  'an answer that is not HTTP': [() => serveRaw((socket) => socket.end('SSH-2.0-OpenSSH\r\n')), ended({ code: 'HPE_INVALID_CONSTANT' })],
  'a broken chunk': [() => serveRaw((socket) => socket.write(`${CHUNKED_HALF}zz\r\n`)), ended({ code: 'HPE_INVALID_CHUNK_SIZE', body: 'hello' })],
  'closed within a content-length': [() => serveRaw((socket) => socket.end(HALF)), ended({ code: 'ECONNRESET', message: /aborted/, body: 'hello' })],
  'closed within a chunked body': [() => serveRaw((socket) => socket.end(CHUNKED_HALF)), ended({ code: 'ECONNRESET', body: 'hello' })],
  'a body that ends with its connection': [() => serveRaw((socket) => socket.end('HTTP/1.0 200 Fine\r\n\r\nhello')), ({ exchange }) => {
    assert.equal(exchange.outcome, 'end');
    assert.equal(exchange.responseHead, 'HTTP/1.0 200 Fine\r\n');
    assert.equal(String(exchange.responseBody), 'hello');
  }],
};

describe('the network fails', { timeout: 60_000 }, () => {
  for (const [name, [serve, verify, client = ({ origin }) => send(origin).seen]] of Object.entries(NETWORK)) {
    test(name, () => compare(install, { serve, client, verify }));
  }

  test('a reset in mid-stream', () => {
    let got;
    return compare(install, {
      serve: () => {
        got = gate();
        return serveRaw(async (socket) => {
          socket.write(HALF);
          await got.opened;
          socket.resetAndDestroy();
        });
      },
      client: ({ origin }) => {
        const request = post(origin);
        const seen = outcome(request, { read: (response, keep) => response.on('data', keep).once('data', got.open) });
        request.end('question');
        return seen;
      },
      verify: ended({ code: 'ECONNRESET', body: 'hello' }),
    });
  });

  test('a kept connection that the server has given up', () => compare(install, {
    serve: () => serveRaw((socket, _, number) => {
      if (number === 0) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      else socket.resetAndDestroy();
    }),
    exchanges: 2,
    client: async ({ origin }) => {
      const agent = new http.Agent({ keepAlive: true });
      return [await send(origin, { agent }).seen, await send(origin, { agent }).seen];
    },
    verify: ({ exchanges }) => {
      assert.deepEqual(exchanges.map(({ outcome: end, error }) => [end, error?.code]), [['end', undefined], ['error', 'ECONNRESET']]);
    },
  }));

  test('a connection lost in mid-upload', () => compare(install, {
    serve: () => serveRaw((socket) => socket.resetAndDestroy()),
    client: ({ origin }) => {
      const request = post(origin);
      const seen = outcome(request).then(({ events }) => events.filter((event) => event.startsWith('error')).length);
      request.write('first');
      return seen;
    },
    verify: ended({ code: 'ECONNRESET', question: 'first', requestEnded: false }),
  }));
});

/** The program gives up: when, how, and what the record must say. */
const BEFORE_ANSWER = {
  'destroy() at once': [(request) => request.destroy(), 'ABORT_ERR'],
  'destroy(error) at once': [(request) => request.destroy(Object.assign(new Error('enough'), { code: 'E_ENOUGH' })), 'E_ENOUGH'],
  'abort() at once': [(request) => request.abort(), 'ABORT_ERR'],
  'destroy() once written': [(request) => request.on('finish', () => request.destroy()), 'ABORT_ERR'],
  'destroy() twice': [(request) => request.on('finish', () => request.destroy().destroy(new Error('ignored'))), 'ABORT_ERR'],
  'destroy() by a timeout': [(request) => request.setTimeout(20, () => request.destroy(Object.assign(new Error('slow'), { code: 'E_SLOW' }))), 'E_SLOW'],
  'a signal': [(request, controller) => request.on('finish', () => controller.abort()), 'ABORT_ERR'],
};
/** The same with half of the answer there. */
const AMID_ANSWER = {
  'request.destroy()': [(request) => request.destroy(), 'ABORT_ERR'],
  'request.destroy(error)': [(request) => request.destroy(Object.assign(new Error('enough'), { code: 'E_ENOUGH' })), 'E_ENOUGH'],
  'request.abort()': [(request) => request.abort(), 'ABORT_ERR'],
  'response.destroy()': [(_, response) => response.destroy(), 'ABORT_ERR'],
  'response.destroy(error)': [(_, response) => response.destroy(Object.assign(new Error('enough'), { code: 'E_ENOUGH' })), 'E_ENOUGH'],
  'a signal': [(request, response, controller) => controller.abort(), 'ABORT_ERR'],
  'a signal with a reason of its own': [(request, response, controller) => controller.abort(new Error('mine')), 'ABORT_ERR'],
};

describe('the program gives up', { timeout: 60_000 }, () => {
  for (const [name, [giveUp, code]] of Object.entries(BEFORE_ANSWER)) {
    test(`${name}, before the answer`, () => compare(install, {
      serve: silent,
      client: ({ origin }) => {
        const controller = new AbortController();
        const { request, seen } = send(origin, { signal: controller.signal });
        giveUp(request, controller);
        return seen;
      },
      verify: ended({ code }),
    }));
  }

  test('nothing is recorded of a request that was given up before it was written', () => compare(install, {
    serve: silent,
    exchanges: 0,
    client: ({ origin }) => {
      const controller = new AbortController();
      controller.abort();
      const aborted = send(origin, { signal: controller.signal }).seen;
      const request = post(origin);
      const seen = outcome(request);
      request.destroy();
      request.end('never sent');
      return Promise.all([aborted, seen]);
    },
  }));

  for (const [name, [giveUp, code]] of Object.entries(AMID_ANSWER)) {
    for (const answer of [HALF, CHUNKED_HALF]) {
      test(`${name}, amid an answer ${answer === HALF ? 'of known length' : 'in chunks'}`, () => compare(install, {
        serve: () => serveRaw((socket) => socket.write(answer)),
        client: ({ origin }) => {
          const controller = new AbortController();
          const request = post(origin, { signal: controller.signal });
          const seen = outcome(request, {
            read: (response, keep) => response.on('data', keep).once('data', () => giveUp(request, response, controller)),
          });
          request.end('question');
          return seen;
        },
        verify: ended({ code, body: 'hello' }),
      }));
    }
  }

  test('break out of for await', () => compare(install, {
    serve: () => serveRaw((socket) => socket.write(CHUNKED_HALF)),
    client: ({ origin }) => {
      const request = post(origin);
      const seen = outcome(request, { read: async (response, keep) => {
        for await (const chunk of response) {
          keep(chunk);
          break;
        }
      } });
      request.end('question');
      return seen;
    },
    verify: ended({ code: 'ABORT_ERR', body: 'hello' }),
  }));

  test('a source that fails amid its pipeline', () => compare(install, {
    serve: silent,
    client: ({ origin }) => {
      const request = post(origin);
      const seen = outcome(request);
      pipeline(Readable.from((function* () {
        yield 'some';
        throw new Error('no more');
      })()), request, () => {});
      return seen;
    },
    verify: ended({ code: 'ABORT_ERR', question: 'some', requestEnded: false }),
  }));

  // follow-redirects does so on each redirect; the whole answer is in the segment that is being parsed.
  for (const both of [true, false]) {
    test(`request.destroy()${both ? ' and response.destroy()' : ''} at the head of an answer that is there in full`, () => compare(install, {
      serve: () => serveRaw((socket) => socket.write('HTTP/1.1 302 Found\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngone\r\n0\r\nX-End: 1\r\n\r\n')),
      client: ({ origin }) => {
        const request = post(origin);
        const seen = outcome(request, { read: (response, keep) => {
          // 'data' listeners are taken off a response that is dumped, these are not.
          response.on('readable', () => { for (let chunk; (chunk = response.read()) !== null;) keep(chunk); });
          request.destroy();
          if (both) response.destroy();
        } });
        request.end('question');
        return seen;
      },
      verify: ({ exchange }) => {
        assert.equal(exchange.outcome, 'end');
        assert.equal(String(exchange.responseBody), 'gone');
        assert.equal(exchange.trailers, 'X-End: 1\r\n');
      },
    }));
  }

  test('a response that is never read stays open with what has arrived', () => {
    let arrived;
    return compare(install, {
      serve: () => serveRaw((socket) => socket.write(HALF)),
      client: async ({ origin, hub }) => {
        arrived = gate();
        const request = post(origin);
        const seen = outcome(request, { read: arrived.open });
        request.end('question');
        await arrived.opened;
        const open = hub?.throwIn === '' ? hub.exchanges.map(({ outcome: end }) => end) : [null];
        request.destroy();
        return { ...await seen, open };
      },
      verify: (seen) => {
        assert.deepEqual(seen.value.open, [null]);
        ended({ code: 'ABORT_ERR', body: 'hello' })(seen);
      },
    });
  });
});

describe('an answer before the request is over', { timeout: 60_000 }, () => {
  const early = () => serveRaw((socket) => socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nlong'));

  test('what is sent after it is still on record', () => compare(install, {
    serve: early,
    client: ({ origin }) => {
      const agent = new http.Agent({ keepAlive: true });
      const request = post(origin, { agent }).on('close', () => agent.destroy());
      const seen = outcome(request, { read: (response, keep) => response.on('data', keep).on('end', () => {
        request.write('second');
        request.end('third');
      }) });
      request.write('first');
      return seen.then(({ events, ...rest }) => rest);
    },
    verify: ({ exchange }) => {
      assert.equal(exchange.outcome, 'end');
      assert.equal(exchange.status, 413);
      assert.equal(String(exchange.requestBody), 'firstsecondthird');
      assert.equal(exchange.requestEnded, true);
      assert.equal(String(exchange.responseBody), 'long');
    },
  }));

  test('an upload given up for it has a whole response', () => compare(install, {
    serve: early,
    client: ({ origin }) => {
      const request = post(origin);
      const seen = outcome(request, { read: (response, keep) => response.on('data', keep).on('end', () => request.destroy()) });
      request.write('first');
      return seen;
    },
    verify: ({ exchange }) => {
      assert.equal(exchange.outcome, 'end');
      assert.equal(String(exchange.requestBody), 'first');
      assert.equal(exchange.requestEnded, false);
      assert.equal(String(exchange.responseBody), 'long');
    },
  }));
});

describe('another protocol', { timeout: 60_000 }, () => {
  const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nframe';
  const upgrade = (origin) => http.request(`${origin}/v1/realtime`, { agent: false, headers: { Connection: 'Upgrade', Upgrade: 'echo' } });
  const switched = (status) => ({ exchange }) => {
    assert.equal(exchange.outcome, 'end');
    assert.equal(exchange.status, status);
    assert.equal(exchange.responseBody.length, 0);
    assert.equal(exchange.requestEnded, true);
  };

  test('101 with a listener', () => compare(install, {
    serve: () => serveRaw((socket) => socket.write(SWITCH)),
    client: ({ origin }) => new Promise((resolve) => {
      upgrade(origin).on('upgrade', (response, socket, head) => {
        socket.destroy();
        resolve([response.statusCode, response.headers, String(head)]);
      }).end();
    }),
    verify: ({ exchange }) => {
      assert.deepEqual([exchange.status, String(exchange.responseBody)], [101, 'frame']);
      assert.deepEqual([exchange.outcome, exchange.error?.code], ['error', 'ABORT_ERR']);
    },
  }));

  test('what both sides say after a 101', () => compare(install, {
    serve: () => serveRaw((socket) => {
      socket.write(SWITCH);
      socket.on('data', (bytes) => {
        if (String(bytes).includes('last')) socket.end('bye');
      });
    }),
    client: ({ origin }) => new Promise((resolve) => {
      upgrade(origin).on('upgrade', (response, socket, head) => {
        const seen = [String(head)];
        socket.setEncoding('utf8').on('data', (text) => seen.push(text)).on('end', () => resolve(seen.join('')));
        socket.cork();
        socket.write('héllo ');
        socket.write('d29ybGQ=', 'base64');
        socket.uncork();
        socket.write(Buffer.from(' and'), () => socket.end(' last'));
      }).end();
    }),
    verify: ({ exchange }) => {
      assert.deepEqual([exchange.status, exchange.outcome, exchange.requestEnded], [101, 'end', true]);
      assert.equal(String(exchange.requestBody), 'héllo world and last');
      assert.equal(String(exchange.responseBody), 'framebye');
    },
  }));

  test('101 without a listener', () => compare(install, {
    serve: () => serveRaw((socket) => socket.write(SWITCH)),
    client: ({ origin }) => outcome(upgrade(origin).end()),
    verify: switched(101),
  }));

  test('an upgrade that is declined', () => compare(install, {
    serve: () => serveRaw((socket) => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')),
    client: ({ origin }) => outcome(upgrade(origin).on('upgrade', () => {}).end()),
    verify: ({ exchange }) => assert.deepEqual([exchange.status, exchange.outcome, String(exchange.responseBody)], [403, 'end', 'no']),
  }));

  for (const listen of [true, false]) {
    test(`CONNECT ${listen ? 'with' : 'without'} a listener`, () => compare(install, {
      serve: () => serveRaw((socket) => socket.write('HTTP/1.1 200 Connected\r\n\r\n')),
      client: ({ port }) => {
        const request = http.request({ host: '127.0.0.1', port, method: 'CONNECT', path: 'api.anthropic.com:443', agent: false });
        if (listen) request.on('connect', (response, socket) => socket.destroy());
        return outcome(request.end());
      },
      verify: switched(200),
    }));
  }
});
