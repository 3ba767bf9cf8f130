'use strict';

// What a program can see of a node:http exchange, in the order in which it sees it, as plain data.

const { digest } = require('./host-result.js');

const REQUEST_EVENTS = ['finish', 'drain', 'continue', 'information', 'timeout', 'abort', 'error', 'close'];
const RESPONSE_EVENTS = ['aborted', 'end', 'error', 'close'];

/**
 * Resolves when the request closes, and with it its response.
 * @param {import('node:http').ClientRequest} request
 * @param {{ read?: (response: import('node:http').IncomingMessage, keep: (chunk: any) => void) => unknown, listen?: boolean }} [options]
 *   read: consumes the response, and may return a promise of its last chunk; listen: false leaves 'response' unheard
 */
function outcome(request, { read = (response, keep) => response.on('data', keep), listen = true } = {}) {
  /** @type {string[]} */
  const events = [];
  /** @type {any} */
  const seen = { events };
  const chunks = [];
  for (const name of REQUEST_EVENTS) request.on(name, (subject) => events.push(describe(name, subject)));
  if (listen) {
    request.on('response', (response) => {
      seen.status = `HTTP/${response.httpVersion} ${response.statusCode} ${response.statusMessage}`;
      seen.headers = response.rawHeaders.filter((_, i, all) => !/^(date|keep-alive)$/i.test(all[i - (i % 2)]));
      events.push('response');
      for (const name of RESPONSE_EVENTS) {
        response.on(name, (subject) => events.push(describe(`response ${name}`, subject)));
      }
      seen.reading = Promise.resolve(read(response, (chunk) => chunks.push(chunk))).catch(() => {});
      seen.response = response;
    });
  }
  return new Promise((resolve) => {
    request.on('close', () => {
      // The response's own last events come in later ticks.
      setImmediate(() => setImmediate(async () => {
        const { response, reading } = seen;
        delete seen.response;
        delete seen.reading;
        if (response?.complete) await reading;
        if (response !== undefined) {
          seen.body = chunks.every((chunk) => typeof chunk === 'string') && chunks.length > 0
            ? chunks.join('') : digest(Buffer.concat(chunks));
          seen.trailers = response.rawTrailers;
          seen.complete = response.complete;
          seen.flags = [response.aborted, response.destroyed, response.readableEnded];
        }
        seen.requestFlags = [request.aborted, request.destroyed, request.finished, request.reusedSocket];
        resolve(seen);
      }));
    });
  });
}

/** @param {string} name @param {any} subject */
function describe(name, subject) {
  if (subject instanceof Error) return `${name} ${subject.name} ${/** @type {any} */ (subject).code} ${mask(subject.message)}`;
  return subject?.statusCode === undefined ? name : `${name} ${subject.statusCode}`;
}

/** @param {string} message */
const mask = (message) => message.replace(/:\d+/g, ':port');

module.exports = { outcome };
