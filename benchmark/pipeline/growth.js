'use strict';

// Whether a record costs more, and takes more memory, the more of them there are.

const { median } = require('../support/statistics.js');

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
  /** @param {'user' | 'cpu' | 'resident'} key */
  const ends = (key) => ({ first: median(tenths.slice(1, 4).map((tenth) => tenth[key])), last: median(tenths.slice(-3).map((tenth) => tenth[key])) });
  return { megabytes: log.megabytes, userUsPerRecord: ends('user'), cpuUsPerRecord: ends('cpu'), residentMegabytes: ends('resident') };
}

module.exports = { growthOf };
