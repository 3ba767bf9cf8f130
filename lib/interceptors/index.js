'use strict';

// The interceptors of one logger. The addon tells when there is something to do; what is there is taken in one go, given to
// the handlers, and answered. Handlers run on this thread when its loop comes to it, never within a request: the client
// has its bytes already. Loaded by the first `use`.
//
// Nothing here may throw into the host: the addon's call comes from the loop itself.

const { notAllowed } = require('../config-errors.js');
const { perEvent } = require('./legacy.js');
const { checked } = require('./options.js');
const { Runner } = require('./run.js');
const { now } = require('../clock.js');

/** Deliveries that are served before the loop goes on. */
const IN_A_ROW = 32;

/** A promise is waited for a bit less long than the record waits, so that those behind it have their turn. */
const PATIENCE = 0.8;

/** Whoever waits looks that often whether there is nothing to wait for any more. */
const LOOK_MS = 20;

/**
 * @typedef {import('../native.js').Native} Native
 * @typedef {import('../native.js').NativeAnswer} Answer
 */

/** Before there is a recorder, and after it. */
const NOBODY = Object.freeze({
  intercept: () => 0,
  unintercept() {},
  take: () => [],
  awaitDelivery: () => false,
  watched: () => 0,
  answer() {},
  endOpen() {},
});

class Interceptors {
  /** @type {Pick<Native, keyof typeof NOBODY>} */
  #native = NOBODY;
  #handle = 0;
  /** @type {Set<{ one: import('./options.js').Checked, number: number }>} in the order in which they came; 0: not told to the addon yet */
  #all = new Set();
  #timeoutMs;
  #debug;
  #runner;
  #serial = 0;
  /** @type {Map<number, number>} deliveries that wait for a promise, and until when their answers count */
  #unanswered = new Map();
  /** @type {(() => void) | null} */
  #onAnswer = null;

  /**
   * @param {number} timeoutMs
   * @param {(text: string) => void} debug
   */
  constructor(timeoutMs, debug) {
    this.#timeoutMs = timeoutMs;
    this.#debug = debug;
    this.#runner = new Runner(timeoutMs * PATIENCE, debug);
  }

  /**
   * @param {unknown} given an interceptor, or a function for single events
   * @param {unknown} options of that function
   * @returns {() => void} takes it out again
   * @throws {TypeError | RangeError} with code TRACE_ERR_CONFIG
   */
  add(given, options) {
    const spec = typeof given === 'function' ? legacy(/** @type {any} */ (given), options) : given;
    const one = checked(spec, ++this.#serial, this.#timeoutMs);
    const entry = { one, number: 0 };
    this.#all.add(entry);
    this.#register(entry);
    return () => {
      if (this.#all.delete(entry) && this.#runner.handlers.delete(entry.number)) this.#native.unintercept(this.#handle, entry.number);
    };
  }

  /**
   * There is a recorder from now on: with its first exchange, as a rule.
   * @param {{ native: Native, handle: number } | null} port
   */
  connect(port) {
    if (port === null) return;
    this.#native = port.native;
    this.#handle = port.handle;
    for (const entry of this.#all) this.#register(entry);
  }

  /** @param {{ one: import('./options.js').Checked, number: number }} entry */
  #register(entry) {
    entry.number = this.#native.intercept(this.#handle, entry.one.native, this.#wake);
    if (entry.number !== 0) this.#runner.handlers.set(entry.number, entry.one);
  }

  /** One function for all: the addon keeps the first. */
  #wake = () => {
    try {
      if (this.#pump()) setImmediate(this.#wake).unref();
    } catch (error) {
      this.#debug(`interceptors failed: ${String(error)}`);
    }
  };

  /** @returns {boolean} whether there may be more */
  #pump() {
    const deliveries = this.#native.take(this.#handle, IN_A_ROW);
    /** @type {Answer[]} what is there at once goes back in one call */
    const answers = [];
    let isLater = false;
    for (const delivery of deliveries) {
      const { ticket, exchange } = delivery;
      let isDone = false;
      this.#runner.serve(delivery, (said) => {
        isDone = true;
        if (!isLater) return void answers.push({ ticket, exchange, said });
        this.#unanswered.delete(ticket);
        this.#answer([{ ticket, exchange, said }]);
        this.#onAnswer?.();
      });
      if (!isDone) this.#unanswered.set(ticket, now() + this.#timeoutMs);
    }
    isLater = true;
    if (answers.length > 0) this.#answer(answers);
    return deliveries.length === IN_A_ROW;
  }

  /** How many exchanges wait for a promise. */
  #stuck() {
    const time = now();
    let count = 0;
    for (const until of this.#unanswered.values()) if (until > time) count++;
    return count;
  }

  /** @param {Answer[]} answers */
  #answer(answers) {
    this.#native.answer(this.#handle, answers);
  }

  /**
   * The recording ends: hooks that are left are called now, as long as handlers answer at once.
   * @param {boolean} atExit
   * @param {number} deadlineMs
   * @returns {Promise<void> | null} of those that answer later, if the loop goes on
   */
  finish(atExit, deadlineMs) {
    const until = now() + Math.min(this.#timeoutMs, deadlineMs / 2);
    this.#native.endOpen(this.#handle, atExit, Math.max(0, until - now()));
    while (this.#native.watched(this.#handle) > this.#stuck() && now() < until) {
      this.#native.awaitDelivery(this.#handle, Math.min(LOOK_MS, Math.max(0, until - now())));
      this.#pump();
    }
    return atExit || this.#stuck() === 0 ? null : this.#settled(until);
  }

  /**
   * @param {number} until
   * @returns {Promise<void>}
   */
  #settled(until) {
    return new Promise((resolve) => {
      const look = () => {
        this.#wake();
        if (this.#native.watched(this.#handle) > 0 && now() < until) return;
        this.#onAnswer = null;
        clearInterval(timer);
        resolve();
      };
      // Not unref'd: whoever awaits the end goes on after it.
      const timer = setInterval(look, LOOK_MS);
      this.#onAnswer = () => void setImmediate(look);
    });
  }

  /** Nothing is taken or answered any more. */
  close() {
    this.#native = NOBODY;
    this.#all.clear();
    this.#runner.clear();
  }
}

/**
 * @param {import('../../index.js').LegacyInterceptor} ask
 * @param {unknown} options
 */
function legacy(ask, options = {}) {
  if (typeof options !== 'object' || options === null) throw notAllowed(TypeError, 'options', options, 'an object');
  const named = ask.name === '' ? {} : { name: ask.name };
  return { ...named, .../** @type {object} */ (options), onEvents: perEvent(ask) };
}

exports.Interceptors = Interceptors;
