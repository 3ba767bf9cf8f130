'use strict';

// The host may replace `performance` or its methods (fake timers do): the function is taken once, at load.
const { performance } = globalThis;
const performanceNow = performance.now;

/**
 * Milliseconds on the monotonic clock that the addon reads too (see `open` in src/lib.rs, which learns their offset).
 * @returns {number}
 */
function now() {
  return performanceNow.call(performance);
}

module.exports = { now };
