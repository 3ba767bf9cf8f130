'use strict';

// Exchanges of node:http2's client, by taps on the prototype of its streams:
//
//   _write, _writev   the request's body, as it goes to the session
//   push              the response's body as the session hands it over, read by anybody or not
//   emit              response ─ trailers ─ finish │ error ─ close
//
// Why `emit` is tapped instead of listened to: see http-requests.js.
//
// What is easily overlooked:
// - 'response' and 'trailers' are emitted a tick after their frames came, 'data' and the end at once: what comes early is
//   held back for that tick.
// - `push(null)` means END_STREAM only on a stream that is not closed: a reset, a lost session and `close()` push it too.
// - RST_STREAM with CANCEL, and one with NO_ERROR after a full response, are no 'error'.
// - A reset stream ends its writable side itself, so that 'finish' does not say that the program had sent everything; and
//   a stream whose answer was first closes with its last DATA frame, before 'finish'.
// - A stream that waits for a connection is cancelled for what befell that: ERR_HTTP2_STREAM_CANCEL has it as its cause.
// - Pushed streams are published as created as well.

const { now } = require('../clock.js');
const { SOURCE } = require('../kinds.js');
const { objectLines, pairLines, requestHead, responseHead } = require('../wire-head.js');
const { CANCELLED, beginExchange } = require('./http-exchange.js');
const { tap } = require('./http-taps.js');
const { isUndiciSession } = require('./undici-session.js');

/** @typedef {import('./types').Hub} Hub */
/** @typedef {NonNullable<ReturnType<typeof beginExchange>>} Exchange */
/** @typedef {import('node:http2').ClientHttp2Stream} Stream */

const HOOK = 'http2';

/** By number: RFC 9113, section 7, as node:http2 calls them. */
const ERROR_CODES = Object.freeze([
  'NGHTTP2_NO_ERROR', 'NGHTTP2_PROTOCOL_ERROR', 'NGHTTP2_INTERNAL_ERROR', 'NGHTTP2_FLOW_CONTROL_ERROR',
  'NGHTTP2_SETTINGS_TIMEOUT', 'NGHTTP2_STREAM_CLOSED', 'NGHTTP2_FRAME_SIZE_ERROR', 'NGHTTP2_REFUSED_STREAM',
  'NGHTTP2_CANCEL', 'NGHTTP2_COMPRESSION_ERROR', 'NGHTTP2_CONNECT_ERROR', 'NGHTTP2_ENHANCE_YOUR_CALM',
  'NGHTTP2_INADEQUATE_SECURITY', 'NGHTTP2_HTTP_1_1_REQUIRED',
]);

/** A stream that is being recorded. */
class Recording {
  /** @param {Exchange} exchange */
  constructor(exchange) {
    this.exchange = exchange;
    /** Data that came before 'response' was emitted. @type {Uint8Array[]} */
    this.early = [];
    this.trailers = '';
  }
}

/** @type {Hub | null} null: not installed */
let hub = null;
/** null: not recorded. @type {WeakMap<Stream, Recording | null>} */
let recordings = new WeakMap();
/** Take the taps out. @type {(() => void)[]} */
let undo = [];

/**
 * A stream has just been made.
 * @param {Stream} stream
 * @param {Hub} target
 */
function onStream(stream, target) {
  const t0 = now();
  if (recordings.has(stream)) return;
  try {
    hub = target;
    recordings.set(stream, null);
    // undici's own exchanges over HTTP/2 are recorded above this level, by undici.js.
    if (stream.session !== undefined && isUndiciSession(stream.session)) return;
    if (undo.length === 0) tapStreams(Object.getPrototypeOf(stream));
    const headers = stream.sentHeaders;
    // A pushed stream has sent none. CONNECT names no path: it makes a tunnel, not an exchange.
    const path = headers?.[':path'];
    if (path === undefined) return;
    const method = String(headers[':method']);
    const origin = `${headers[':scheme']}://${headers[':authority'] ?? headers.host}`;
    const head = requestHead(method, String(path), sentLines(headers), '2');
    const exchange = beginExchange(target, HOOK, SOURCE.HTTP2, { origin, path: String(path), method }, head, t0);
    if (exchange !== null) recordings.set(stream, new Recording(exchange));
  } catch (error) {
    target.fault(HOOK, error);
  }
}

/**
 * @param {Stream} stream
 * @param {unknown} chunk
 * @param {unknown} encoding
 */
function onWrite(stream, chunk, encoding) {
  const recording = recordings.get(stream);
  if (recording == null || stream.destroyed) return;
  const t0 = now();
  try {
    recording.exchange.requestBody(chunk, encoding, t0);
  } catch (error) {
    hub?.fault(HOOK, error);
  }
}

/**
 * Before the call, which turns the list into one of bare buffers.
 * @param {Stream} stream
 * @param {{ chunk: unknown, encoding: unknown }[]} chunks
 */
