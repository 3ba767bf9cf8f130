'use strict';

// Whether a record costs more, and takes more memory, the more of them there are. Of three tenths the least counts: a
// disturbance adds to a tenth (where the writer waits, more of the pool is in use), growth adds to all of them.

/**
 * @typedef {object} Growth the first mark is at the start, the others at tenths; the first tenth is the warm-up
 * @property {number} megabytes of the log at the end
 * @property {{ first: number, last: number }} userUsPerRecord CPU time, the kernel's not counted: tenths 2 to 4, and 8 to 10
 * @property {{ first: number, last: number }} cpuUsPerRecord the kernel's counted: it gets its memory from the machine below it
 * @property {{ first: number, last: number }} residentMegabytes
 */

/**
 * @param {import('./replay.js').Answer} answer of a long run
 * @returns {Growth}
 */
function growthOf({ marks, log }) {
  const tenths = marks.slice(1).map((mark, i) => {
    const before = marks[i];
    const us = (/** @type {'userSeconds' | 'cpuSeconds'} */ key) => ((mark[key] - before[key]) * 1e6) / (mark.records - before.records);
    return { user: us('userSeconds'), cpu: us('cpuSeconds'), resident: mark.residentMegabytes };
  });
  /** @param {typeof tenths} of @param {'user' | 'cpu' | 'resident'} key */
  const least = (of, key) => Math.min(...of.map((tenth) => tenth[key]));
  /** @param {'user' | 'cpu' | 'resident'} key */
  const ends = (key) => ({ first: least(tenths.slice(1, 4), key), last: least(tenths.slice(-3), key) });
  return { megabytes: log.megabytes, userUsPerRecord: ends('user'), cpuUsPerRecord: ends('cpu'), residentMegabytes: ends('resident') };
}

module.exports = { growthOf };
