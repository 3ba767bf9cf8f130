'use strict';

// Exchanges of every undici in the process: the one behind Node's fetch and each copy from npm publish on the same
// channels. Nothing of undici is loaded or wrapped for it, save the taps of undici-taps.js where channels are missing.
//
//   create ─ sendHeaders ─ bodyChunkSent* ─ bodySent ─ headers ─ bodyChunkReceived* ─┬─ trailers
//      └──── at any point ───────────────────────────────────────────────────────────┴─ error
//
// What is easily overlooked:
// - A redirect or a retry by RetryAgent is a new request. A request that lost its connection before an answer is sent
//   again by undici itself (pipelining, GOAWAY): the same object, a second sendHeaders.
// - HTTP/2 before undici 7.29 has no sendHeaders; a request that fails in the queue has none either.
// - The body of a fetch comes from a generator, so that its head is written with the first byte, after sendHeaders.
// - 1xx answers come through `headers` as well. An upgrade ends in a method call, on no channel before 6.29; its socket
//   goes on, see upgraded-socket.js.
// - `error` may come twice, and `bodySent` after `trailers` where the server answers early.
// - A subscriber that throws ends the host by `uncaughtException`.

const diagnostics = require('node:diagnostics_channel');
const { now } = require('../clock.js');
const { KIND, SOURCE } = require('../kinds.js');
const { errorText } = require('../wire-head.js');
const heads = require('./undici-heads.js');
const { Copy } = require('./undici-taps.js');

/** @typedef {import('./types').Hub} Hub */
/** @typedef {import('./types').Recorder} Recorder */
/** @typedef {import('./undici-heads.js').UndiciRequest} UndiciRequest */
/** @typedef {InstanceType<typeof Copy>} CopyTaps */

/** A request that is being recorded, from `create` to its end. */
class Recording {
  /**
   * @param {Recorder} recorder
   * @param {string} origin
   * @param {CopyTaps} copy
   * @param {number} asked when the request was made
   */
  constructor(recorder, origin, copy, asked) {
    this.recorder = recorder;
    this.origin = origin;
    this.copy = copy;
    this.asked = asked;
    /** What `create` has cost, to be counted with the begin. */
    this.spent = 0;
    /** 0 until the request is known to be on the wire, or to have failed. */
    this.id = 0;
    /** The wire head, held back from sendHeaders to the first byte of a body of unknown length; else ''. */
    this.head = '';
    this.version = '1.1';
  }
}

/** @type {Hub | null} */
let hub = null;
/** @type {WeakMap<object, Recording>} */
let recordings = new WeakMap();
/** By prototype of the request: undici copies that a test runner reloads must be free to go. @type {WeakMap<object, CopyTaps>} */
let copies = new WeakMap();
/** The same copies, for uninstall. @type {Set<WeakRef<CopyTaps>>} */
const tapped = new Set();
/** The one that published last: nearly always the next one too. @type {CopyTaps | null} */
let lastCopy = null;
/** What loading this has cost, to be counted with the first recording: milliseconds. */
let loading = 0;

/**
 * The request's begin, as late as undici allows to know its whole head.
 * @param {UndiciRequest} request
 * @param {Recording} recording
 * @param {string} head
 * @param {number} t0
 * @param {number} [bodyLength] announced in a header that is not in `head`
 * @returns {boolean} whether it is recorded
 */
function begin(request, recording, head, t0, bodyLength = heads.NO_BODY) {
  recording.head = '';
  recording.id = recording.recorder.begin(SOURCE.UNDICI, recording.origin, head, t0 - recording.spent, recording.asked, bodyLength);
  recording.spent = 0;
  if (recording.id !== 0) return true;
  recordings.delete(request);
  return false;
}

/**
 * For the events that may come first: begins with the best head there is.
 * @param {UndiciRequest} request
 * @param {Recording} recording
 * @param {string} framing of a body whose length nobody announced
 * @param {boolean} isSent false: nothing may have reached the wire
 * @param {number} t0
 * @returns {boolean}
 */
function ensureBegun(request, recording, framing, isSent, t0) {
  if (recording.id !== 0) return true;
  if (recording.head !== '') return begin(request, recording, recording.head + framing, t0);
  // On the wire without a sendHeaders: that is HTTP/2 before undici 7.29.
  if (isSent) recording.version = '2';
  return begin(request, recording, heads.plannedHead(request, recording.version), t0);
}

/**
 * @param {UndiciRequest} request
 * @param {Recording} recording
 * @param {number} kind
 * @param {string} text
 * @param {number} t0
 */
function finish(request, recording, kind, text, t0) {
  recordings.delete(request);
  recording.recorder.mark(recording.id, kind, text, t0);
}

