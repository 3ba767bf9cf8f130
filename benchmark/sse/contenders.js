'use strict';

// What JS has for the same work. Each takes the pieces of a stream and returns how many events it saw. The parser wants
// text, so making text of bytes is part of what it costs, as it is for every client.

const { createParser } = require('eventsource-parser');

/** @typedef {(pieces: readonly Buffer[]) => number | Promise<number>} Contender */

/** @param {readonly Buffer[]} pieces @param {(event: { data: string }) => void} onEvent */
function feed(pieces, onEvent) {
  const parser = createParser({ onEvent });
  const decoder = new TextDecoder();
  for (const piece of pieces) parser.feed(decoder.decode(piece, { stream: true }));
}

/** @type {Contender} */
function split(pieces) {
  let events = 0;
  feed(pieces, () => events++);
  return events;
}

/** @type {Contender} */
function parse(pieces) {
  let events = 0;
  feed(pieces, ({ data }) => {
    if (typeof JSON.parse(data) === 'object') events++;
  });
  return events;
}

/** Interceptors of which each may wait, called for each event. */
const CHAIN = [
  async (/** @type {object} */ event) => ({ ...event, seenAt: 1 }),
  async (/** @type {object} */ event) => event,
  async (/** @type {object} */ event) => event,
];

/** @type {Contender} */
async function chain(pieces) {
  let events = 0;
  /** @type {object[]} */
  let arrived = [];
  const parser = createParser({ onEvent: ({ data }) => arrived.push(JSON.parse(data)) });
  const decoder = new TextDecoder();
  for (const piece of pieces) {
    parser.feed(decoder.decode(piece, { stream: true }));
    for (let event of arrived) {
      for (const interceptor of CHAIN) event = await interceptor(event);
      events++;
    }
    arrived = [];
  }
  return events;
}

/** @type {Readonly<Record<string, Contender>>} */
const CONTENDERS = Object.freeze({
  'eventsource-parser': split,
  'eventsource-parser, JSON.parse': parse,
  '… and three async interceptors': chain,
});

module.exports = { CONTENDERS };
