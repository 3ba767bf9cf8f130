'use strict';

// What the benchmark's server answers, rendered once. Shaped like the Messages API's: the SDK parses it, and the recorder
// meets as many headers and as much JSON as in earnest.

/** Server-sent events in a paced and in an unpaced stream; one HTTP chunk each, some 150 bytes long. */
const PACED_EVENTS = 12;
const LONG_EVENTS = 24;
const UNPACED_EVENTS = 200;
const CHUNK_BYTES = 150;

/** No real one: of those that it comes to deprecate, the SDK warns on stderr at every call. */
const MODEL = 'claude-benchmark';
const USAGE = Object.freeze({ input_tokens: 1042, output_tokens: 211 });

const HEADERS = Object.freeze({
  'cache-control': 'no-cache',
  'request-id': 'req_011CSHoEeqs5C35K2UUqR7Fy',
  'anthropic-organization-id': '00000000-0000-4000-8000-000000000000',
  'anthropic-ratelimit-requests-limit': '4000',
  'anthropic-ratelimit-requests-remaining': '3999',
  'anthropic-ratelimit-requests-reset': '2026-01-01T00:00:00Z',
  'anthropic-ratelimit-tokens-limit': '2000000',
  'anthropic-ratelimit-tokens-remaining': '1998000',
  'strict-transport-security': 'max-age=31536000; includeSubDomains; preload',
  server: 'cloudflare',
  'cf-ray': '99ec12e8afbe2d00-FRA',
});

/** @param {{ type: string, [key: string]: unknown }} data */
const event = (data) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;

/** @param {string} text */
const delta = (text) => event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } });

/**
 * @param {number} count
 * @returns {Buffer[]}
 */
function streamOf(count) {
  const message = { id: 'msg_01', type: 'message', role: 'assistant', model: MODEL, content: [], stop_reason: null, usage: USAGE };
  const filler = 'x'.repeat(CHUNK_BYTES - delta('').length);
  const before = [event({ type: 'message_start', message }), event({ type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } })];
  const after = [
    event({ type: 'content_block_stop', index: 0 }),
    event({ type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 211 } }),
    event({ type: 'message_stop' }),
  ];
  const deltas = Array.from({ length: count - before.length - after.length }, () => delta(filler));
  return [...before, ...deltas, ...after].map((text) => Buffer.from(text));
}

/** A small answer that is no stream. */
function message() {
  const content = [{ type: 'text', text: 'y'.repeat(1800) }];
  return Buffer.from(JSON.stringify({ id: 'msg_02', type: 'message', role: 'assistant', model: MODEL, content, stop_reason: 'end_turn', usage: USAGE }));
}

/**
 * @typedef {object} Answer
 * @property {readonly Buffer[]} chunks
 * @property {number} paceMs 0: all at once
 * @property {number} [firstMs] until the first chunk
 * @property {boolean} isStream
 */

/** By the first segment of the path. @type {Readonly<Record<string, Answer>>} */
const ANSWERS = Object.freeze({
  'every-1-ms': { chunks: streamOf(PACED_EVENTS), paceMs: 1, isStream: true },
  'every-3-ms': { chunks: streamOf(PACED_EVENTS), paceMs: 3, isStream: true },
  'every-10-ms': { chunks: streamOf(PACED_EVENTS), paceMs: 10, isStream: true },
  'every-20-ms': { chunks: streamOf(PACED_EVENTS), paceMs: 20, isStream: true },
  // For thousands of them at once: at this pace 2,000 streams are 8,000 chunks a second, which one JS thread can read.
  'every-250-ms': { chunks: streamOf(LONG_EVENTS), paceMs: 250, isStream: true },
  unpaced: { chunks: streamOf(UNPACED_EVENTS), paceMs: 0, isStream: true },
  json: { chunks: [message()], paceMs: 0, isStream: false },
});

/** @param {Answer} answer */
const bytesOf = (answer) => answer.chunks.reduce((sum, chunk) => sum + chunk.length, 0);

module.exports = { ANSWERS, HEADERS, MODEL, USAGE, bytesOf, event };
