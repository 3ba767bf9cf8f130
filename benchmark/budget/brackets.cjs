'use strict';

// The time of the undici hooks, taken from outside: one subscriber before ours and one behind it on every channel, and one
// wrapper inside and one outside of the taps where undici has no channel for chunks. Knows nothing of what stands between.

const diagnostics = require('node:diagnostics_channel');

const now = performance.now.bind(performance);
const RESPONSE_CHUNK = 'undici:request:bodyChunkReceived';
const CHANNELS = Object.freeze([
  'undici:request:create', 'undici:client:sendHeaders', 'undici:request:bodyChunkSent', 'undici:request:bodySent',
  'undici:request:headers', RESPONSE_CHUNK, 'undici:request:trailers', 'undici:request:error',
]);
/** The first undici that publishes chunks. */
const [MAJOR, MINOR] = String(process.versions.undici).split('.').map(Number);
const HAS_CHUNK_CHANNELS = MAJOR > 7 || (MAJOR === 7 && MINOR >= 11);

let opened = 0;
/** Of the requests that have not ended. @type {WeakMap<object, { ms: number }>} */
const open = new WeakMap();
/** @type {number[]} */
const requestMs = [];
/** @type {number[]} */
const chunkMs = [];
/** A channel that nobody holds may be collected. @type {unknown[]} */
const held = [];

/** Opens the brackets: to be called before the recorder is there. */
function openBrackets() {
  for (const name of CHANNELS) {
    held.push(diagnostics.channel(name));
    diagnostics.subscribe(name, () => {
      opened = now();
    });
  }
  if (!HAS_CHUNK_CHANNELS) onFirstRequest(wrapInside);
}

/** Closes them: to be called when the recorder has subscribed to all that it wants, so after its first request. */
function closeBrackets() {
  for (const name of CHANNELS) {
    diagnostics.subscribe(name, (message) => {
      const ms = now() - opened;
      const { request } = /** @type {{ request: object }} */ (message);
      if (name === RESPONSE_CHUNK) chunkMs.push(ms);
      else spend(request, ms);
      if (name === 'undici:request:trailers') end(request);
    });
  }
  if (!HAS_CHUNK_CHANNELS) onFirstRequest(wrapOutside);
}

/** @param {object} request @param {number} ms */
function spend(request, ms) {
  const sum = open.get(request);
  if (sum === undefined) open.set(request, { ms });
  else sum.ms += ms;
}

/** @param {object} request */
function end(request) {
  const sum = open.get(request);
  if (sum !== undefined) requestMs.push(sum.ms);
  open.delete(request);
}

/** @param {(prototype: any) => void} wrap */
function onFirstRequest(wrap) {
  const name = CHANNELS[0];
  const once = (/** @type {any} */ { request }) => {
    diagnostics.unsubscribe(name, once);
    wrap(Object.getPrototypeOf(request));
  };
  diagnostics.subscribe(name, once);
}

const METHODS = /** @type {const} */ (['onData', 'onBodySent']);
/** What the wrapped method has taken of the call that goes on. */
let inside = 0;

/** @param {any} prototype whose taps are not there yet */
function wrapInside(prototype) {
  for (const name of METHODS) {
    const method = prototype[name];
    prototype[name] = function () {
      const at = now();
      const result = method.apply(this, arguments);
      inside = now() - at;
      return result;
    };
  }
}

/** @param {any} prototype whose taps are there */
function wrapOutside(prototype) {
  for (const name of METHODS) {
    const method = prototype[name];
    prototype[name] = function () {
      const at = now();
      const result = method.apply(this, arguments);
      const ms = now() - at - inside;
      if (name === 'onData') chunkMs.push(ms);
      else spend(this, ms);
      return result;
    };
  }
}

module.exports = { chunkMs, closeBrackets, openBrackets, requestMs };
