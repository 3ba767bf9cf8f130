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

test('a client of @aws-sdk/client-bedrock-runtime (HTTP/2, binary frames) does not notice us, and each byte is on record', async () => {
  // The SDK warns of old Nodes, with its process id.
  const { account, records, traced } = await runBothWays(standin, 'bedrock-sdk.mjs', { env: { NODE_NO_WARNINGS: '1' } });
  const matches = assertLogMatches(account, records);
  for (const { entry, record } of matches.filter(({ entry: { url } }) => url.endsWith('-stream'))) {
    if (entry.status === 200) assert.equal(record.value.response.body_encoding, 'base64');
  }
  assertNowhereUnder(traced.cwd, ['made-up-session-token-0123456789', 'made-up-secret-key']);
});
