'use strict';

// OpenAI's and Anthropic's SDKs for Python, through the proxy.

const assert = require('node:assert/strict');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { Standin } = require('../support/standin');
const { AGENTS, file, runBothWays } = require('./compare');

/** @type {import('../support/standin').Standin} */
let standin;
before(async () => (standin = await Standin.start()));
after(() => standin.stop());

const PYTHON = path.join(AGENTS, 'python/bin/python');

test('openai: a streamed chat, and a response', async () => {
  const { stdout, records } = await runBothWays(standin, {
    program: PYTHON,
    args: [
      file(
        'agent.py',
        `from openai import OpenAI
client = OpenAI()
question = [{"role": "user", "content": "hi"}]
stream = client.chat.completions.create(model="gpt-standin-text+gzip", stream=True, messages=question)
print("".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices))
print(client.responses.create(model="gpt-standin-text", input="hi").output_text)
`,
      ),
    ],
    env: { OPENAI_API_KEY: 'dummy' },
    told: { OPENAI_BASE_URL: `${standin.url}/v1` },
    ours: ['--base-url', `OPENAI_BASE_URL=${standin.url}/v1`],
  });
  assert.equal(stdout, 'Hello from the stand-in.\nHello from the stand-in.\n');
  assert.deepEqual(records.map(({ request }) => new URL(request.url).pathname), ['/v1/chat/completions', '/v1/responses']);
});

test('anthropic: a stream, and a request that is retried', async () => {
  const { stdout, records } = await runBothWays(standin, {
    program: PYTHON,
    args: [
      file(
        'agent.py',
        `from anthropic import Anthropic
client = Anthropic()
question = [{"role": "user", "content": "hi"}]
with client.messages.stream(model="claude-standin-text", max_tokens=10, messages=question) as stream:
    print("".join(stream.text_stream))
print(client.messages.create(model="claude-standin-text+overloaded-once", max_tokens=10, messages=question).content[0].text)
`,
      ),
    ],
    env: { ANTHROPIC_API_KEY: 'dummy' },
    told: { ANTHROPIC_BASE_URL: standin.url },
    ours: ['--upstream', standin.url],
  });
  assert.equal(stdout, 'Hello from the stand-in.\nHello from the stand-in.\n');
  assert.deepEqual(records.map(({ response }) => response.status_code), [200, 529, 200]);
});
