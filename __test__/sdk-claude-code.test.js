'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { assertLogMatches, isPartial } = require('./support/log');
const { runBothWays } = require('./support/run-client');
const { Standin } = require('./support/standin');

// The last release that is a Node bundle; later ones are Bun executables.
const CLAUDE = path.join(path.dirname(require.resolve('@anthropic-ai/claude-code/package.json')), 'cli.js');
const ENV = {
  ANTHROPIC_API_KEY: 'dummy',
  DISABLE_TELEMETRY: '1',
  DISABLE_AUTOUPDATER: '1',
  DISABLE_ERROR_REPORTING: '1',
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  // With it Claude Code hands a dispatcher of its own undici to fetch, which Node 26 refuses.
  NODE_EXTRA_CA_CERTS: '',
};

/** @type {import('./support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

/** Ids and durations. @param {string} text */
const normalise = (text) =>
  text.replace(/"(session_id|uuid|parent_tool_use_id|task_id)":"[^"]+"/g, '"$1":"…"').replace(/"(\w*duration_\w*ms|ttft_ms|\w*latency\w*)":\d+/g, '"$1":0').replace(/claude-trace-test-\w+\/run-\w+/g, 'FOLDER');

for (const format of ['text', 'json']) {
  test(`Claude Code in print mode (${format}), with a tool call, prints the same, and its exchanges are on record`, async () => {
    const { account, records, traced } = await runBothWays(standin, CLAUDE, {
      args: ['-p', 'Say hi with Bash', '--output-format', format, '--model', 'claude-standin-agent', '--allowedTools', 'Bash(echo:*)'],
      env: ENV,
      normalise,
    });
    assert.match(traced.stdout, /Done\. The tool said: hi\./);
    const matches = assertLogMatches(account, records);
    const conversation = matches.filter(({ entry }) => entry.method === 'POST');
    assert.equal(conversation.length, 2);
    for (const { record } of conversation) {
      assert.ok(!isPartial(record));
      assert.equal(record.value.request.body.model, 'claude-standin-agent');
    }
    const [, second] = conversation;
    const results = second.record.value.request.body.messages.at(-1).content;
    assert.equal(results.find((/** @type {any} */ block) => block.type === 'tool_result').content, 'hi');
  });
}

test('without include-all and further hosts Claude Code has exactly its Messages calls on record', async () => {
  const { account, records } = await runBothWays(standin, CLAUDE, {
    args: ['-p', 'Say hi with Bash', '--model', 'claude-standin-agent', '--allowedTools', 'Bash(echo:*)'],
    env: { ...ENV, CLAUDE_TRACE_HOSTS: '' },
    normalise,
  });
  assertLogMatches(account.filter(({ url }) => url.includes('/v1/messages')), records);
});
