import Anthropic from '@anthropic-ai/sdk';
import { attempt, openGate, url, waitAtGate } from './say.mjs';

const client = new Anthropic({ baseURL: url, apiKey: 'sk-ant-api03-made-up-for-the-tests-0123456789' });
/** Events that an SDK shows of the three fifths of `thinking` that are sent; a ping is none. */
const SENT = 9;
const ask = (scenario) => ({ model: `claude-standin-${scenario}`, max_tokens: 1024, messages: [{ role: 'user', content: scenario }] });

await attempt('529, retried', () => client.messages.create(ask('text+overloaded-once')));
await attempt('529, retried, stream', () => client.messages.stream(ask('thinking+overloaded-once')).finalMessage());
await attempt('429, retried', () => client.messages.create(ask('text+rate-limited-once')));
await attempt('529, three times', () => client.messages.create(ask('text+overloaded')));
await attempt('429, no retries', () => client.messages.create(ask('text+rate-limited'), { maxRetries: 0 }));
await attempt('400', () => client.messages.create(ask('no-such-word')));
await attempt('404', () => client.post('/v1/messages/nothing', { body: {} }));
await attempt('307', () => client.messages.create(ask('text+redirect')));
await attempt('error event in mid-stream', () => client.messages.stream(ask('thinking+error-event')).finalMessage());

for (const how of ['reset', 'cut']) {
  await attempt(`${how} in mid-stream`, async () => {
    let seen = 0;
    try {
      const stream = await client.messages.create({ ...ask(`thinking+${how}`), stream: true }, { headers: { 'x-standin-gate': how } });
      for await (const event of stream) if (++seen === SENT) await openGate(how);
    } catch (error) {
      return { seen, name: error.name, message: error.message };
    }
    return { seen };
  });
}

await attempt('abort in mid-stream', async () => {
  const stream = client.messages.stream(ask('thinking+stall'));
  let seen = 0;
  try {
    for await (const event of stream) if (++seen === SENT) stream.abort();
  } catch (error) {
    return { seen, name: error.name, message: error.message };
  }
  return { seen };
});
await attempt('break out of a stream', async () => {
  let seen = 0;
  for await (const event of await client.messages.create({ ...ask('thinking+stall'), stream: true })) if (++seen === SENT) break;
  return { seen };
});
await attempt('abort before the head', async () => {
  const controller = new AbortController();
  const answer = client.messages.create(ask('hang'), { signal: controller.signal, headers: { 'x-standin-gate': 'arrived' } });
  waitAtGate('arrived').then(() => controller.abort());
  return answer;
});
await attempt('timeout', () => client.messages.create(ask('hang'), { timeout: 300, maxRetries: 0 }));
await attempt('refused connection', () => client.withOptions({ baseURL: process.env.STANDIN_CLOSED, maxRetries: 0 }).messages.create(ask('text')));
