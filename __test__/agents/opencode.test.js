'use strict';

// opencode, a Bun executable that takes no preload, through the proxy.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { Standin } = require('../support/standin');
const { npmProgram, runBothWays } = require('./compare');

/** @type {import('../support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

test('one question', async () => {
  const { stdout, records } = await runBothWays(standin, {
    program: npmProgram('opencode', 'opencode'),
    args: ['run', '-m', 'anthropic/claude-sonnet-4-5', 'Say hi'],
    env: { ANTHROPIC_API_KEY: 'dummy', OPENCODE_DISABLE_AUTOUPDATE: '1' },
    // Its SDK takes the version to be in the base URL.
    told: { ANTHROPIC_BASE_URL: `${standin.url}/v1` },
    ours: ['--upstream', standin.url],
  });
  assert.equal(stdout.trim(), 'Hello from the stand-in.');
  assert.ok(records.length >= 1);
});
