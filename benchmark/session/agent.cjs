'use strict';

// The measured process: an agent as one writes it with the SDK. It asks, does what the model calls for, tells it the result,
// and ends when the model does.

/** Since the start of the process, with whatever was preloaded. */
const startUpMs = performance.now();

const fs = require('node:fs');
const path = require('node:path');
const { Anthropic } = require('@anthropic-ai/sdk');
const { Times, measure, now } = require('../overhead/measure.cjs');
const { FILES } = require('../support/agent-answers.js');

const { requests: turns, events, promptChars, model, resultFile } = JSON.parse(process.argv[2]);

const FILE_LINES = 80;
const workspace = path.join(process.cwd(), 'workspace');
fs.mkdirSync(workspace);
for (let i = 0; i < FILES; i++) {
  const lines = Array.from({ length: FILE_LINES }, (_, line) => `line ${line} of source ${i}: what an agent would find there\n`);
  fs.writeFileSync(path.join(workspace, `source-${i}.txt`), lines.join(''));
}

/** @type {Record<string, (input: any) => string>} */
const TOOLS = {
  read_file: ({ path: name }) => fs.readFileSync(path.join(workspace, name), 'utf8'),
  write_file({ path: name, text }) {
    fs.writeFileSync(path.join(workspace, name), text);
    return `${text.length} characters written`;
  },
  search({ text }) {
    const hits = fs.readdirSync(workspace).flatMap((name) => {
      const lines = fs.readFileSync(path.join(workspace, name), 'utf8').split('\n');
      return lines.flatMap((line, i) => (line.includes(text) ? [`${name}:${i + 1}: ${line}`] : []));
    });
    return hits.join('\n') || 'nothing found';
  },
};

/** @type {import('@anthropic-ai/sdk').Anthropic.Tool[]} */
const tools = Object.keys(TOOLS).map((name) => ({
  name,
  description: `The tool ${name} of this workspace. `.repeat(12),
  input_schema: { type: 'object', properties: { path: { type: 'string' }, text: { type: 'string' } } },
}));

const client = new Anthropic({ maxRetries: 0 });
const system = 'You are an agent that works on the files of a workspace, one step at a time. '.repeat(60);
/** @type {import('@anthropic-ai/sdk').Anthropic.MessageParam[]} */
const messages = [{ role: 'user', content: 'p'.repeat(promptChars) }];
const times = new Times(turns, events);


async function converse() {
  for (let turn = 0; ; turn++) {
    const start = now();
    let last = 0;
    const stream = client.messages.stream({ model, max_tokens: 1024, system, tools, messages });
    for await (const _ of stream) {
      const at = now();
      if (last === 0) times.first(turn, at - start);
      else times.gap(at - last);
      last = at;
    }
    const { content, stop_reason } = await stream.finalMessage();
    messages.push({ role: 'assistant', content });
    if (stop_reason === 'end_turn') {
      if (turn !== turns - 1) throw new Error(`${turn + 1} turns instead of ${turns}`);
      return;
    }
    const calls = content.filter((block) => block.type === 'tool_use');
    if (calls.length !== 1) throw new Error(`${calls.length} tool calls in turn ${turn}`);
    messages.push({ role: 'user', content: calls.map(({ id, name, input }) => ({ type: 'tool_result', tool_use_id: id, content: TOOLS[name](input) })) });
  }
}

measure({ work: converse, times, startUpMs, firstHookMs: null, requests: turns, events, resultFile });
