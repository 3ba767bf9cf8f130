'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { runCommand } = require('./support/command');
const { assertLogMatches, isPartial, readLog } = require('./support/log');
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

test('the command starts it with the loader, and all is the same', async () => {
  const args = ['-p', 'Say hi with Bash', '--output-format', 'json', '--model', 'claude-standin-agent', '--allowedTools', 'Bash(echo:*)'];
  await standin.reset();
  const direct = await runCommand(args, { program: CLAUDE, env: { ...ENV, ANTHROPIC_BASE_URL: standin.url } });
  await standin.account();
  await standin.reset();
  const traced = await runCommand(['--claude-path', CLAUDE, '--upstream', standin.url, ...args], { env: ENV });
  assert.deepEqual([traced.code, normalise(traced.stdout)], [direct.code, normalise(direct.stdout)]);
  assert.match(traced.stdout, /Done\. The tool said: hi\./);
  assert.equal(traced.stderr.replace(/^claude-trace: 2 exchanges recorded in .*\n$/m, ''), direct.stderr);
  const account = (await standin.account()).filter(({ url }) => url.includes('/v1/messages'));
  for (const { record } of assertLogMatches(account, readLog(traced.cwd))) assert.equal(record.value.trace.via, 'undici');
});

test('without include-all and further hosts Claude Code has exactly its Messages calls on record', async () => {
  const { account, records } = await runBothWays(standin, CLAUDE, {
    args: ['-p', 'Say hi with Bash', '--model', 'claude-standin-agent', '--allowedTools', 'Bash(echo:*)'],
    env: { ...ENV, CLAUDE_TRACE_HOSTS: '' },
    normalise,
  });
  assertLogMatches(account.filter(({ url }) => url.includes('/v1/messages')), records);
});
