'use strict';

// A recorder that records nothing is fast. So the log of every sample is read, and only whole pairs count.

const fs = require('node:fs');
const path = require('node:path');
const { bytesOf } = require('../support/answers.js');
const { answerOf } = require('./cases.js');

/**
 * @param {string} cwd of the client: both recorders write to `.claude-trace` there
 * @param {import('./cases.js').Case} c
 * @returns {number} pairs with the whole request and the whole answer in them
 */
function countPairs(cwd, c) {
  const folder = path.join(cwd, '.claude-trace');
  const answer = answerOf(c);
  const answerChars = bytesOf(answer); // ASCII
  let pairs = 0;
  for (const name of fs.existsSync(folder) ? fs.readdirSync(folder) : []) {
    if (!name.endsWith('.jsonl')) continue;
    for (const line of lines(path.join(folder, name))) {
      const { request, response } = JSON.parse(line);
      const text = answer.isStream ? response?.body_raw : JSON.stringify(response?.body);
      if (response?.status_code === 200 && text?.length === answerChars && request.body.messages[0].content.length === c.promptChars) pairs++;
    }
  }
  return pairs;
}

/** @param {string} file */
function* lines(file) {
  const bytes = fs.readFileSync(file);
  for (let start = 0, end; (end = bytes.indexOf(10, start)) >= 0; start = end + 1) yield bytes.toString('utf8', start, end);
}

module.exports = { countPairs };
