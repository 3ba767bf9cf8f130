#!/usr/bin/env node
'use strict';

// An agent as the launcher meets it: asks its API by the base URL of its environment, once, and prints what its caller wants
// to know as lines of JSON. In the first argument, words joined by `+`:
//
//   ask       one streamed request, and what came of it
//   stall     the same, but the answer stops in the middle; says `stalled` and waits to be ended
//   around    arguments, variables and terminal
//   input     all of stdin
//   fail      ends with 7
//   pid       its number

const VARIABLES = ['ANTHROPIC_BASE_URL', 'OPENAI_BASE_URL', 'ENABLE_TOOL_SEARCH', 'NODE_OPTIONS', 'NO_PROXY', 'CLAUDE_TRACE_ZERO_LATENCY', 'CLAUDE_TRACE_INCLUDE_ALL_REQUESTS'];

/** @param {string} step @param {unknown} value */
const say = (step, value) => process.stdout.write(`${JSON.stringify({ step, value })}\n`);

/** @param {string} scenario @param {(text: string) => void} [heard] */
async function ask(scenario, heard = () => {}) {
  const response = await fetch(`${process.env.ANTHROPIC_BASE_URL}/v1/messages?beta=true`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-api-key': 'sk-ant-made-up-key-0123456789', 'x-standin': scenario },
    body: JSON.stringify({ model: 'claude-standin', max_tokens: 5, stream: true, messages: [{ role: 'user', content: 'hi' }] }),
  });
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of /** @type {any} */ (response.body)) heard((text += decoder.decode(chunk, { stream: true })));
  return { status: response.status, text };
}

const ACTS = {
  ask: async () => say('ask', await ask('text')),
  stall: () => ask('stall', (text) => text.includes('content_block_delta') && say('stalled', text)),
  around: () => {
    say('arguments', process.argv.slice(2));
    say('variables', Object.fromEntries(VARIABLES.map((name) => [name, process.env[name]])));
    say('terminal', [process.stdin.isTTY ?? false, process.stdout.isTTY ?? false, process.stderr.isTTY ?? false]);
  },
  input: async () => say('input', await process.stdin.setEncoding('utf8').toArray().then((parts) => parts.join(''))),
  fail: () => (process.exitCode = 7),
  pid: () => say('pid', process.pid),
};

(async () => {
  const words = (process.argv[2] ?? 'ask').split('+');
  for (const word of words) await ACTS[/** @type {keyof typeof ACTS} */ (word)]();
})();
