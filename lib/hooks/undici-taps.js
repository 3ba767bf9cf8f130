'use strict';

// Body chunks of undici copies whose `bodyChunkSent` and `bodyChunkReceived` channels do not exist (all before 7.11).
//
// The channels are global by name: that they exist says nothing about the copy that a request comes from (an npm undici 6
// on Node 24). So every copy's prototype is tapped when its first recorded request is created, and a tap is taken out
// again for good when the channel speaks of the very chunk that is passing through it. No chunk is recorded twice or
// missed on the way, and from then on the newer undici runs as if we had never touched it.

/**
 * Must not throw. Gets the method's `this` and its first three arguments.
 * @typedef {(request: any, first: any, second: any, third: any) => void} Observer
 */

/** A method on the prototype of one undici copy's requests that shows its arguments to an observer first. */
class Tap {
  /**
   * @param {object} prototype
   * @param {string} name
   * @param {Observer} observe
   */
  constructor(prototype, name, observe) {
    const descriptor = /** @type {PropertyDescriptor} */ (Object.getOwnPropertyDescriptor(prototype, name));
    const method = descriptor.value;
    const tap = this;
    this.prototype = prototype;
    this.name = name;
    this.descriptor = descriptor;
    /** The chunk on its way through the method, null between calls. @type {unknown} */
    this.passing = null;
    /** False once the tap only forwards: somebody wrapped it in turn, so that it could not be taken out. */
    this.active = true;

    // The result goes back as it is: a lost `false` of onData breaks back-pressure.
    /** @type {(this: object, ...args: any[]) => unknown} */
    this.wrapper = function (chunk, second, third) {
      if (!tap.active) return method.apply(this, arguments);
      observe(this, chunk, second, third);
      tap.passing = chunk;
      const result = method.apply(this, arguments);
      tap.passing = null;
      return result;
    };
    for (const key of ['name', 'length']) {
      Object.defineProperty(this.wrapper, key, { value: method[key], configurable: true });
    }
    Object.defineProperty(prototype, name, { ...descriptor, value: this.wrapper });
  }

  remove() {
    this.active = false;
    if (Object.getOwnPropertyDescriptor(this.prototype, this.name)?.value === this.wrapper) {
      Object.defineProperty(this.prototype, this.name, this.descriptor);
    }
  }
}

/**
 * @param {object} prototype
 * @param {readonly string[]} names of the method in the ages of undici
 * @param {Observer} observe
 * @returns {Tap | null} null where the copy has no such method: then its channels are all there is
 */
function tap(prototype, names, observe) {
  for (const name of names) {
    if (typeof Object.getOwnPropertyDescriptor(prototype, name)?.value === 'function') {
      return new Tap(prototype, name, observe);
    }
  }
  return null;
}

/** The taps of one undici copy. `sent` and `received` are null where the copy's own channel is heard. */
class Copy {
  /**
   * @param {object} prototype
   * @param {{ sent: Observer, received: Observer, upgraded: Observer }} observers
   */
  constructor(prototype, observers) {
    this.prototype = prototype;
    this.observers = observers;
    this.sent = tap(prototype, ['onBodySent'], observers.sent);
    this.received = tap(prototype, ['onData', 'onResponseData'], observers.received);
    /** @type {Tap | null} */
    this.upgraded = null;
  }

  /** For the first request that asks for an upgrade; no channel tells of its success. */
  watchUpgrades() {
    this.upgraded ??= tap(this.prototype, ['onUpgrade', 'onRequestUpgrade'], this.observers.upgraded);
  }

  /**
   * The copy's bodyChunkSent channel spoke while `sent` was in place.
   * @param {unknown} chunk
   * @returns {boolean} whether the tap has recorded this chunk already
   */
  retireSent(chunk) {
    const seen = this.sent?.passing === chunk;
    this.sent?.remove();
    this.sent = null;
    return seen;
  }

  /**
   * The same for bodyChunkReceived and `received`.
   * @param {unknown} chunk
   * @returns {boolean}
   */
  retireReceived(chunk) {
    const seen = this.received?.passing === chunk;
    this.received?.remove();
    this.received = null;
    return seen;
  }

  remove() {
    this.sent?.remove();
    this.received?.remove();
    this.upgraded?.remove();
  }
}

module.exports = { Copy };
