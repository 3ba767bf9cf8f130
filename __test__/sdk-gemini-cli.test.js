'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { assertLogMatches, isPartial } = require('./support/log');
const { runBothWays } = require('./support/run-client');
const { Standin } = require('./support/standin');

const GEMINI = path.join(path.dirname(require.resolve('@google/gemini-cli/package.json')), 'bundle/gemini.js');
const SETTINGS = { security: { auth: { selectedType: 'gemini-api-key' } }, privacy: { usageStatisticsEnabled: false }, general: { enableAutoUpdate: false } };

/** @type {import('./support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

/** Ids, process ids and durations, and what it says of its own start-up times, which depends on who wins a race. @param {string} text */
const normalise = (text) =>
  text.replace(/"session_id": "[^"]+"/, '"session_id": "…"').replace(/PGID: \d+/g, 'PGID: 0').replace(/"total(Latency|Duration)Ms": \d+|"durationMs": \d+/g, '"ms": 0').replace(/^\[STARTUP\].*\n/gm, '');

test('Gemini CLI in print mode, which relaunches itself, prints the same, and its exchanges are on record once', async () => {
  const { account, records, traced } = await runBothWays(standin, GEMINI, {
    args: ['-p', 'Say hi with the shell', '-m', 'gemini-standin-agent', '--output-format', 'json', '--yolo', '--skip-trust'],
    home: { '.gemini/settings.json': JSON.stringify(SETTINGS) },
    env: { GOOGLE_GEMINI_BASE_URL: standin.url, GEMINI_API_KEY: 'dummy-key-that-is-long-enough-to-show' },
    normalise,
  });
  assert.match(traced.stdout, /Done\. The tool said: /);
  const matches = assertLogMatches(account, records);
  assert.equal(matches.length, 2);
  for (const { record } of matches) assert.ok(!isPartial(record));
});
