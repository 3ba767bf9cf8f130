'use strict';

// The current Claude Code, a native executable, through the proxy.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const { after, before, test } = require('node:test');
const { Standin } = require('../support/standin');
const { npmProgram, runBothWays } = require('./compare');

const CLAUDE = npmProgram('claude-code', 'claude');
const ENV = {
  ANTHROPIC_API_KEY: 'dummy',
  DISABLE_TELEMETRY: '1',
  DISABLE_AUTOUPDATER: '1',
  DISABLE_ERROR_REPORTING: '1',
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
};

/** @type {import('../support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

/** Ids, times and what is made of them. @param {string} text */
const normalise = (text) =>
  text
    .replace(/"(session_id|uuid|parent_tool_use_id|task_id|request_id)":"[^"]+"/g, '"$1":"…"')
    .replace(/"((\w*_)?(duration|ttft|latency|stream|request|frame)\w*_ms|timestamp)":("[^"]*"|\d+)/g, '"$1":0')
    .replace(/claude-trace-test-\w+\/run-\w+/g, 'FOLDER')
    .replace(/claude-trace-test-\w+-run-\w+/g, 'FOLDER')
    .replace(/cc-socks\/\d+/g, 'SOCKET');

console.log(execFileSync(CLAUDE, ['--version'], { encoding: 'utf8' }).trim());

for (const format of [['text'], ['json'], ['stream-json', '--verbose', '--include-partial-messages']]) {
  test(`print mode (${format[0]}), with a tool call`, async () => {
    const { stdout, records } = await runBothWays(standin, {
      program: CLAUDE,
      args: ['-p', 'Say hi with Bash', '--output-format', ...format, '--model', 'claude-standin-agent', '--allowedTools', 'Bash(echo:*)'],
      env: ENV,
      told: { ANTHROPIC_BASE_URL: standin.url },
      ours: ['--upstream', standin.url],
      normalise,
    });
    assert.match(stdout, /Done\. The tool said: hi\./);
    assert.equal(records.length, 2);
    for (const { request, trace } of records) assert.deepEqual([trace.via, request.body.stream], ['proxy', true]);
    const results = records[1].request.body.messages.flatMap((/** @type {any} */ message) => message.content).filter((/** @type {any} */ block) => block.type === 'tool_result');
    assert.equal(results.at(-1).content, 'hi');
  });
}

test('print mode, through the TLS proxy', async () => {
  const api = standin.env.STANDIN_HTTPS;
  const { NODE_EXTRA_CA_CERTS } = standin.env;
  const { stdout, records } = await runBothWays(standin, {
    program: CLAUDE,
    args: ['-p', 'Say hi with Bash', '--model', 'claude-standin-agent', '--allowedTools', 'Bash(echo:*)'],
    env: { ...ENV, NODE_EXTRA_CA_CERTS },
    told: { ANTHROPIC_BASE_URL: api },
    ours: ['--capture', 'mitm', '--upstream', api],
    normalise,
  });
  assert.match(stdout, /Done\. The tool said: hi\./);
  assert.deepEqual(records.map(({ request }) => new URL(request.url).origin), [api, api]);
});
