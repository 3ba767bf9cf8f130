'use strict';

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { assertLogMatches, assertNowhereUnder } = require('./support/log');
const { runBothWays } = require('./support/run-client');
const { Standin } = require('./support/standin');

/** @type {import('./support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

test('the global fetch, with every kind of input and body, is as it was, and each byte is on record', async () => {
  const { account, records, traced } = await runBothWays(standin, 'fetch.mjs');
  const { refused, seen } = split(records);
  const failing = seen.filter(({ value }) => value.request.url.endsWith('/echo') && value.trace.error);
  assertLogMatches(account, seen.filter((record) => !failing.includes(record)));
  assert.deepEqual(refused.map(({ value }) => [value.response, value.trace.error.code]), [[null, 'ECONNREFUSED']]);
  assert.ok(failing.length <= 1, 'a request body that fails at once may have reached the wire or not');
  assertNowhereUnder(traced.cwd, ['sk-ant-made-up-0123456789abcdef', 'made-up-secret-value', 'made-up-url-key-0123456789abcdef']);
});

for (const copy of ['undici', 'undici6', 'undici7']) {
  test(`npm's ${copy} (fetch, request, stream, pipeline, agents, proxy) is as it was, and each byte is on record`, async () => {
    const { account, records } = await runBothWays(standin, 'undici.mjs', { args: [copy], normalise: withoutPid });
    const { refused, seen } = split(records);
    assertLogMatches(account, seen);
    assert.deepEqual(refused.map(({ value }) => [value.response, value.trace.error.code]), [[null, 'ECONNREFUSED']]);
  });
}

/** undici 6 warns that its HTTP/2 is experimental. @param {string} text */
const withoutPid = (text) => text.replace(/\(node:\d+\)/g, '(node)');

/** @param {import('./support/log').LogRecord[]} records */
function split(records) {
  const refused = records.filter(({ value }) => value.request.url.startsWith(standin.closed));
  return { refused, seen: records.filter((record) => !refused.includes(record)) };
}
