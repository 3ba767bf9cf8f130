'use strict';

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { assertLogMatches, assertNowhereUnder, isPartial, responseBody } = require('./support/log');
const { runBothWays } = require('./support/run-client');
const { Standin } = require('./support/standin');

const KEY = 'sk-ant-api03-made-up-for-the-tests-0123456789';

/** @type {import('./support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

test('a client of @anthropic-ai/sdk does not notice us, and each byte is on record', async () => {
  const { account, records, traced } = await runBothWays(standin, 'anthropic-sdk.mjs');
  const matches = assertLogMatches(account, records);
  for (const { entry, record } of matches) {
    assert.ok(!isPartial(record), `exchange ${entry.id} is whole`);
    assert.ok('zeroLatency' in record.value, 'zero-latency mode is the default');
  }
  assertNowhereUnder(traced.cwd, [KEY, 'made-up-secret-value']);
});

test('the same in standard mode', async () => {
  const { account, records } = await runBothWays(standin, 'anthropic-sdk.mjs', { env: { CLAUDE_TRACE_ZERO_LATENCY: 'false' } });
  for (const { record } of assertLogMatches(account, records)) assert.ok(!('zeroLatency' in record.value));
});

test('retries, errors, resets and aborts of @anthropic-ai/sdk: each exchange is on record with what had arrived', async () => {
  const { account, records } = await runBothWays(standin, 'anthropic-sdk-failures.mjs');
  const refused = records.filter(({ value }) => value.request.url.startsWith(standin.closed));
  const matches = assertLogMatches(account, records.filter((record) => !refused.includes(record)));
  /** @param {string} scenario */
  const of = (scenario) => matches.filter(({ entry }) => Buffer.from(entry.requestBody, 'base64').toString().includes(`standin-${scenario}"`));

  assert.deepEqual(refused.map(({ value }) => [value.response, value.trace.error.code]), [[null, 'ECONNREFUSED']]);
  assert.deepEqual(of('text+overloaded').map(({ record }) => record.value.response.status_code), [529, 529, 529]);
  for (const { record } of matches.filter(({ entry }) => entry.status === 529)) {
    // The SDK drops the body as soon as it has the head; its first third came in the same packet.
    assert.match(responseBody(record).toString(), /^{"type":"error"/);
  }
  for (const how of ['reset', 'cut', 'stall']) {
    const broken = of(`thinking+${how}`);
    assert.equal(broken.length, how === 'stall' ? 2 : 1);
    for (const { entry, record } of broken) {
      assert.equal(record.value.trace.partial, true, `${how}: marked as partial`);
      assert.ok(record.value.trace.error.code, `${how}: with an error code`);
      assert.equal(responseBody(record).toString(), Buffer.from(entry.responseBody, 'base64').toString(), `${how}: with all that arrived`);
    }
  }
  for (const { record } of of('hang')) {
    assert.equal(record.value.response, null);
    assert.ok(record.value.trace.error, 'an aborted request has its error on record');
  }
  assert.equal(of('hang').length, 2);
});
