'use strict';

// What a client that is to be killed asks for, in an order that follows from a seed. The stand-in's words for answers are
// explained in fixtures/standin/README.md.

const { randomFrom } = require('../../benchmark/support/statistics.js');

/**
 * @typedef {object} Wanted
 * @property {number} number it stands in the URL, by which server, client and log speak of the same exchange
 * @property {'fetch' | 'http'} api
 * @property {string} method
 * @property {string} path
 * @property {Record<string, string>} headers
 * @property {Buffer} [body]
 */

const STREAMS = ['text', 'agent', 'unicode+tear', 'long', 'long+tear'];
/** node:http hands out bytes as they come, so that a client would have to count what it decodes: fetch alone. */
const ENCODED = ['long+gzip', 'agent+br'];
/** Bodies are 2^0 to 2^20 bytes long: as many of a few bytes as of a megabyte, and all in between. */
const LARGEST = 20;
const LARGE = 17;

/**
 * @param {number} seed @param {number} first number of the first exchange @param {boolean} large 128 KiB to 1 MiB each
 * @returns {Generator<Wanted, never>}
 */
function* workload(seed, first, large) {
  const random = randomFrom(seed);
  const least = large ? LARGE : 0;
  for (let number = first; ; number++) {
    const api = random() < 0.5 ? 'fetch' : 'http';
    const kind = large ? random() / 2 : random();
    const size = Math.floor(2 ** (least + random() * (LARGEST - least)));
    if (kind < 0.25) yield echo(number, api, size);
    else if (kind < 0.5) yield binary(number, api, size);
    else {
      const words = api === 'fetch' && random() < 0.25 ? ENCODED : STREAMS;
      yield stream(number, api, words[Math.floor(random() * words.length)], random() < 0.3 ? 1 : 0);
    }
  }
}

/** A stream that stops half-way and stays open. @param {number} number @returns {Wanted} */
const stalled = (number) => stream(number, 'fetch', 'long+stall', 1);

/** @param {number} number */
const mark = (number) => `exchange=${number}`;

/** @param {number} number @param {Wanted['api']} api @param {string} words @param {number} paceMs @returns {Wanted} */
function stream(number, api, words, paceMs) {
  const body = Buffer.from(JSON.stringify({ model: 'claude-standin', stream: true, max_tokens: 99, messages: [{ role: 'user', content: `go ${number}` }] }));
  // Thousands of pieces a millisecond apart would outlast the test.
  const pace = words === 'long+tear' ? 0 : paceMs;
  const headers = { 'content-type': 'application/json', 'x-standin': words, 'x-standin-pace-ms': String(pace) };
  return { number, api, method: 'POST', path: `/v1/messages?${mark(number)}`, headers, body };
}

/** @param {number} number @param {Wanted['api']} api @param {number} size @returns {Wanted} */
function binary(number, api, size) {
  return { number, api, method: 'GET', path: `/v1/messages/bytes?n=${size}&${mark(number)}`, headers: {} };
}

/** @param {number} number @param {Wanted['api']} api @param {number} size of both bodies @returns {Wanted} */
function echo(number, api, size) {
  const text = `${number} said `.repeat(Math.ceil(size / 8)).slice(0, size);
  const isJson = number % 2 === 0;
  const body = Buffer.from(isJson ? JSON.stringify({ text }) : text);
  const headers = { 'content-type': isJson ? 'application/json' : 'text/plain' };
  return { number, api, method: 'POST', path: `/v1/messages/echo?${mark(number)}`, headers, body };
}

/** @param {string} url @returns {number} NaN if it is none of ours */
const numberOf = (url) => Number(new URL(url).searchParams.get('exchange') ?? NaN);

module.exports = { workload, stalled, numberOf };
