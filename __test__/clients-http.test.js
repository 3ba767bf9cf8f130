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

for (const scheme of ['http', 'https']) {
  test(`node:${scheme} in every argument form is as it was, and each byte is on record`, async () => {
    const { account, records, traced } = await runBothWays(standin, 'node-http.cjs', { args: [scheme] });
    const refused = records.filter(({ value }) => new URL(value.request.url).port === new URL(standin.closed).port);
    assertLogMatches(account, records.filter((record) => !refused.includes(record)));
    assert.deepEqual(refused.map(({ value }) => [value.response, value.trace.error.code]), [[null, 'ECONNREFUSED']]);
    assertNowhereUnder(traced.cwd, ['sk-ant-made-up-0123456789abcdef', 'made-up-password', 'made-up-secret-value']);
  });
}

test('node:http2, with and without TLS, is as it was, and each byte is on record', async () => {
  const { account, records, traced } = await runBothWays(standin, 'node-http2.mjs');
  assertLogMatches(account, records);
  assertNowhereUnder(traced.cwd, ['sk-ant-made-up-0123456789abcdef', 'made-up-secret-value']);
});

for (const client of ['axios', 'got', 'node-fetch']) {
  test(`a client of ${client} does not notice us, and each byte is on record`, async () => {
    const { account, records } = await runBothWays(standin, `${client}.mjs`);
    assertLogMatches(account, records);
  });
}
