'use strict';

// OpenAI's Codex, a Rust executable behind a script of Node's, through the proxy. It takes its base URL by an option alone,
// so a shell gives it what the environment says.

const assert = require('node:assert/strict');
const { after, before, test } = require('node:test');
const { Standin } = require('../support/standin');
const { npmProgram, runBothWays } = require('./compare');

/** @type {import('../support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

test('one question', async () => {
  const options = `--skip-git-repo-check -m gpt-standin-text -c "openai_base_url=\\"$OPENAI_BASE_URL\\""`;
  const { stdout, records } = await runBothWays(standin, {
    program: '/bin/sh',
    args: ['-c', `exec ${npmProgram('codex', 'codex')} exec ${options} 'Say hi' 2>/dev/null`],
    env: { CODEX_API_KEY: 'dummy' },
    told: { OPENAI_BASE_URL: `${standin.url}/v1` },
    ours: ['--base-url', `OPENAI_BASE_URL=${standin.url}/v1`],
  });
  assert.equal(stdout, 'Hello from the stand-in.\n');
  // It asks for a WebSocket first, which the stand-in has not.
  const answered = records.filter(({ response }) => response.status_code === 200);
  assert.deepEqual(answered.map(({ request }) => `${request.method} ${new URL(request.url).pathname}`), ['POST /v1/responses']);
});
