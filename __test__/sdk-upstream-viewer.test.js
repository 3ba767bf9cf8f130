'use strict';

// What claude-trace 1.0.9 makes of our log: its own code reads and shows it, we only look on.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { readLog } = require('./support/log');
const { runClient } = require('./support/run-client');
const { Standin } = require('./support/standin');

const UPSTREAM = path.join(path.dirname(require.resolve('@mariozechner/claude-trace/package.json')), 'dist');
const { HTMLGenerator } = require(path.join(UPSTREAM, 'html-generator.js'));
// What its page runs in the browser, in the build for Node that its CLI uses.
const { SharedConversationProcessor } = require(path.join(UPSTREAM, 'shared-conversation-processor.js'));

const UPSTREAM_LOADER = path.join(UPSTREAM, 'interceptor-loader.js');
const CLAUDE = path.join(path.dirname(require.resolve('@anthropic-ai/claude-code/package.json')), 'cli.js');
const CLAUDE_OPTIONS = {
  args: ['-p', 'Say hi with Bash', '--model', 'claude-standin-agent', '--allowedTools', 'Bash(echo:*)'],
  env: { ANTHROPIC_API_KEY: 'dummy', CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', NODE_EXTRA_CA_CERTS: '' },
};

/** @type {import('./support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

/**
 * The log of one run of a client under a loader, ours by default.
 * @param {string} client @param {{ loader?: string, args?: string[], env?: Record<string, string> }} [options]
 */
async function logOf(client, { env, ...options } = {}) {
  await standin.reset();
  const { code, stderr, cwd } = await runClient(client, { ...options, traced: true, env: { ...standin.env, CLAUDE_TRACE_HOSTS: '', ...env } });
  assert.equal(code, 0, stderr);
  const [{ file }] = readLog(cwd);
  return file;
}

/** The pairs that the generated page holds. @param {string} log */
async function shownBy(log) {
  const page = fs.readFileSync(await new HTMLGenerator().generateHTMLFromJSONL(log, `${log}.html`), 'utf8');
  const [, data] = /atob\('([^']+)'\)/.exec(page) ?? [];
  return JSON.parse(Buffer.from(data, 'base64').toString()).rawPairs;
}

/** As the page groups and shows them, without what belongs to one run: times, and the ids made of them. @param {any[]} pairs */
function conversationsOf(pairs) {
  const processor = new SharedConversationProcessor();
  const conversations = processor.mergeConversations(processor.processRawPairs(pairs), { includeShortConversations: true });
  return conversations.map((/** @type {any} */ { models, system, messages, response, allPairs, compacted, metadata: { startTime, endTime, ...metadata } }) => ({
    models: [...models],
    system,
    messages,
    response,
    compacted,
    metadata,
    pairs: allPairs.map((/** @type {any} */ { id, timestamp, ...pair }) => pair),
  }));
}

test('the viewer of claude-trace shows from our log what it shows from its own', async () => {
  const own = await shownBy(await logOf('conversations.mjs', { loader: UPSTREAM_LOADER }));
  const ours = await shownBy(await logOf('conversations.mjs'));

  assert.deepEqual(ours.map(keysOf), own.map(keysOf), 'the same keys in the same order, before ours');
  assert.deepEqual(ours.map(contentOf), own.map(contentOf), 'the same pairs');
  const conversations = conversationsOf(ours);
  assert.deepEqual(conversations, conversationsOf(own), 'the same conversations');
  assert.deepEqual(conversations.map((/** @type {any} */ { messages }) => messages.length), [3, 5]);
});

test('it shows the same of Claude Code', async () => {
  const own = await shownBy(await logOf(CLAUDE, { ...CLAUDE_OPTIONS, loader: UPSTREAM_LOADER }));
  const ours = await shownBy(await logOf(CLAUDE, CLAUDE_OPTIONS));
  const conversations = conversationsOf(ours);
  assert.deepEqual(withoutRun(conversations), withoutRun(conversationsOf(own)));
  assert.equal(conversations.length, 1);
  assert.match(JSON.stringify(conversations[0].response), /The tool said: hi/);
});

test('it takes what only we record: errors, dropped and broken bodies, binary ones', async () => {
  for (const [client, answer] of [['anthropic-sdk-failures.mjs', 'The answer is 42.'], ['bedrock-sdk.mjs', 'Hello from the stand-in.']]) {
    const pairs = await shownBy(await logOf(client, { env: { CLAUDE_TRACE_HOSTS: '127.0.0.1' } }));
    assert.ok(JSON.stringify(conversationsOf(pairs)).includes(answer), client);
  }
});

/** Folders, session ids and hashes of one run of Claude Code. @param {any} conversations */
function withoutRun(conversations) {
  const text = JSON.stringify(conversations)
    .replace(/run-\w{6}/g, 'FOLDER')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UUID')
    .replace(/[0-9a-f]{64}/g, 'HASH')
    .replace(/cch=\w+/g, 'cch=HASH');
  return JSON.parse(text);
}

/** @param {any} pair */
const keysOf = (pair) => [Object.keys(pair).slice(0, 3), Object.keys(pair.request).slice(0, 5), Object.keys(pair.response).slice(0, 4)];

/** @param {any} pair */
const contentOf = ({ request, response }) => ({
  method: request.method,
  url: request.url,
  sent: request.body,
  status: response.status_code,
  type: response.headers['content-type'],
  body: response.body,
  body_raw: response.body_raw,
});
