'use strict';

// The figures of a sample: what the table calls them, and which of them a case can have.

const { answerOf } = require('./cases.js');

/**
 * @typedef {object} Figure
 * @property {string} key in a sample's metrics
 * @property {string} title
 * @property {string} unit
 * @property {number} digits
 * @property {boolean} isJudged whether the difference to untraced is shown
 * @property {(c: import('./cases.js').Case) => boolean} applies
 */

const always = () => true;
/** @param {import('./cases.js').Case} c */
const isStream = (c) => answerOf(c).isStream;
/** A paced server says how many requests a second there are. @param {import('./cases.js').Case} c */
const isUnpaced = (c) => answerOf(c).paceMs === 0;

/** @type {readonly Figure[]} */
const FIGURES = [
  { key: 'firstByteP50Ms', title: 'first byte p50', unit: 'ms', digits: 3, isJudged: true, applies: always },
  { key: 'firstByteP99Ms', title: 'first byte p99', unit: 'ms', digits: 3, isJudged: true, applies: always },
  { key: 'gapP50Us', title: 'gap p50', unit: 'µs', digits: 1, isJudged: true, applies: isStream },
  { key: 'gapP99Us', title: 'gap p99', unit: 'µs', digits: 1, isJudged: true, applies: isStream },
  { key: 'requestsPerSecond', title: 'requests/s', unit: '', digits: 0, isJudged: true, applies: isUnpaced },
  { key: 'wallMs', title: 'wall', unit: 'ms', digits: 0, isJudged: false, applies: always },
  { key: 'jsCpuPerRequestMs', title: 'JS CPU/req', unit: 'ms', digits: 3, isJudged: true, applies: always },
  { key: 'cpuPerRequestMs', title: 'CPU/req', unit: 'ms', digits: 3, isJudged: true, applies: always },
  { key: 'rssEndMiB', title: 'RSS end', unit: 'MiB', digits: 1, isJudged: false, applies: always },
  { key: 'rssMaxMiB', title: 'RSS max', unit: 'MiB', digits: 1, isJudged: true, applies: always },
];

const START_UP = 'startUpMs';

module.exports = { FIGURES, START_UP };
