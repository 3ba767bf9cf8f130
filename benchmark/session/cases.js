'use strict';

// A whole session of an agent: a request counts as a turn, and each sends the conversation so far, the last one 350 KB.

const { AGENT_PACES } = require('../support/agent-answers.js');

const TURNS = 100;

const session = { suite: /** @type {const} */ ('session'), promptChars: 2_000, atOnce: 1, warmUp: 0, requests: TURNS };

/** @type {readonly import('../overhead/cases.js').Case[]} */
const SESSIONS = [
  { id: 'session', title: 'agent of 100 turns, paced answers', answer: 'agent-paced', ...session },
  { id: 'session-instant', title: 'agent of 100 turns, instant answers', answer: 'agent-instant', ...session },
];

/** @param {{ answer: string }} c */
const isSession = (c) => c.answer in AGENT_PACES;

module.exports = { SESSIONS, isSession };
