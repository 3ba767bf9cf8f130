'use strict';

// The libraries that stand on node:http2: the AWS SDK, whose Bedrock client speaks it by default, and got.

const assert = require('node:assert/strict');
const { describe, test } = require('node:test');
const { NodeHttp2Handler } = require('@smithy/node-http-handler');
const bedrock = require('@aws-sdk/client-bedrock-runtime');
const { frames } = require('../fixtures/standin/bedrock.js');
const { answerTo } = require('../fixtures/standin/answer.js');
const { install } = require('../lib/hooks/http2.js');
const { compare } = require('./support/hook-compare.js');
const { serveHttp2 } = require('./support/http2-server.js');
const { WireServer } = require('./support/wire-server.js');

const FRAMES = frames(answerTo('unicode', { turns: 1, toolResults: [], tools: [] }), 'model', 'id');
const EVENT_STREAM = { 'content-type': 'application/vnd.amazon.eventstream' };
const DECODER = new TextDecoder();
const ask = { modelId: 'anthropic.claude-standin', contentType: 'application/json', body: '{"messages":["☃"]}' };

const client = (origin) => new bedrock.BedrockRuntimeClient({
  endpoint: origin, region: 'eu-central-1', maxAttempts: 2, requestHandler: new NodeHttp2Handler(),
  credentials: { accessKeyId: 'AKIAMADEUPFORTESTS00', secretAccessKey: 'made-up-secret-key' },
});

async function readEvents(body) {
  const events = [];
  for await (const { chunk } of body) events.push(DECODER.decode(chunk.bytes));
  return events;
}

function assertSame({ exchanges, server }) {
  assert.equal(exchanges.length, server.accounts.length);
  exchanges.forEach((exchange, i) => {
    const account = server.accounts[i];
    assert.equal(exchange.requestLine, `POST ${account.header(':path')} HTTP/2`);
    assert.deepEqual(exchange.requestHeaders, account.headers);
    assert.equal(exchange.requestBody.equals(account.requestBody), true);
    assert.equal(exchange.status, account.status);
    assert.equal(exchange.responseBody.equals(account.responseBody), true);
    assert.equal(exchange.outcome, 'end');
    assert.equal(exchange.requestEnded, true);
  });
}

describe('AWS SDK, Bedrock over HTTP/2', { timeout: 60_000 }, () => {
  const call = (run) => async ({ origin }) => {
    const sdk = client(origin);
    try {
      return await run(sdk);
    } finally {
      sdk.destroy();
    }
  };

  test('InvokeModel', () => compare(install, {
    serve: () => serveHttp2((account) => account.answer(200, { 'content-type': 'application/json' }, '{"answer":"é"}')),
    client: call(async (sdk) => DECODER.decode((await sdk.send(new bedrock.InvokeModelCommand(ask))).body)),
    verify: assertSame,
  }));

  test('InvokeModel, refused once: the retry is an exchange of its own', () => {
    let calls;
    return compare(install, {
      serve: () => {
        calls = 0;
        return serveHttp2((account) => (calls++ === 0
          ? account.answer(503, { 'x-amzn-errortype': 'ServiceUnavailableException' }, '{"message":"later"}')
          : account.answer(200, { 'content-type': 'application/json' }, '{"answer":1}')));
      },
      exchanges: 2,
      client: call(async (sdk) => DECODER.decode((await sdk.send(new bedrock.InvokeModelCommand(ask))).body)),
      verify: (seen) => {
        assertSame(seen);
        assert.deepEqual(seen.exchanges.map(({ status }) => status), [503, 200]);
      },
    });
  });

  test('InvokeModelWithResponseStream', () => compare(install, {
    serve: () => serveHttp2(async (account) => {
      account.head(200, EVENT_STREAM);
      for (const frame of FRAMES) await account.write(frame);
      account.end();
    }),
    client: call(async (sdk) => readEvents((await sdk.send(new bedrock.InvokeModelWithResponseStreamCommand(ask))).body)),
    verify: assertSame,
  }));

  test('InvokeModelWithBidirectionalStream: answers while the request goes on', () => compare(install, {
    serve: () => serveHttp2(async (account) => {
      account.head(200, EVENT_STREAM);
      account.stream.on('data', () => account.write(FRAMES[0]));
      account.stream.on('end', () => account.end(FRAMES[1]));
    }, { early: true }),
    client: call(async (sdk) => {
      const { body } = await sdk.send(new bedrock.InvokeModelWithBidirectionalStreamCommand({
        modelId: ask.modelId,
        body: (async function* () {
          for (const word of ['one', 'two', 'three']) yield { chunk: { bytes: Buffer.from(word) } };
        })(),
      }));
      return new Set(await readEvents(body)).size;
    }),
    verify: assertSame,
  }));

  test('an abort in mid-stream', () => compare(install, {
    serve: () => serveHttp2(async (account) => {
      account.head(200, EVENT_STREAM);
      await account.write(FRAMES[0]);
    }),
    client: call(async (sdk) => {
      const controller = new AbortController();
      const { body } = await sdk.send(new bedrock.InvokeModelWithResponseStreamCommand(ask), { abortSignal: controller.signal });
      let events = 0;
      // The SDK ends the stream in silence.
      for await (const _ of body) if (events++ === 0) controller.abort();
      return events;
    }),
    verify: ({ exchange, server }) => {
      assert.equal(exchange.outcome, 'error');
      assert.equal(exchange.error.code, 'ABORT_ERR');
      assert.equal(exchange.responseBody.equals(server.accounts[0].responseBody), true);
    },
  }));
});

test("got with http2: its ClientRequest is not Node's", { timeout: 60_000 }, async () => {
  const { default: got } = await import('got');
  await compare(install, {
    serve: () => WireServer.start((account) => account.answer(200, {}, `got ${account.requestBody}`), { http2: true }),
    client: async ({ origin }) => {
      const response = await got.post(`${origin}/v1/messages`, { http2: true, https: { rejectUnauthorized: false }, body: '{"a":"ü"}', retry: { limit: 0 } });
      return { body: response.body, version: response.httpVersion };
    },
    verify: ({ exchange, server, value }) => {
      assert.equal(value.version, '2.0');
      assert.equal(exchange.requestLine, 'POST /v1/messages HTTP/2');
      assert.equal(String(exchange.requestBody), '{"a":"ü"}');
      assert.equal(String(exchange.responseBody), String(server.accounts[0].responseBody));
      assert.equal(exchange.outcome, 'end');
    },
  });
});
