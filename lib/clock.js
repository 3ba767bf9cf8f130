'use strict';

// Loaded with the first request, when the host may have replaced `performance` or its methods: fake timers put theirs on the
// object. Beneath them is Node's own.
const { performance } = require('node:perf_hooks');
const performanceNow = Object.getPrototypeOf(performance).now;

/**
 * Milliseconds on the monotonic clock that the addon reads too (see `open` in src/lib.rs, which learns their offset).
 * @returns {number}
 */
function now() {
  return performanceNow.call(performance);
}

module.exports = { now };
