'use strict';

// A global fetch that is not Node's own: Bun's, a polyfill, a native client. Node's own is undici's, which undici.js sees
// on the wire; it only gets the marker that keeps other recorders away.
// So the wrapper (fetch-wrap.js) is loaded only where it is needed.

/** @typedef {import('./types').Hub} Hub */

/** The name is claude-trace's, whose interceptor looks for it as well. */
const MARKER = '__claudeTraceInstrumented';

/** @type {Hub | null} */
let hub = null;
/** @type {() => void} */
let undo = () => {};

/**
 * @param {Function} candidate
 * @returns {boolean} told by its text: to call it, or to touch Response, would load undici (14 ms)
 */
function isNodesOwn(candidate) {
  return process.versions.bun === undefined && Function.prototype.toString.call(candidate).includes('internal/deps/undici/undici');
}

/** @param {Function} target */
function mark(target) {
  Object.defineProperty(target, MARKER, { value: true, configurable: true, enumerable: false, writable: true });
}

/**
 * @param {Hub} target
 * @returns {import('./types').Uninstall | false} false: another recorder has taken fetch, or there is none
 */
function install(target) {
  if (hub !== null) return uninstall;
  const descriptor = Object.getOwnPropertyDescriptor(globalThis, 'fetch');
  const original = /** @type {any} */ (globalThis.fetch);
  if (descriptor === undefined || typeof original !== 'function' || original[MARKER] === true) return false;
  if (isNodesOwn(original)) {
    mark(original);
    undo = () => { delete original[MARKER]; };
  } else {
    const { wrapper, stop } = require('./fetch-wrap.js').wrapFetch(target, original);
    mark(wrapper);
    Object.defineProperty(globalThis, 'fetch', { ...writable(descriptor), value: wrapper });
    undo = () => {
      if (Object.getOwnPropertyDescriptor(globalThis, 'fetch')?.value === wrapper) Object.defineProperty(globalThis, 'fetch', descriptor);
      stop();
    };
  }
  hub = target;
  return uninstall;
}

/**
 * @param {PropertyDescriptor} descriptor some environments define fetch by a getter
 * @returns {PropertyDescriptor}
 */
function writable({ configurable, enumerable }) {
  return { configurable, enumerable, writable: true };
}

function uninstall() {
  if (hub === null) return;
  hub = null;
  undo();
}

module.exports = { install };
