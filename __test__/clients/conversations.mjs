// Two conversations as a viewer groups them: an agent's loop over three turns, and a question with a follow-up.

import Anthropic from '@anthropic-ai/sdk';
import { say, url } from './say.mjs';

const client = new Anthropic({ baseURL: url, apiKey: 'sk-ant-api03-made-up-for-the-tests-0123456789' });
const tools = [{ name: 'get_weather', description: 'The weather', input_schema: { type: 'object', properties: { location: { type: 'string' } } } }];

const agent = [{ role: 'user', content: 'What is the weather in Zürich? 😀' }];
for (let turn = 1; turn <= 3; turn++) {
  const message = await client.messages.stream({ model: 'claude-standin-agent+tear', max_tokens: 1024, system: 'You are an agent.', tools, messages: agent }).finalMessage();
  say(`agent, turn ${turn}`, message.content);
  agent.push({ role: 'assistant', content: message.content });
  const calls = message.content.filter((block) => block.type === 'tool_use');
  if (calls.length === 0) break;
  agent.push({ role: 'user', content: calls.map(({ id }) => ({ type: 'tool_result', tool_use_id: id, content: '12 °C' })) });
}

const talk = [];
for (const question of ['Who are you?', 'And who made you?', 'Thank you.']) {
  talk.push({ role: 'user', content: question });
  const message = await client.messages.create({ model: 'claude-standin-unicode', max_tokens: 256, system: 'You are a friend.', messages: talk });
  say(question, message.content);
  talk.push({ role: 'assistant', content: message.content });
}
