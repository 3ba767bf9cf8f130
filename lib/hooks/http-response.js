'use strict';

// The response of a recorded node:http request: its head, and its body as the parser hands it to `push`, read by anybody or
// not. No flow is started, and what `push` returns goes back to the parser, which stops the socket by it.

const { now } = require('../clock.js');
const { pairLines, responseHead } = require('../wire-head.js');

/** @typedef {import('./http-requests.js').Exchange} Exchange */
/** @typedef {import('./http-target.js').Response} Response */

/**
 * @param {Response} response
 * @returns {string}
 */
function headOf({ statusCode, statusMessage, rawHeaders, httpVersion }) {
  return responseHead(/** @type {number} */ (statusCode), statusMessage, pairLines(rawHeaders), httpVersion);
}

/**
 * A response that nobody listens for, and one whose request was destroyed, is dumped: the parser asks `_dumped` and does not
 * push. Told that it may go on, it comes to our `push`, where what it would have dropped is dropped after a look. That
 * matters for more than oddities: follow-redirects (axios) destroys each redirected request while the rest of its answer,
 * most often the end that follows the head, is still being parsed.
 * @param {Response} response
 * @param {Exchange} exchange
 */
function watchBody(response, exchange) {
  const { push, _dump } = response;
  let dumped = false;
  define(response, 'push', function (/** @type {unknown} */ chunk) {
    onBody(this, exchange, chunk);
    return dumped && chunk !== null ? true : Reflect.apply(push, this, arguments);
  });
  define(response, '_dump', function () {
    const result = Reflect.apply(_dump, this, arguments);
    dumped = true;
    this._dumped = false;
    return result;
  });
}

/**
 * @param {object} object
 * @param {string} name
 * @param {(this: any, ...args: any[]) => unknown} value
 */
function define(object, name, value) {
  Object.defineProperty(object, name, { value, configurable: true, enumerable: false, writable: true });
}

/**
 * @param {Response} response
 * @param {Exchange} exchange
 * @param {unknown} chunk a view on the parser's buffer, or null for the end
 */
function onBody(response, exchange, chunk) {
  const t0 = now();
  if (chunk !== null) exchange.responseBody(/** @type {Uint8Array} */ (chunk), t0);
  // Where the connection was lost Node ends the stream as well.
  else if (response.complete) exchange.responseEnd(pairLines(response.rawTrailers), t0);
}

module.exports = { headOf, watchBody };
