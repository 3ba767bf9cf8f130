'use strict';

// Exchanges of node:http and node:https, by taps on `http.ClientRequest.prototype`, so that `http.request` and its
// arguments are left alone and requests made in any other way are seen too:
//
//   write, end, flushHeaders   the head as rendered, the request's body
//   emit                       finish ─ response │ upgrade │ connect ─ error ─ close
//   destroy                    the program's own ending, which Node reports as a reset or not at all
//   onSocket                   heads that go out before any of these (`Expect: 100-continue`)
//
// and on each recorded response, see http-response.js.
//
// Events are seen in `emit` and not by listeners: those are counted, listed and removed by programs, and one for
// 'response', 'upgrade' or 'error' changes what Node does.
//
// What is easily overlooked:
// - `end(data)` does not call `write`; a wrapper of the program's may. Whoever is nearest to the wire is recorded.
// - Headers given as an array are rendered by the constructor, but sent with the first write only.
// - A 101 or the answer to CONNECT is no 'response', and is on no channel. After a 101 the socket goes on, see
//   upgraded-socket.js.
// - Where the program ends an exchange itself, Node either says nothing ('close' alone) or ECONNRESET.

const { now } = require('../clock.js');
const { SOURCE } = require('../kinds.js');
const { CANCELLED, beginExchange } = require('./http-exchange.js');
const { headOf, watchBody } = require('./http-response.js');
const { tap } = require('./http-taps.js');
const { targetOf } = require('./http-target.js');

/** @typedef {import('./types').Hub} Hub */
/** @typedef {NonNullable<ReturnType<typeof beginExchange>>} Exchange */
/** @typedef {import('./http-target.js').Request} Request */
/** @typedef {import('./http-target.js').Response} Response */

const HOOK = 'http';
/** A head that Node sends at once. */
const EXPECTS = /\r\nexpect:/i;

/** @type {Hub | null} null: not installed; taps that could not be taken out only forward */
let hub = null;
/** Called for each request of node:https. */
let onSecure = () => {};
/** null: not recorded. Before its head is rendered a request has no entry. @type {WeakMap<Request, Exchange | null>} */
let exchanges = new WeakMap();

/**
 * How many pieces of the body were recorded before a call, or -1 when the call can send nothing.
 * @param {Request} request
 * @returns {number}
 */
function sentPieces(request) {
  if (hub === null) return -1;
  try {
    if (request.finished || request.destroyed) return -1;
    const exchange = exchanges.get(request);
    if (exchange === undefined && request._headerSent && !EXPECTS.test(String(request._header))) {
      exchanges.set(request, null); // begun before we came, so that its record could not be whole
    }
    return exchange?.pieces ?? 0;
  } catch {
    return -1; // not a request: the host's own call will say so
  }
}

/**
 * After a call that may have rendered the head or sent a piece of the body.
 * @param {Request} request
 * @param {number} pieces before the call
 * @param {unknown} chunk
 * @param {unknown} encoding
 */
function onSent(request, pieces, chunk, encoding) {
  if (pieces === -1) return;
  let t0 = now();
  try {
    let exchange = exchanges.get(request);
    if (exchange === undefined) {
      exchange = begin(request, t0);
      t0 = now();
    }
    // A piece that came on the way: `end` of a wrapper below us called `write`, which has recorded what it got.
    if (exchange?.pieces === pieces) exchange.requestBody(chunk, encoding, t0);
  } catch (error) {
    hub?.fault(HOOK, error);
  }
}

/**
 * @param {Request} request
 * @param {number} t0
 * @returns {Exchange | null | undefined} undefined: there is no head yet
 */
function begin(request, t0) {
  const head = request._header;
  if (hub === null || typeof head !== 'string') return undefined;
  exchanges.set(request, null);
  if (request.protocol === 'https:') onSecure();
  const exchange = beginExchange(hub, HOOK, SOURCE.HTTP, targetOf(request, head), head, t0);
  if (exchange !== null) exchanges.set(request, exchange);
  return exchange;
}

/**
 * A head may have been sent by the constructor.
 * @param {Request} request
 */
function onConnecting(request) {
  const t0 = now();
  try {
    if (request._headerSent && !exchanges.has(request)) begin(request, t0);
  } catch (error) {
    hub?.fault(HOOK, error);
  }
}

