'use strict';

// Whether a record costs more, and takes more memory, the more of them there are. Of three tenths the least counts: a
// disturbance adds to a tenth (where the writer waits, more of the pool is in use), growth adds to all of them.
//
// A machine that is shared costs more or less from minute to minute. So after each tenth as many records are made by a fresh
// process with a log of its own: what both cost more is the machine's, what the long run alone costs more is ours.

const { median } = require('../support/statistics.js');

/**
 * @typedef {object} Growth the first mark is at the start, the others at tenths; the first tenth is the warm-up
 * @property {number} megabytes of the log at the end
 * @property {{ first: number, last: number }} userUsPerRecord CPU time, the kernel's not counted: tenths 2 to 4, and 8 to 10
 * @property {{ first: number, last: number }} cpuUsPerRecord the kernel's counted: it gets its memory from the machine below it
 * @property {{ first: number, last: number }} againstFresh what a record costs, the kernel's counted, over what it costs a fresh process
 *   just before and after: the medians of the same tenths. The latter has its start to pay for, so this can be below 1
 * @property {{ least: number, most: number }} freshUsPerRecord CPU time in fresh processes: how steady the machine was
 * @property {number} stolenSeconds CPU time that the machine below gave to others
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
  const fresh = marks.flatMap(({ control }) => (control === null ? [] : [(control.cpuSeconds * 1e6) / control.records]));
  // The one before and the one after: what drifts in between drifts under both.
  const ratios = tenths.map(({ cpu }, i) => (2 * cpu) / (fresh[Math.max(i - 1, 0)] + fresh[i]));
  return {
    megabytes: log.megabytes, userUsPerRecord: ends('user'), cpuUsPerRecord: ends('cpu'),
    againstFresh: { first: median(ratios.slice(1, 4)), last: median(ratios.slice(-3)) },
    freshUsPerRecord: { least: Math.min(...fresh), most: Math.max(...fresh) },
    stolenSeconds: marks[marks.length - 1].stolenSeconds - marks[0].stolenSeconds,
    residentMegabytes: ends('resident'),
  };
}

module.exports = { growthOf };
