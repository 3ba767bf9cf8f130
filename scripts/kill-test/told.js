'use strict';

// What a client says of itself before it is killed: records of 16 bytes, appended to a file. A page holds a whole number of
// them: a write that crosses from one page to the next can be cut there by the kill.

/**
 * BEGUN: the request and its body of so many bytes have passed the hooks. RECEIVED: so many bytes of the response's body were
 * handed to the client by now. ENDED: and that was the last one. Of no exchange: STARTED, the recorder is about to be loaded;
 * DONE, the process is about to end by itself.
 */
const TOLD = Object.freeze({ BEGUN: 1, RECEIVED: 2, ENDED: 3, STARTED: 4, DONE: 5 });
const RECORD = 16;

/** @param {number} what one of TOLD @param {number} exchange @param {number} bytes */
function encode(what, exchange, bytes) {
  const record = Buffer.alloc(RECORD);
  record.writeUInt32LE(what, 0);
  record.writeUInt32LE(exchange, 4);
  record.writeUInt32LE(bytes, 8);
  return record;
}

/** @typedef {{ requestBytes: number, received: number, ended: boolean }} Told what its client says of one exchange */

/**
 * @param {Buffer} bytes
 * @returns {Map<number, Told>} by the exchange's number
 */
function decode(bytes) {
  /** @type {Map<number, Told>} */
  const told = new Map();
  for (let at = 0; at + RECORD <= bytes.length; at += RECORD) {
    const what = bytes.readUInt32LE(at);
    const value = bytes.readUInt32LE(at + 8);
    if (what === TOLD.STARTED || what === TOLD.DONE) continue;
    const number = bytes.readUInt32LE(at + 4);
    const exchange = told.get(number) ?? { requestBytes: 0, received: 0, ended: false };
    told.set(number, exchange);
    if (what === TOLD.BEGUN) exchange.requestBytes = value;
    else exchange.received = value;
    if (what === TOLD.ENDED) exchange.ended = true;
  }
  return told;
}

module.exports = { TOLD, RECORD, encode, decode };