function onWritev(stream, chunks) {
  if (recordings.get(stream) == null) return;
  for (const { chunk, encoding } of chunks) onWrite(stream, chunk, encoding);
}

/**
 * @param {Stream} stream
 * @param {Uint8Array | null} chunk
 */
function onPush(stream, chunk) {
  const recording = recordings.get(stream);
  if (recording == null) return;
  const t0 = now();
  try {
    if (chunk === null) {
      // Trailers have come before, but are emitted in the next tick: after those, this.
      if (!stream.closed && !stream.destroyed) process.nextTick(onEndStream, recording);
    } else if (recording.exchange.answered) {
      recording.exchange.responseBody(chunk, t0);
    } else {
      recording.early.push(Buffer.from(chunk));
    }
  } catch (error) {
    hub?.fault(HOOK, error);
  }
}

/** @param {Recording} recording */
function onEndStream({ exchange, trailers }) {
  exchange.responseEnd(trailers, now());
}

/**
 * @param {Stream} stream
 * @param {string} event
 * @param {any} subject
 * @param {unknown} rawHeaders
 */
function onEvent(stream, event, subject, rawHeaders) {
  const recording = recordings.get(stream);
  if (recording == null) return;
  const t0 = now();
  try {
    const { exchange } = recording;
    switch (event) {
      case 'response':
        exchange.responseHead(responseHead(subject[':status'], '', linesOf(subject, rawHeaders), '2'), t0);
        for (const chunk of recording.early.splice(0)) exchange.responseBody(chunk, now());
        break;
      case 'trailers':
        recording.trailers = linesOf(subject, rawHeaders);
        break;
      case 'finish':
        if (!stream.aborted) exchange.requestEnd(t0);
        break;
      case 'error':
        exchange.close(errorOf(subject), t0);
        break;
      case 'close':
        onClose(stream, exchange, t0);
        break;
    }
  } catch (error) {
    hub?.fault(HOOK, error);
  }
}

/**
 * @param {Record<string, unknown>} headers as the program wrote them
 * @returns {string}
 */
function sentLines(headers) {
  const pairs = [];
  for (const name of Object.keys(headers)) {
    if (name.charCodeAt(0) !== 58 /* : */ && headers[name] !== undefined) pairs.push(name.toLowerCase(), headers[name]);
  }
  return pairLines(pairs);
}

/**
 * @param {Record<string, unknown>} headers
 * @param {unknown} rawHeaders the same as they came: in order, repeated ones apart
 * @returns {string}
 */
function linesOf(headers, rawHeaders) {
  if (!Array.isArray(rawHeaders)) return objectLines(headers);
  let first = 0;
  while (first < rawHeaders.length && rawHeaders[first].charCodeAt(0) === 58 /* : */) first += 2;
  return pairLines(first === 0 ? rawHeaders : rawHeaders.slice(first));
}

/**
 * @param {Stream} stream
 * @param {Exchange} exchange
 * @param {number} t0
 */
function onClose(stream, exchange, t0) {
  if (!exchange.open) return;
  if (exchange.complete && stream.rstCode === 0 && stream.writableEnded && !stream.aborted) exchange.requestEnd(t0);
  exchange.close(reasonOf(stream), now());
}

/**
 * @param {unknown} error
 * @returns {unknown}
 */
function errorOf(error) {
  const { code, cause } = /** @type {{ code?: unknown, cause?: unknown }} */ (error ?? {});
  return code === 'ERR_HTTP2_STREAM_CANCEL' && cause ? cause : error;
}

/**
 * Why a stream closed without an 'error'.
 * @param {Stream} stream
 * @returns {string}
 */
function reasonOf({ rstCode }) {
  if (rstCode === undefined || rstCode === 0) return CANCELLED; // `close()`, `destroy()`, or those of the session
  const name = ERROR_CODES[rstCode] ?? `NGHTTP2_${rstCode}`;
  return `${name}\nstream closed with error code ${name}`;
}

/** @param {object} prototype of all client streams */
function tapStreams(prototype) {
  undo.push(
    tap(prototype, '_write', (below) => function (chunk, encoding) {
      onWrite(this, chunk, encoding);
      return Reflect.apply(below._write, this, arguments);
    }),
    tap(prototype, '_writev', (below) => function (chunks) {
      onWritev(this, chunks);
      return Reflect.apply(below._writev, this, arguments);
    }),
    tap(prototype, 'push', (below) => function (chunk) {
      onPush(this, chunk);
      return Reflect.apply(below.push, this, arguments);
    }),
    tap(prototype, 'emit', (below) => function (event, subject, flags, rawHeaders) {
      if (event !== 'data') onEvent(this, event, subject, rawHeaders);
      return Reflect.apply(below.emit, this, arguments);
    }),
  );
}

function untapStreams() {
  hub = null;
  recordings = new WeakMap();
  for (const step of undo.splice(0)) step();
}

module.exports = { onStream, untapStreams };