/**
 * @param {Request} request
 * @param {string} event
 * @param {any} subject
 * @param {any} socket of an upgrade
 * @param {any} head what has arrived with it
 */
function onEvent(request, event, subject, socket, head) {
  const exchange = exchanges.get(request);
  if (exchange == null || !exchange.open) return;
  const t0 = now();
  try {
    switch (event) {
      case 'finish':
        exchange.requestEnd(t0);
        break;
      case 'response':
        exchange.responseHead(headOf(subject), t0);
        watchBody(subject, exchange);
        break;
      case 'upgrade':
        exchanges.set(request, null); // what becomes of the request says no more
        exchange.responseHead(headOf(subject), t0);
        require('./upgraded-socket.js').watchSocket(socket, exchange, head, /** @type {Hub} */ (hub), HOOK);
        break;
      case 'connect':
        onUpgrade(exchange, subject, t0);
        break;
      case 'error':
        exchange.close(subject, t0);
        break;
      case 'close':
        onClose(exchange, request.res, t0);
        break;
    }
  } catch (error) {
    hub?.fault(HOOK, error);
  }
}

/**
 * HTTP ends here, another protocol begins on the same socket.
 * @param {Exchange} exchange
 * @param {Response} response
 * @param {number} t0
 */
function onUpgrade(exchange, response, t0) {
  exchange.responseHead(headOf(response), t0);
  exchange.responseEnd('', now());
}

/**
 * The one event that never fails to come.
 * @param {Exchange} exchange
 * @param {Response | null} response
 * @param {number} t0
 */
function onClose(exchange, response, t0) {
  if (!exchange.answered && response?.upgrade) {
    onUpgrade(exchange, response, t0); // nobody listened: Node has closed the socket
    t0 = now();
  }
  // A response that was cut off is destroyed with an error by Node, and by the program with or without one.
  const error = response === null ? 'ECONNRESET\nclosed before an answer' : (response.errored ?? CANCELLED);
  exchange.close(exchange.reason ?? error, t0);
}

/**
 * @param {Request} request
 * @param {unknown} error
 */
function onDestroy(request, error) {
  const t0 = now();
  try {
    const exchange = exchanges.get(request);
    if (exchange == null) return;
    // The parser may be in the middle of the response: 'close' comes after the last byte that has arrived.
    if (exchange.answered) exchange.reason ??= error ?? CANCELLED;
    else exchange.close(error ?? CANCELLED, t0);
  } catch (fault) {
    hub?.fault(HOOK, fault);
  }
}

/**
 * @param {object} prototype `http.ClientRequest.prototype`
 * @param {Hub} target
 * @param {() => void} secure called for each request of node:https
 * @returns {() => void} takes the taps out
 */
function tapRequests(prototype, target, secure) {
  hub = target;
  onSecure = secure;
  const undo = [
    tap(prototype, 'write', (below) => function (chunk, encoding) {
      const pieces = sentPieces(this);
      const result = Reflect.apply(below.write, this, arguments);
      onSent(this, pieces, chunk, encoding);
      return result;
    }),
    tap(prototype, 'end', (below) => function (chunk, encoding) {
      const pieces = sentPieces(this);
      const result = Reflect.apply(below.end, this, arguments);
      onSent(this, pieces, chunk, encoding);
      return result;
    }),
    tap(prototype, 'flushHeaders', (below) => function () {
      const pieces = sentPieces(this);
      const result = Reflect.apply(below.flushHeaders, this, arguments);
      onSent(this, pieces, null, null);
      return result;
    }),
    tap(prototype, 'destroy', (below) => function (error) {
      // The second call does nothing, and Node itself makes none.
      const first = this?.destroyed === false;
      const result = Reflect.apply(below.destroy, this, arguments);
      if (first) onDestroy(this, error);
      return result;
    }),
    tap(prototype, 'emit', (below) => function (event, subject) {
      // First, as a listener may end the exchange in its turn.
      onEvent(this, event, subject, arguments[2], arguments[3]);
      return Reflect.apply(below.emit, this, arguments);
    }),
    tap(prototype, 'onSocket', (below) => function () {
      const result = Reflect.apply(below.onSocket, this, arguments);
      onConnecting(this);
      return result;
    }),
  ];
  return () => {
    hub = null;
    exchanges = new WeakMap();
    for (const step of undo) step();
  };
}

module.exports = { onConnecting, tapRequests };
