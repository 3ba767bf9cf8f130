'use strict';

// Functions that are asked about one event at a time, run on batches: `(event, context) => event | null`, or a promise of it.

/**
 * @typedef {import('../../index.js').LegacyEvent} LegacyEvent
 * @typedef {import('../../index.js').LegacyInterceptor} LegacyInterceptor
 */

/**
 * @param {LegacyInterceptor} ask
 * @returns {(batch: import('./batch.js').EventBatch) => void | Promise<void>}
 */
function perEvent(ask) {
  return (batch) => {
    const events = [...batch];
    const context = { exchange: batch.exchange };
    /**
     * Only a promise makes it wait: most such functions return what they have.
     * @param {number} from
     * @returns {void | Promise<void>}
     */
    const run = (from) => {
      for (let at = from; at < events.length; at++) {
        const given = plain(events[at]);
        const answer = ask({ ...given }, context);
        if (isThenable(answer)) {
          return Promise.resolve(answer).then((later) => {
            take(events[at], given, later);
            return run(at + 1);
          });
        }
        take(events[at], given, answer);
      }
    };
    return run(0);
  };
}

/**
 * @param {any} event
 * @returns {LegacyEvent}
 */
function plain(event) {
  const { type, data, id, retry, index } = event;
  return { type, data, id, retry, index };
}

/**
 * @param {any} event
 * @param {LegacyEvent} was
 * @param {unknown} is
 */
function take(event, was, is) {
  // A function that only looks returns nothing.
  if (is === undefined) return;
  if (is === null) return event.drop();
  if (typeof is !== 'object') throw new TypeError('an interceptor of events returns an event, null, or a promise of one');
  /** @type {Record<string, string>} */
  const change = {};
  for (const part of /** @type {const} */ (['data', 'type', 'id'])) {
    const value = /** @type {Partial<LegacyEvent>} */ (is)[part];
    if (value !== undefined && value !== was[part]) change[part] = value;
  }
  if (Object.keys(change).length > 0) event.replace(change);
}

/**
 * @param {unknown} value
 * @returns {value is PromiseLike<unknown>}
 */
function isThenable(value) {
  return typeof value === 'object' && value !== null && typeof (/** @type {any} */ (value).then) === 'function';
}

module.exports = { perEvent, isThenable };
