'use strict';

// With `deferredParsing: false` the message of a stream stands in its record: the one that the official SDK put together in
// the very process that was recorded, and what stands beside each stream of fixtures/streams.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { readLog } = require('./support/log');
const { runClient } = require('./support/run-client');
const { Standin } = require('./support/standin');

const STREAMS = path.join(__dirname, '../fixtures/streams');
const NOT_DEFERRED = { CLAUDE_TRACE_ZERO_LATENCY_DEFERRED_PARSING: 'false', NODE_NO_WARNINGS: '1' };

/** @typedef {{ name: string, sdk: string, scenario: string, stream?: string }} Case */

/** @type {Case[]} */
const CASES = [
  ...['anthropic-tools', 'anthropic-max-tokens', 'anthropic-unknown'].flatMap((stream) => recorded('anthropic', stream)),
  ...recorded('anthropic-beta', 'anthropic-tools'),
  ...['openai-chat', 'openai-chat-azure'].flatMap((stream) => recorded('chat', stream)),
  ...['openai-responses', 'openai-responses-broken', 'openai-responses-failed'].flatMap((stream) => recorded('responses', stream)),
  ...recorded('bedrock', 'bedrock-invoke'),
  ...['anthropic', 'chat', 'responses', 'bedrock'].flatMap((sdk) =>
    ['thinking', 'tool', 'unicode+tear', 'agent', 'max-tokens', 'long'].map((scenario) => ({ name: `${sdk} ${scenario}`, sdk, scenario })),
  ),
  { name: 'anthropic gzip', sdk: 'anthropic', scenario: 'unicode+gzip' },
];

/** @param {string} sdk @param {string} stream @returns {Case[]} */
function recorded(sdk, stream) {
  return ['text', 'text+tear'].map((scenario) => ({ name: `${sdk} ${stream} ${scenario}`, sdk, scenario, stream }));
}

/**
 * What the SDKs add to a message for their users, and no provider sends. Nothing else may differ.
 * @type {Record<string, (message: any) => any>}
 */
const WITHOUT_HELPERS = {
  // `parsed_output`: the text read by the schema of a request that had one.
  anthropic: ({ parsed_output, ...message }) => (assert.equal(parsed_output, null), message),
  // `parsed`: the same.
  chat: ({ choices, ...rest }) => ({
    ...rest,
    choices: choices.map((/** @type {any} */ { message: { parsed, ...message }, ...choice }) => (assert.equal(parsed, null), { ...choice, message })),
  }),
  // `output_parsed`, `parsed` and `parsed_arguments`: the same. `output_text`: the texts in `output`, once more.
  responses: ({ output_parsed, output_text, output, ...rest }) => {
    const texts = output.flatMap((/** @type {any} */ item) => (item.type === 'message' ? item.content : []));
    assert.equal(output_text, texts.filter((/** @type {any} */ { type }) => type === 'output_text').map((/** @type {any} */ { text }) => text).join(''));
    assert.equal(output_parsed, null);
    return {
      ...rest,
      output: output.map((/** @type {any} */ { parsed_arguments, content, ...item }) => ({
        ...item,
        ...(content && { content: content.map((/** @type {any} */ { parsed, ...part }) => part) }),
      })),
    };
  },
};

/** @type {import('./support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

for (const mode of ['zero-latency', 'standard']) {
  test(`the derived message is the one that the official SDK has, in ${mode} mode`, async () => {
    const env = { ...standin.env, ...NOT_DEFERRED, CLAUDE_TRACE_ZERO_LATENCY: String(mode === 'zero-latency') };
    const { cwd, stdout, stderr } = await runClient('derived.mjs', { traced: true, args: [JSON.stringify(CASES)], env });
    const said = new Map(stdout.trimEnd().split('\n').map((line) => [JSON.parse(line).step, JSON.parse(line).value]));
    const derived = new Map(readLog(cwd).map(({ value }) => [value.request.headers['x-case'], value.derived]));
    assert.equal(stderr, '');
    for (const { name, sdk } of CASES) {
      const message = said.get(name);
      assert.ok(message && !message.failed, `${name}: the SDK has no message: ${JSON.stringify(message)}`);
      const expected = (WITHOUT_HELPERS[sdk] ?? WITHOUT_HELPERS.anthropic)(message);
      assert.deepEqual(derived.get(name)?.message, expected, name);
    }
  });
}

test('what is derived of each stream stands beside it, whatever it is encoded with and however it is torn', async () => {
  const names = fs.readdirSync(STREAMS).filter((file) => /\.(sse|json|frames\.jsonl)$/.test(file) && !file.includes('.expected.')).map((file) => file.split('.')[0]);
  assert.ok(names.length > 15);
  const requests = names.flatMap((name) => ['text', 'tear', 'gzip', 'br+tear', 'whole'].map((scenario) => [pathOf(name), { 'x-standin-stream': name, 'x-standin': scenario }]));
  const { cwd } = await runClient('derived-fetch.mjs', { traced: true, args: [JSON.stringify(requests)], env: { ...standin.env, ...NOT_DEFERRED } });
  const records = readLog(cwd);
  assert.equal(records.length, requests.length);
  for (const { value } of records) {
    const { timing_ms, stalls, tokens_per_second, ...derived } = value.derived;
    const name = value.request.headers['x-standin-stream'];
    const what = `${name}, ${value.request.headers['x-standin']}`;
    assert.deepEqual(derived, JSON.parse(fs.readFileSync(path.join(STREAMS, `${name}.expected.json`), 'utf8')), what);
    assert.equal(timing_ms.first_byte, value.trace.timing_ms.first_chunk, what);
    assert.ok(tokens_per_second === undefined || tokens_per_second > 0, what);
    assert.equal(stalls.count, 0, what);
    const { first_token = 0, last_token = first_token } = timing_ms;
    assert.ok(first_token === 0 || first_token >= timing_ms.first_byte, what);
    assert.ok(last_token >= first_token && last_token <= value.trace.timing_ms.end, what);
  }
});

test('with deferred parsing, the default, a record has nothing derived', async () => {
  const requests = [['/v1/messages', { 'x-standin-stream': 'anthropic-tools' }]];
  const { cwd } = await runClient('derived-fetch.mjs', { traced: true, args: [JSON.stringify(requests)], env: { ...standin.env } });
  assert.deepEqual(readLog(cwd).map(({ value }) => 'derived' in value), [false]);
});

/** @param {string} name */
function pathOf(name) {
  if (name.startsWith('gemini')) return '/v1beta/models/gemini:streamGenerateContent';
  return name.startsWith('bedrock') ? '/model/m/converse-stream' : '/llm';
}