/** @param {{ request: UndiciRequest }} message */
function onCreate({ request }) {
  const t0 = now();
  if (hub === null) return;
  try {
    const { method } = request;
    if (method === 'CONNECT') return; // the tunnel of a proxy, not an exchange
    let origin = typeof request.origin === 'string' ? request.origin : request.origin.origin;
    let { path } = request;
    if (path.charCodeAt(0) !== 47 /* / */) {
      // A plain-text proxy is asked for the whole URL: that is whom the client talks to.
      const url = new URL(path);
      origin = url.origin;
      path = url.pathname + url.search;
    }
    let recorder = hub.match(origin, path, method);
    if (recorder === null && request.host && !origin.endsWith(`//${request.host}`)) {
      // undici's dns interceptor dials an address; whom the client talks to stands in the host header.
      origin = `${origin.slice(0, origin.indexOf('//'))}//${request.host}`;
      recorder = hub.match(origin, path, method);
    }
    if (recorder === null) return;
    const recording = new Recording(recorder, origin, copyOf(request), t0);
    recordings.set(request, recording);
    recorder.prepare(); // what begin needs can start while undici connects
    // Here and not at begin: that may run in the async context of whichever request freed the connection.
    hub.onWire?.();
    recording.spent = now() - t0 + loading;
    loading = 0;
  } catch (error) {
    hub.fault('undici', error);
  }
}

/**
 * @param {UndiciRequest} request
 * @returns {CopyTaps}
 */
function copyOf(request) {
  const prototype = Object.getPrototypeOf(request);
  let copy = lastCopy !== null && lastCopy.prototype === prototype ? lastCopy : copies.get(prototype);
  if (copy === undefined) {
    copy = new Copy(prototype, { sent: recordSent, received: recordReceived, upgraded: onUpgrade });
    copies.set(prototype, copy);
    tapped.add(new WeakRef(copy));
  }
  lastCopy = copy;
  if (request.upgrade) copy.watchUpgrades();
  return copy;
}

/** @param {{ request: UndiciRequest, headers: string }} message */
function onSendHeaders({ request, headers }) {
  let t0 = now();
  const recording = recordings.get(request);
  if (recording === undefined) return;
  try {
    if (recording.id !== 0) {
      const why = 'UND_ERR_SOCKET\nthe connection was lost before an answer; undici sends the request again';
      recording.recorder.mark(recording.id, KIND.ERROR, why, t0);
      recording.id = 0;
      t0 = now();
      recording.asked = t0;
    }
    if (!heads.isHttp1(request, headers)) {
      recording.version = '2';
      begin(request, recording, heads.http2Head(request, headers), t0);
      return;
    }
    const bodyLength = heads.framing(request);
    if (bodyLength === null) recording.head = headers;
    else begin(request, recording, headers, t0, bodyLength);
  } catch (error) {
    hub?.fault('undici', error);
  }
}

/** @param {{ request: UndiciRequest, chunk: Uint8Array | string }} message */
function onBodyChunkSent({ request, chunk }) {
  const t0 = now();
  const recording = recordings.get(request);
  if (recording === undefined) return;
  if (recording.copy.sent === null || !recording.copy.retireSent(chunk)) pushSent(request, recording, chunk, t0);
}

/** @type {import('./undici-taps.js').Observer} */
function recordSent(request, chunk) {
  const t0 = now();
  const recording = recordings.get(request);
  if (recording !== undefined) pushSent(request, recording, chunk, t0);
}

/**
 * @param {UndiciRequest} request
 * @param {Recording} recording
 * @param {Uint8Array | string} chunk text where the body is a stream of strings
 * @param {number} t0
 */
function pushSent(request, recording, chunk, t0) {
  try {
    if (recording.id === 0) {
      if (!ensureBegun(request, recording, heads.streamFraming(request, true), true, t0)) return;
      t0 = now();
    }
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    recording.recorder.chunk(recording.id, KIND.REQUEST_BODY, bytes, t0);
  } catch (error) {
    hub?.fault('undici', error);
  }
}

/** @param {{ request: UndiciRequest }} message */
function onBodySent({ request }) {
  let t0 = now();
  const recording = recordings.get(request);
  if (recording === undefined) return;
  try {
    if (recording.id === 0) {
      if (!ensureBegun(request, recording, heads.streamFraming(request, false), true, t0)) return;
      t0 = now();
    }
    recording.recorder.mark(recording.id, KIND.REQUEST_END, '', t0);
  } catch (error) {
    hub?.fault('undici', error);
  }
}

