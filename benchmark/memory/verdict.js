'use strict';

// From what two processes saw of their memory to a word on leaks. Pure: looks in, verdict out.

const { median } = require('../support/statistics.js');

/**
 * @typedef {object} Look
 * @property {number} atMs
 * @property {number} begun
 * @property {number} ended
 * @property {number} skipped requests that were not made because too many were open
 * @property {number} rssMiB
 * @property {number} heapMiB
 * @property {number} externalMiB
 * @property {number} cpuMs
 * @property {{ pairs: number, pending: number, mode: string, drops: number, spills: number, faults: number, memoryMiB: number, logMiB: number } | null} ours
 *
 * @typedef {object} Verdict MiB
 * @property {number} steady what ours takes over untraced in the last quarter: RSS, median of pairs of looks
 * @property {number} growth of that difference from the second quarter to the last one
 * @property {number} growthPerHour the same, by the time between the middles of the two
 * @property {number} heapGrowth of the difference of the JS heaps
 * @property {number} untracedGrowth of untraced's own RSS: what the machine makes of no leak
 * @property {{ second: number, last: number }} cpuMsPerRequest of ours: whether cost grows with the log
 * @property {number} requests
 * @property {number} logMiB
 * @property {boolean} isWhole every request that was made is in the log, nothing was dropped
 */

/**
 * The first quarter is not looked at: code is compiled and buffers find their size then.
 * @param {readonly Look[]} untraced
 * @param {readonly Look[]} ours looks were taken side by side
 * @returns {Verdict}
 */
function judge(untraced, ours) {
  const pairs = ours.slice(0, -1).map((look, i) => ({ ours: look, untraced: untraced[i] })).filter((pair) => pair.untraced !== undefined);
  const quarter = Math.max(1, Math.floor(pairs.length / 4));
  const second = pairs.slice(quarter, 2 * quarter);
  const last = pairs.slice(-quarter);
  /** @param {(pair: typeof pairs[number]) => number} pick */
  const growth = (pick) => median(last.map(pick)) - median(second.map(pick));
  const over = (/** @type {typeof pairs[number]} */ pair) => pair.ours.rssMiB - pair.untraced.rssMiB;
  const end = ours[ours.length - 1];
  const hours = (median(last.map((pair) => pair.ours.atMs)) - median(second.map((pair) => pair.ours.atMs))) / 3_600_000;
  const grown = growth(over);
  return {
    steady: median(last.map(over)),
    growth: grown,
    growthPerHour: hours > 0 ? grown / hours : NaN,
    heapGrowth: growth((pair) => pair.ours.heapMiB - pair.untraced.heapMiB),
    untracedGrowth: growth((pair) => pair.untraced.rssMiB),
    cpuMsPerRequest: { second: cpuPerRequest(second), last: cpuPerRequest(last) },
    requests: end.begun,
    logMiB: end.ours?.logMiB ?? 0,
    isWhole: end.ours !== null && end.ours.pairs === end.begun && end.ours.drops === 0 && end.ours.faults === 0,
  };
}

/** @param {readonly { ours: Look }[]} part */
function cpuPerRequest(part) {
  const first = part[0].ours;
  const last = part[part.length - 1].ours;
  return (last.cpuMs - first.cpuMs) / (last.ended - first.ended);
}

module.exports = { judge };
