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

test('what worker threads send is on record beside what the main thread sends', async () => {
  const { account, records } = await runBothWays(standin, 'in-worker.mjs');
  assert.equal(account.length, 15);
  assertLogMatches(account, records);
  assert.equal(new Set(records.map(({ file }) => file)).size, 1, 'one process, one log');
});

test('three processes that start in the same second write three logs', async () => {
  const { account, records } = await runBothWays(standin, 'family.mjs');
  assert.equal(account.length, 15);
  assertLogMatches(account, records);
  assert.equal(new Set(records.map(({ file }) => file)).size, 3);
});
