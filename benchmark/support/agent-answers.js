'use strict';

// The answers of a model that drives an agent with tools: in every turn some text and one tool call, in the last one text
// alone. An answer depends on the number of its turn and nothing else, so that a log can be held against it.

const { MODEL, USAGE, event } = require('./answers.js');

/** Far quicker than a model (which thinks for seconds): the recorder's share of the time is larger here than in earnest. */
const AGENT_PACES = Object.freeze({
  'agent-paced': { firstMs: 60, paceMs: 5 },
  'agent-instant': { firstMs: 0, paceMs: 0 },
});

const FILES = 8;
const TEXT_DELTAS = 16;
const WORDS = 'The next step is to look at how this part is used before anything is changed in it. ';

/** In turns, so that files are read, searched and written. @type {readonly ((turn: number) => { name: string, input: Record<string, string> })[]} */
const CALLS = [
  (turn) => ({ name: 'read_file', input: { path: `source-${turn % FILES}.txt` } }),
  (turn) => ({ name: 'search', input: { text: `line ${turn} ` } }),
  (turn) => ({ name: 'write_file', input: { path: `output-${turn % FILES}.txt`, text: `${WORDS.repeat(12)}\nturn ${turn}\n` } }),
];

/** @param {Buffer} body of a request @returns {number} turns that lie behind it */
function turnOf(body) {
  const needle = '"type":"tool_result"';
  let turns = 0;
  for (let at = body.indexOf(needle); at >= 0; at = body.indexOf(needle, at + needle.length)) turns++;
  return turns;
}

/** @type {Map<string, Buffer[]>} */
const rendered = new Map();

/**
 * @param {string} kind a key of AGENT_PACES
 * @param {number} turn from 0
 * @param {number} turns in all
 * @returns {import('./answers.js').Answer}
 */
function agentAnswer(kind, turn, turns) {
  const isLast = turn >= turns - 1;
  const key = isLast ? 'last' : String(turn);
  const chunks = rendered.get(key) ?? render(turn, isLast);
  rendered.set(key, chunks);
  return { chunks, isStream: true, .../** @type {Record<string, any>} */ (AGENT_PACES)[kind] };
}

/** @param {number} turn @param {boolean} isLast */
function render(turn, isLast) {
  const message = { id: `msg_${turn}`, type: 'message', role: 'assistant', model: MODEL, content: [], stop_reason: null, usage: USAGE };
  const events = [
    { type: 'message_start', message },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    ...Array.from({ length: TEXT_DELTAS }, () => ({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: WORDS } })),
    { type: 'content_block_stop', index: 0 },
    ...(isLast ? [] : toolCall(turn)),
    { type: 'message_delta', delta: { stop_reason: isLast ? 'end_turn' : 'tool_use' }, usage: { output_tokens: 211 } },
    { type: 'message_stop' },
  ];
  return events.map((data) => Buffer.from(event(data)));
}

/** @param {number} turn */
function toolCall(turn) {
  const { name, input } = CALLS[turn % CALLS.length](turn);
  const pieces = JSON.stringify(input).match(/.{1,120}/gs) ?? [];
  return [
    { type: 'content_block_start', index: 1, content_block: { type: 'tool_use', id: `toolu_${String(turn).padStart(8, '0')}`, name, input: {} } },
    ...pieces.map((partial_json) => ({ type: 'content_block_delta', index: 1, delta: { type: 'input_json_delta', partial_json } })),
    { type: 'content_block_stop', index: 1 },
  ];
}

module.exports = { AGENT_PACES, FILES, agentAnswer, turnOf };
