'use strict';

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { assertLogMatches } = require('./support/log');
const { runBothWays } = require('./support/run-client');
const { Standin } = require('./support/standin');

/** @type {import('./support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

test('a client of ai with @ai-sdk/anthropic does not notice us, and each byte is on record', async () => {
  const { account, records } = await runBothWays(standin, 'ai-sdk.mjs');
  const matches = assertLogMatches(account, records);
  const [aborted] = matches.filter(({ entry }) => entry.outcome === 'client-closed' && entry.status === 200);
  assert.equal(aborted.record.value.trace.partial, true);
});
