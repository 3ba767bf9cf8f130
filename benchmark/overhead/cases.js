'use strict';

// What is done in one measured process: `warmUp` requests, then `requests` that count, `atOnce` of them under way at any time.
// The numbers are small because claude-trace's cost grows with the square of them: it has to finish.

const { ANSWERS } = require('../support/answers.js');

/**
 * @typedef {object} Case
 * @property {string} id
 * @property {string} title
 * @property {string} answer a key of ANSWERS
 * @property {number} promptChars length of the user's message
 * @property {number} atOnce
 * @property {number} warmUp
 * @property {number} requests
 */

const PROMPT = 2_000;
const LARGE_PROMPT = 1024 * 1024;

/** @type {readonly Case[]} */
const CASES = [
  { id: 'paced', title: 'paced stream', answer: 'every-3-ms', promptChars: PROMPT, atOnce: 1, warmUp: 20, requests: 120 },
  // Slower, for a thread that is at most half busy: at its limit a paced stream would be an unpaced one.
  { id: 'paced-20', title: 'paced stream, 20 at once', answer: 'every-10-ms', promptChars: PROMPT, atOnce: 20, warmUp: 60, requests: 400 },
  { id: 'unpaced', title: 'unpaced stream', answer: 'unpaced', promptChars: PROMPT, atOnce: 1, warmUp: 40, requests: 200 },
  { id: 'unpaced-20', title: 'unpaced stream, 20 at once', answer: 'unpaced', promptChars: PROMPT, atOnce: 20, warmUp: 40, requests: 200 },
  { id: 'json', title: 'small JSON', answer: 'json', promptChars: PROMPT, atOnce: 1, warmUp: 100, requests: 500 },
  { id: 'json-20', title: 'small JSON, 20 at once', answer: 'json', promptChars: PROMPT, atOnce: 20, warmUp: 100, requests: 500 },
  { id: 'upload', title: '1 MB request', answer: 'json', promptChars: LARGE_PROMPT, atOnce: 1, warmUp: 10, requests: 40 },
  { id: 'upload-20', title: '1 MB request, 20 at once', answer: 'json', promptChars: LARGE_PROMPT, atOnce: 20, warmUp: 20, requests: 40 },
];

/**
 * For a look at the shape of the output: too little to say anything of speed.
 * @param {Case} c
 * @returns {Case}
 */
const tiny = (c) => ({ ...c, warmUp: 2, requests: Math.max(4, c.atOnce), promptChars: Math.min(c.promptChars, 32 * 1024) });

/** @param {Case} c */
const answerOf = (c) => ANSWERS[c.answer];

module.exports = { CASES, answerOf, tiny };
