import Anthropic from '@anthropic-ai/sdk';
import { attempt, digest, say, url } from './say.mjs';

const client = new Anthropic({ baseURL: url, apiKey: 'sk-ant-api03-made-up-for-the-tests-0123456789' });
const ask = (scenario, more) => ({ model: `claude-standin-${scenario}`, max_tokens: 1024, messages: [{ role: 'user', content: 'Héllo — 日本 😀' }], ...more });
const WEATHER = { name: 'get_weather', description: 'The weather', input_schema: { type: 'object', properties: { location: { type: 'string' } }, required: ['location'] } };

await attempt('create', () => client.messages.create(ask('text')));
await attempt('create with thinking', () => client.messages.create(ask('thinking')));
await attempt('create with a tool', () => client.messages.create(ask('tool', { tools: [WEATHER] })));
await attempt('create, cut off by max_tokens', () => client.messages.create(ask('max-tokens')));
await attempt('count_tokens', () => client.messages.countTokens({ model: 'claude-standin-text', messages: [{ role: 'user', content: 'how long?' }] }));

for (const scenario of ['text', 'thinking', 'tool', 'unicode', 'unicode+tear', 'thinking+whole', 'tool+gzip', 'unicode+br+tear', 'thinking+deflate', 'long']) {
  await attempt(`events: ${scenario}`, async () => {
    const events = [];
    for await (const event of await client.messages.create(ask(scenario, { stream: true }))) events.push(event);
    return digest(JSON.stringify(events));
  });
  await attempt(`finalMessage: ${scenario}`, () => client.messages.stream(ask(scenario)).finalMessage());
}

for (const scenario of ['text+gzip', 'unicode+br', 'thinking+deflate']) await attempt(`create: ${scenario}`, () => client.messages.create(ask(scenario)));
await attempt('create: big', async () => digest(JSON.stringify(await client.messages.create(ask('big')))));
await attempt('stream: big+gzip', async () => digest(JSON.stringify(await client.messages.stream(ask('big+gzip')).finalMessage())));
await attempt('a prompt of 10 MB', async () => (await client.messages.create(ask('text', { system: 'ß'.repeat(5 * 1024 * 1024) }))).usage);

await attempt('withResponse', async () => {
  const { data, response, request_id } = await client.messages.create(ask('text')).withResponse();
  return { id: data.id, request_id, url: response.url.replace(url, ''), redirected: response.redirected, type: response.type, isResponse: response instanceof Response, cookies: response.headers.getSetCookie() };
});
await attempt('asResponse', async () => {
  const response = await client.messages.create(ask('text', { stream: true })).asResponse();
  return digest(await response.text());
});
await attempt('parallel', async () => {
  const all = await Promise.all(['text', 'thinking', 'unicode', 'long', 'tool'].map((s) => client.messages.stream(ask(s)).finalMessage()));
  return all.map((message) => [message.model, message.content, message.usage]);
});

const messages = [{ role: 'user', content: 'What is the weather in Zürich?' }];
for (let turn = 1; turn <= 3; turn++) {
  const message = await client.messages.stream({ ...ask('agent'), tools: [WEATHER], messages }).finalMessage();
  say(`tool loop, turn ${turn}`, message);
  if (message.stop_reason !== 'tool_use') break;
  const calls = message.content.filter((block) => block.type === 'tool_use');
  messages.push({ role: 'assistant', content: message.content });
  messages.push({ role: 'user', content: calls.map((call) => ({ type: 'tool_result', tool_use_id: call.id, content: `12 °C in ${call.input.location}` })) });
}
