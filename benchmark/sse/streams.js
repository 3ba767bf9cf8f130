'use strict';

// The streams that are measured: as long as each other in bytes, of events of one size.

const EVENT_BYTES = Object.freeze([64, 150, 2048]);

/** @typedef {{ eventBytes: number, body: Buffer, events: number }} Stream */

// What a stream needs before its first delta, so that a message can be made of it.
const ANTHROPIC_START = [
  'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","content":[]}}\n\n',
  'event: content_block_start\ndata: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n',
];

/** @param {number} eventBytes @param {number} streamBytes @returns {Stream} */
function streamOf(eventBytes, streamBytes) {
  // A delta of Anthropic's has no room in 64 bytes; one of Chat Completions does.
  const isSmall = eventBytes < 130;
  const start = isSmall ? [] : ANTHROPIC_START;
  const [head, tail] = isSmall
    ? ['data: {"choices":[{"index":0,"delta":{"content":"', '"}}]}\n\n']
    : ['event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"', '"}}\n\n'];
  const event = head + 'word '.repeat(eventBytes).slice(0, eventBytes - head.length - tail.length) + tail;
  const count = Math.ceil(streamBytes / eventBytes);
  return { eventBytes, body: Buffer.from(start.join('') + event.repeat(count)), events: start.length + count };
}

/** @param {Buffer} body @param {number} size @returns {Buffer[]} */
function cut(body, size) {
  const pieces = [];
  for (let at = 0; at < body.length; at += size) pieces.push(body.subarray(at, at + size));
  return pieces;
}

module.exports = { EVENT_BYTES, streamOf, cut };
