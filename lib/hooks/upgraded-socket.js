'use strict';

// A connection after `101 Switching Protocols`, which is a WebSocket's as a rule: what either side sends, as it stands on the
// wire (below TLS), and when. The same as the proxy records: frames, the client's with their masks.
//
// Taps on this one socket: `push` gets what has arrived, whoever reads it and whenever; `write` and `end` get what is sent;
// `_destroy` is the one thing that happens to every socket in the end. No flow is started and no listener added.

const { now } = require('../clock.js');
const { CANCELLED } = require('./http-exchange.js');

/** @typedef {import('./types').Hub} Hub */
/** @typedef {import('./http-requests.js').Exchange} Exchange */

/**
 * @param {any} socket
 * @param {Exchange} exchange whose 101 has been told
 * @param {Uint8Array | undefined} head what has arrived with the 101; undefined: it lies in the socket
 * @param {Hub} hub
 * @param {string} hook
 */
function watchSocket(socket, exchange, head, hub, hook) {
  exchange.switchProtocols();
  for (const bytes of head === undefined ? unread(socket) : [head]) exchange.responseBody(bytes, now());
  /** @param {() => void} tell */
  const safely = (tell) => {
    try {
      tell();
    } catch (error) {
      hub.fault(hook, error);
    }
  };
  const { push, write, end, _destroy } = socket;
  /** Either side has said that it will send no more. Else the client has broken off. */
  let hasEnd = false;
  /** @param {any} stream @param {unknown} chunk @param {unknown} encoding */
  const onSent = (stream, chunk, encoding) => {
    const t0 = now();
    // What comes too late is an error to the caller, and is not sent.
    if (stream.destroyed || stream.writableEnded) return;
    safely(() => exchange.requestBody(chunk, encoding, t0));
  };
  const taps = {
    push(/** @type {unknown} */ chunk) {
      const t0 = now();
      if (chunk instanceof Uint8Array) safely(() => exchange.responseBody(chunk, t0));
      hasEnd ||= chunk === null;
      return Reflect.apply(push, this, arguments);
    },
    write(/** @type {unknown} */ chunk, /** @type {unknown} */ encoding) {
      onSent(this, chunk, encoding);
      return Reflect.apply(write, this, arguments);
    },
    end(/** @type {unknown} */ chunk, /** @type {unknown} */ encoding) {
      onSent(this, chunk, encoding);
      hasEnd = true;
      return Reflect.apply(end, this, arguments);
    },
    _destroy(/** @type {unknown} */ error) {
      const t0 = now();
      safely(() => finish(exchange, error || (hasEnd ? null : CANCELLED), t0));
      return Reflect.apply(_destroy, this, arguments);
    },
  };
  for (const [name, value] of Object.entries(taps)) {
    Object.defineProperty(socket, name, { value, configurable: true, enumerable: false, writable: true });
  }
}

/**
 * @param {Exchange} exchange
 * @param {unknown} error null: it has ended as it should; how a WebSocket was closed is said in its frames
 * @param {number} t0
 */
function finish(exchange, error, t0) {
  if (error !== null) {
    exchange.close(error, t0);
    return;
  }
  exchange.requestEnd(t0);
  exchange.responseEnd('', now());
}

/**
 * What nobody has read yet. It stays there.
 * @param {any} socket
 * @returns {Iterable<Uint8Array>}
 */
function unread({ _readableState: state }) {
  // A linked list up to Node 20, then an array of which the first ones may have been read.
  return Array.isArray(state.buffer) ? state.buffer.slice(state.bufferIndex ?? 0) : state.buffer;
}

module.exports = { watchSocket };
