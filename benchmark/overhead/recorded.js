'use strict';

// A recorder that records nothing is fast. So the log of every sample is read, and only whole pairs count.

const fs = require('node:fs');
const path = require('node:path');
const { agentAnswer } = require('../support/agent-answers.js');
const { ANSWERS, bytesOf } = require('../support/answers.js');
const { isSession } = require('../session/cases.js');

/**
 * @param {string} cwd of the client: every recorder writes to `.claude-trace` there
 * @param {import('./cases.js').Case} c
 * @returns {number} pairs with the whole request and the whole answer in them
 */
function countPairs(cwd, c) {
  const folder = path.join(cwd, '.claude-trace');
  let pairs = 0;
  for (const name of fs.existsSync(folder) ? fs.readdirSync(folder) : []) {
    if (!name.endsWith('.jsonl')) continue;
    for (const line of lines(path.join(folder, name))) if (isWhole(JSON.parse(line), c)) pairs++;
  }
  return pairs;
}

/**
 * @param {any} pair
 * @param {import('./cases.js').Case} c
 */
function isWhole({ request, response }, c) {
  const { messages } = request.body;
  // Every turn adds an answer and the results of its tools.
  const answer = isSession(c) ? agentAnswer(c.answer, (messages.length - 1) / 2, c.requests) : ANSWERS[c.answer];
  const text = answer.isStream ? response?.body_raw : JSON.stringify(response?.body);
  // Both are ASCII.
  return response?.status_code === 200 && text?.length === bytesOf(answer) && messages[0].content.length === c.promptChars;
}

/** @param {string} file */
function* lines(file) {
  const bytes = fs.readFileSync(file);
  for (let start = 0, end; (end = bytes.indexOf(10, start)) >= 0; start = end + 1) yield bytes.toString('utf8', start, end);
}

module.exports = { countPairs };
