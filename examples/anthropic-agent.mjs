// An agent with one tool, as anyone would write it: nothing in it knows that it is recorded.
//
//   ANTHROPIC_API_KEY=… node --require claude-trace-native/interceptor-loader.js examples/anthropic-agent.mjs [MODEL…]
//
// Each model named gets the same task. The log is the newest file in .claude-trace/.

import os from 'node:os';
import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic();
const models = process.argv.length > 2 ? process.argv.slice(2) : ['claude-haiku-4-5'];

const tools = [
  {
    name: 'system_info',
    description: 'Says what kind of computer this is.',
    input_schema: { type: 'object', properties: { field: { type: 'string', enum: ['platform', 'arch', 'cpus'] } }, required: ['field'] },
  },
];

/** @param {{ field: string }} input */
function systemInfo({ field }) {
  return field === 'cpus' ? String(os.cpus().length) : field === 'arch' ? os.arch() : os.platform();
}

/** Runs the loop until the model has nothing more to call. @param {string} model */
async function run(model) {
  /** @type {Anthropic.MessageParam[]} */
  const messages = [{ role: 'user', content: 'What kind of computer is this?' }];
  for (;;) {
    const stream = client.messages.stream({ model, max_tokens: 1024, system: 'You answer in one sentence.', tools, messages });
    stream.on('text', (text) => process.stdout.write(text));
    const { content } = await stream.finalMessage();
    messages.push({ role: 'assistant', content });
    const results = content
      .filter((block) => block.type === 'tool_use')
      .map(({ id, input }) => ({ type: 'tool_result', tool_use_id: id, content: systemInfo(input) }));
    process.stdout.write('\n');
    if (results.length === 0) return;
    messages.push({ role: 'user', content: results });
  }
}

for (const model of models) {
  try {
    await run(model);
  } catch (error) {
    if (!(error instanceof Anthropic.APIError)) throw error;
    process.stdout.write(`\n(gave up: ${error.message})\n`);
  }
}
