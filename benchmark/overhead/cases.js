'use strict';

// What is done in one measured process: `warmUp` requests, then `requests` that count, `atOnce` of them under way at any time
// or, with `everyMs`, one begun after the other by the clock whatever has become of those before.
// The numbers are small because claude-trace's cost grows with the square of them: it has to finish.

const { ANSWERS } = require('../support/answers.js');
const { SESSIONS, isSession } = require('../session/cases.js');

/**
 * @typedef {object} Case
 * @property {string} id
 * @property {'requests' | 'paces' | 'streams' | 'session'} suite
 * @property {string} title
 * @property {string} answer a key of ANSWERS, or of AGENT_PACES
 * @property {number} promptChars length of the user's message
 * @property {number} atOnce
 * @property {number} [everyMs]
 * @property {number} warmUp
 * @property {number} requests
 * @property {readonly string[]} [without] variants that are left out
 */

const PROMPT = 2_000;
const LARGE_PROMPT = 1024 * 1024;

/** All of them are open for some five seconds: the last is begun after one second, and a stream takes six. @type {readonly number[]} */
const CONCURRENT = [1, 100, 1_000, 2_000];

const requests = { suite: /** @type {const} */ ('requests') };
const paces = { suite: /** @type {const} */ ('paces') };

/** @type {readonly Case[]} */
const CASES = [
  { id: 'paced', title: 'paced stream, 3 ms', ...requests, answer: 'every-3-ms', promptChars: PROMPT, atOnce: 1, warmUp: 10, requests: 60 },
  // Slower, for a thread that is at most half busy: at its limit a paced stream would be an unpaced one.
  { id: 'paced-20', title: 'paced stream, 10 ms, 20 at once', ...requests, answer: 'every-10-ms', promptChars: PROMPT, atOnce: 20, warmUp: 40, requests: 300 },
  { id: 'rate-100', title: 'paced stream, 10 ms, 100 a second', ...requests, answer: 'every-10-ms', promptChars: PROMPT, atOnce: 20, everyMs: 10, warmUp: 40, requests: 400 },
  { id: 'unpaced', title: 'unpaced stream', ...requests, answer: 'unpaced', promptChars: PROMPT, atOnce: 1, warmUp: 40, requests: 200 },
  { id: 'unpaced-20', title: 'unpaced stream, 20 at once', ...requests, answer: 'unpaced', promptChars: PROMPT, atOnce: 20, warmUp: 40, requests: 200 },
  { id: 'json', title: 'small JSON', ...requests, answer: 'json', promptChars: PROMPT, atOnce: 1, warmUp: 100, requests: 500 },
  { id: 'json-20', title: 'small JSON, 20 at once', ...requests, answer: 'json', promptChars: PROMPT, atOnce: 20, warmUp: 100, requests: 500 },
  { id: 'upload', title: '1 MB request', ...requests, answer: 'json', promptChars: LARGE_PROMPT, atOnce: 1, warmUp: 10, requests: 40 },
  { id: 'upload-20', title: '1 MB request, 20 at once', ...requests, answer: 'json', promptChars: LARGE_PROMPT, atOnce: 20, warmUp: 20, requests: 40 },
  { id: 'paced-1ms', title: 'paced stream, 1 ms', ...paces, answer: 'every-1-ms', promptChars: PROMPT, atOnce: 1, warmUp: 20, requests: 120 },
  { id: 'paced-20ms', title: 'paced stream, 20 ms, 20 at once', ...paces, answer: 'every-20-ms', promptChars: PROMPT, atOnce: 20, warmUp: 20, requests: 100 },
  { id: 'upload-stream', title: '1 MB request, paced stream, 3 ms', ...paces, answer: 'every-3-ms', promptChars: LARGE_PROMPT, atOnce: 1, warmUp: 10, requests: 40 },
  ...CONCURRENT.map((streams) => /** @type {Case} */ ({
    id: `streams-${streams}`, title: streams === 1 ? '1 paced stream, 250 ms' : `${streams.toLocaleString('en')} paced streams, 250 ms`, suite: 'streams', answer: 'every-250-ms',
    promptChars: PROMPT, atOnce: 20, everyMs: 1_000 / streams, warmUp: 0, requests: streams,
    // It would rewrite its HTML at the end of each: minutes of a blocked thread say nothing of concurrency.
    without: streams > 100 ? ['claude-trace'] : [],
  })),
  ...SESSIONS,
];

const SUITES = /** @type {const} */ (['requests', 'paces', 'streams', 'session']);

/**
 * For a look at the shape of the output: too little to say anything of speed.
 * @param {Case} c
 * @returns {Case}
 */
function tiny(c) {
  const size = { ...c, warmUp: Math.min(2, c.warmUp), promptChars: Math.min(c.promptChars, 32 * 1024) };
  if (isSession(c)) return { ...size, requests: 4 };
  if (c.everyMs === undefined) return { ...size, requests: Math.max(4, c.atOnce) };
  return { ...size, answer: 'every-3-ms', requests: Math.min(c.requests, 10), everyMs: Math.min(c.everyMs, 10) };
}

/** @param {Case} c whether its answers come event by event */
const isStream = (c) => isSession(c) || ANSWERS[c.answer].isStream;

/** @param {Case} c whether the server alone decides how many requests there are in a second */
const isPaced = (c) => isSession(c) || c.everyMs !== undefined || ANSWERS[c.answer].paceMs > 0;

/** @param {Case} c @returns {number} files that a process of it has open at once, at most */
const openFiles = (c) => (c.everyMs === undefined ? c.atOnce : c.requests) + 64;

module.exports = { CASES, SUITES, isPaced, isStream, openFiles, tiny };
