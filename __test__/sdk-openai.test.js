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

test('a client of openai (chat and responses) does not notice us, and each byte is on record', async () => {
  const { account, records, traced } = await runBothWays(standin, 'openai-sdk.mjs');
  const matches = assertLogMatches(account, records);
  const [cut] = matches.filter(({ entry }) => entry.outcome === 'reset');
  assert.equal(cut.record.value.trace.partial, true);
  assertNowhereUnder(traced.cwd, ['sk-proj-made-up-for-the-tests-0123456789']);
});
