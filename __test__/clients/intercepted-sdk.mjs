// Three streams at once by the official SDK. Traced, an interceptor leaves every event out of the record.

import Anthropic from '@anthropic-ai/sdk';
import { createRequire } from 'node:module';

const { getLogger } = createRequire(import.meta.url)(process.env.CLAUDE_TRACE_TEST_PACKAGE ?? '../..');
getLogger()?.use({
  name: 'drops everything',
  onEvents(batch) {
    for (const event of batch) event.drop();
  },
});

const client = new Anthropic({ apiKey: 'sk-ant-standin', maxRetries: 0 });
const messages = await Promise.all(
  ['text', 'thinking', 'tool+gzip'].map((scenario) =>
    client.messages
      .stream({ model: `claude-standin-${scenario}`, max_tokens: 100, messages: [{ role: 'user', content: 'hi' }] })
      .finalMessage(),
  ),
);
for (const { content, usage, stop_reason } of messages) console.log(JSON.stringify({ content, usage, stop_reason }));