/** @param {{ request: UndiciRequest, response: import('./undici-heads.js').UndiciResponse }} message */
function onHeaders({ request, response }) {
  let t0 = now();
  const recording = recordings.get(request);
  if (recording === undefined) return;
  try {
    if (recording.id === 0) {
      if (!ensureBegun(request, recording, '', true, t0)) return;
      t0 = now();
    }
    if (response.statusCode < 200 && response.statusCode !== 101) return; // the answer is still to come
    const { recorder, id, version } = recording;
    const length = version === '1.1' ? heads.blockLength(response.headers) : 0;
    if (length > 0) {
      const { buffer, byteOffset } = /** @type {Buffer[]} */ (response.headers)[0];
      recorder.responseHead(id, response.statusCode, response.statusText ?? '', buffer, byteOffset, length, t0);
    } else {
      recorder.mark(id, KIND.RESPONSE_HEAD, heads.receivedHead(response, version), t0);
    }
  } catch (error) {
    hub?.fault('undici', error);
  }
}

/** @param {{ request: UndiciRequest, chunk: Uint8Array }} message */
function onBodyChunkReceived({ request, chunk }) {
  const t0 = now();
  const recording = recordings.get(request);
  if (recording === undefined) return;
  if (recording.copy.received === null || !recording.copy.retireReceived(chunk)) pushReceived(recording, chunk, t0);
}

/** @type {import('./undici-taps.js').Observer} */
function recordReceived(request, chunk) {
  const t0 = now();
  const recording = recordings.get(request);
  if (recording !== undefined) pushReceived(recording, chunk, t0);
}

/**
 * @param {Recording} recording
 * @param {Uint8Array} chunk
 * @param {number} t0
 */
function pushReceived(recording, chunk, t0) {
  try {
    recording.recorder.chunk(recording.id, KIND.RESPONSE_BODY, chunk, t0);
  } catch (error) {
    hub?.fault('undici', error);
  }
}

/**
 * The method's call is the only sign. HTTP/2 may call it before the answer, without a status: 6.29 publishes that later.
 * @type {import('./undici-taps.js').Observer}
 */
function onUpgrade(request, statusCode, headers, socket) {
  if (statusCode === null) return;
  onHeaders({ request, response: { statusCode: Number(statusCode), statusText: '', headers } });
  const recording = recordings.get(request);
  if (recording === undefined || hub === null) return;
  recordings.delete(request);
  try {
    const { Exchange } = require('./http-exchange.js');
    const exchange = new Exchange(hub, 'undici', recording.recorder, recording.id);
    require('./upgraded-socket.js').watchSocket(socket, exchange, undefined, hub, 'undici');
  } catch (error) {
    hub.fault('undici', error);
  }
}

/** @param {{ request: UndiciRequest, trailers: Buffer[] | Record<string, unknown> | null }} message */
function onTrailers({ request, trailers }) {
  const t0 = now();
  const recording = recordings.get(request);
  if (recording === undefined) return;
  try {
    finish(request, recording, KIND.RESPONSE_END, heads.headerLines(trailers), t0);
  } catch (error) {
    hub?.fault('undici', error);
  }
}

/** @param {{ request: UndiciRequest, error: unknown }} message */
function onError({ request, error }) {
  let t0 = now();
  const recording = recordings.get(request);
  if (recording === undefined) return;
  try {
    if (recording.id === 0) {
      if (!ensureBegun(request, recording, '', false, t0)) return;
      t0 = now();
    }
    finish(request, recording, KIND.ERROR, errorText(error), t0);
  } catch (fault) {
    hub?.fault('undici', fault);
  }
}

/** @type {[string, (message: any) => void][]} */
const SUBSCRIPTIONS = [
  ['undici:request:create', onCreate],
  ['undici:client:sendHeaders', onSendHeaders],
  ['undici:request:bodyChunkSent', onBodyChunkSent],
  ['undici:request:bodySent', onBodySent],
  ['undici:request:headers', onHeaders],
  ['undici:request:bodyChunkReceived', onBodyChunkReceived],
  ['undici:request:trailers', onTrailers],
  ['undici:request:error', onError],
];

/** A channel that nobody holds may be collected with its subscribers: nodejs/node#42170. @type {unknown[]} */
let channels = [];

/**
 * @param {Hub} target
 * @param {number} spent on loading this, milliseconds
 * @returns {import('./types').Uninstall}
 */
function watch(target, spent) {
  hub = target;
  loading = spent;
  for (const [name, subscriber] of SUBSCRIPTIONS) {
    channels.push(diagnostics.channel(name));
    diagnostics.subscribe(name, subscriber);
  }
  return stop;
}

function stop() {
  for (const [name, subscriber] of SUBSCRIPTIONS) diagnostics.unsubscribe(name, subscriber);
  for (const copy of tapped) copy.deref()?.remove();
  tapped.clear();
  lastCopy = null;
  channels = [];
  copies = new WeakMap();
  recordings = new WeakMap();
  hub = null;
}

module.exports = { onCreate, watch };
