import OpenAI from 'openai';
import { attempt, digest, openGate, url } from './say.mjs';

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'sk-proj-made-up-for-the-tests-0123456789' });
const chat = (scenario, more) => ({ model: `gpt-standin-${scenario}`, messages: [{ role: 'user', content: 'Héllo — 日本 😀' }], ...more });
const respond = (scenario, more) => ({ model: `gpt-standin-${scenario}`, input: 'Héllo — 日本 😀', ...more });
const PARAMETERS = { type: 'object', properties: { location: { type: 'string' } }, required: ['location'] };
const CHAT_TOOL = { type: 'function', function: { name: 'get_weather', parameters: PARAMETERS } };
const TOOL = { type: 'function', name: 'get_weather', parameters: PARAMETERS, strict: false };

/** @param {AsyncIterable<unknown>} stream */
async function events(stream) {
  const list = [];
  for await (const event of stream) list.push(event);
  return { count: list.length, digest: digest(JSON.stringify(list)) };
}

for (const scenario of ['text', 'tool', 'unicode+gzip', 'max-tokens', 'text+overloaded-once', 'text+rate-limited']) {
  await attempt(`chat: ${scenario}`, () => client.chat.completions.create(chat(scenario, { tools: [CHAT_TOOL] })));
  await attempt(`chat stream: ${scenario}`, async () => events(await client.chat.completions.create(chat(scenario, { tools: [CHAT_TOOL], stream: true, stream_options: { include_usage: true } }))));
  await attempt(`responses: ${scenario}`, () => client.responses.create(respond(scenario, { tools: [TOOL] })));
  await attempt(`responses stream: ${scenario}`, async () => events(await client.responses.create(respond(scenario, { tools: [TOOL], stream: true }))));
}
await attempt('finalChatCompletion', () => client.chat.completions.stream(chat('unicode+tear')).finalChatCompletion());
await attempt('finalResponse', () => client.responses.stream(respond('thinking+tear')).finalResponse());
await attempt('error event', async () => events(await client.chat.completions.create(chat('text+error-event', { stream: true }))));
await attempt('cut in mid-stream', async () => {
  let seen = 0;
  try {
    const stream = await client.chat.completions.create(chat('text+cut', { stream: true }), { headers: { 'x-standin-gate': 'cut' } });
    for await (const chunk of stream) if (++seen === 4) await openGate('cut', chunk);
  } catch (error) {
    return { seen, name: error.name, message: error.message };
  }
  return { seen };
});
await attempt('tool loop', async () => {
  const runner = client.chat.completions.runTools(
    chat('agent', { tools: [{ type: 'function', function: { name: 'get_weather', parse: JSON.parse, function: ({ location }) => `12 °C in ${location}`, parameters: PARAMETERS } }] }),
  );
  return [await runner.finalContent(), runner.messages.length];
});
