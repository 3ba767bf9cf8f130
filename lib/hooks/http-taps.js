'use strict';

// How the hooks get at prototypes of modules that they must not load: node:http costs 2.5 ms, node:http2 up to 6, and many
// programs need neither.

const { EventEmitter } = require('node:events');

/**
 * Whether this Node publishes both `http.client.request.created` and `http.client.stream.created`. That a channel exists
 * cannot be asked before its module is loaded. Never too early: 22.12 and 22.17 (24.2) have brought them; with an older
 * Node in doubt, `onFirst` does the same.
 */
const PUBLISHES_CREATION = isAtLeast(process.versions.node, { 22: 18, 24: 3 });

/**
 * @param {string} version
 * @param {Record<number, number>} minors the minor from which on, in the lines that began without; later lines have it
 */
function isAtLeast(version, minors) {
  const [major, minor] = version.split('.').map(Number);
  return major in minors ? minor >= minors[major] : major > Math.max(...Object.keys(minors).map(Number));
}

/**
 * @param {string} id of a builtin module, without `node:`
 * @returns {boolean} whether it is loaded, so that `require` costs nothing
 */
function isLoaded(id) {
  const { moduleLoadList } = /** @type {{ moduleLoadList?: string[] }} */ (/** @type {unknown} */ (process));
  return moduleLoadList?.includes(`NativeModule ${id}`) === true;
}

/**
 * Puts a method of ours before a prototype's own or inherited one.
 *
 * An inherited method is looked up at each call, so that whatever is put there later is called as without us.
 * @template {string} Name
 * @param {any} prototype
 * @param {Name} name
 * @param {(below: Record<Name, (...args: any[]) => any>) => (this: any, ...args: any[]) => any} wrap gets the object on
 *   which to find the original
 * @returns {() => void} takes it out again, unless somebody has wrapped it in turn
 */
function tap(prototype, name, wrap) {
  const own = Object.getOwnPropertyDescriptor(prototype, name);
  const below = own === undefined ? Object.getPrototypeOf(prototype) : { [name]: own.value };
  const value = wrap(below);
  Object.defineProperty(value, 'name', { value: name, configurable: true });
  Object.defineProperty(value, 'length', { value: below[name].length, configurable: true });
  // Enumerable as the original: a hidden one would take the inherited name out of `for … in`.
  const descriptor = own ?? { configurable: true, enumerable: isEnumerable(below, name), writable: true };
  Object.defineProperty(prototype, name, { ...descriptor, value });
  return () => {
    if (Object.getOwnPropertyDescriptor(prototype, name)?.value !== value) return;
    if (own === undefined) delete prototype[name];
    else Object.defineProperty(prototype, name, own);
  };
}

/**
 * @param {object | null} object
 * @param {string} name
 * @returns {boolean}
 */
function isEnumerable(object, name) {
  for (; object !== null; object = Object.getPrototypeOf(object)) {
    const descriptor = Object.getOwnPropertyDescriptor(object, name);
    if (descriptor !== undefined) return descriptor.enumerable === true;
  }
  return false;
}

/** @type {Map<string, (prototype: object) => boolean>} */
const awaited = new Map();
/** @type {(() => void) | null} */
let stopWatching = null;

/**
 * Calls back from within the constructor of the first emitter of a class, whoever loads it and how (CommonJS, ESM, Node
 * itself). Every emitter begins with `EventEmitter.init`, which is replaceable for the sake of node:domain; it costs about
 * 10 ns an emitter, until the class has been seen.
 * @param {string} className
 * @param {(prototype: object) => boolean} found gets what the constructor made an instance of; false: it was another class
 * @returns {() => void} stops waiting
 */
function onFirst(className, found) {
  awaited.set(className, found);
  stopWatching ??= tap(EventEmitter, 'init', (below) => function () {
    const result = Reflect.apply(below.init, this, arguments);
    if (awaited.size !== 0) look(this);
    return result;
  });
  return () => forget(className);
}

/** @param {object} emitter */
function look(emitter) {
  try {
    const prototype = Object.getPrototypeOf(emitter);
    const { name } = prototype.constructor;
    const found = awaited.get(name);
    if (found?.(prototype)) forget(name);
  } catch {
    // A host's class may be odd in every way; whatever comes of ours is reported by the callback.
  }
}

/** @param {string} className */
function forget(className) {
  awaited.delete(className);
  if (awaited.size !== 0) return;
  stopWatching?.();
  stopWatching = null;
}

module.exports = { PUBLISHES_CREATION, isLoaded, onFirst, tap };
