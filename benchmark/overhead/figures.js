'use strict';

// The figures of a sample: what the table calls them, and which of them a case can have.

const { isPaced, isStream } = require('./cases.js');

/**
 * @typedef {object} Figure
 * @property {string} key in a sample's metrics
 * @property {string} title
 * @property {string} unit
 * @property {boolean} inTable whether the main table has a column of it
 * @property {(c: import('./cases.js').Case) => boolean} applies
 */

/** @type {Pick<Figure, 'inTable' | 'applies'>} */
const shown = { inTable: true, applies: () => true };
const ofStreams = { ...shown, applies: isStream };
const inDetails = { ...shown, inTable: false };
/** @param {import('./cases.js').Case} c */
const isUnpaced = (c) => !isPaced(c);
/** @param {import('./cases.js').Case} c */
const isOfSession = ({ suite }) => suite === 'session';

/** @type {readonly Figure[]} */
const FIGURES = [
  { key: 'firstByteP50Ms', title: 'first p50', unit: 'ms', ...shown },
  { key: 'firstByteP95Ms', title: 'first p95', unit: 'ms', ...inDetails },
  { key: 'firstByteP99Ms', title: 'first p99', unit: 'ms', ...shown },
  { key: 'gapP50Us', title: 'gap p50', unit: 'µs', ...ofStreams },
  { key: 'gapP95Us', title: 'gap p95', unit: 'µs', ...ofStreams },
  { key: 'gapP99Us', title: 'gap p99', unit: 'µs', ...ofStreams },
  { key: 'requestsPerSecond', title: 'req/s', unit: '', ...shown, applies: isUnpaced },
  { key: 'jsCpuPerRequestMs', title: 'JS CPU/req', unit: 'ms', ...shown },
  { key: 'cpuPerRequestMs', title: 'CPU/req', unit: 'ms', ...shown },
  { key: 'exitCpuMs', title: 'CPU at exit', unit: 'ms', ...inDetails },
  { key: 'jsCpuPerChunkUs', title: 'JS CPU/chunk', unit: 'µs', ...inDetails, applies: isStream },
  { key: 'cpuPerChunkUs', title: 'CPU/chunk', unit: 'µs', ...ofStreams },
  { key: 'loopDelayP50Ms', title: 'loop delay p50', unit: 'ms', ...inDetails },
  { key: 'loopDelayP99Ms', title: 'loop p99', unit: 'ms', ...shown },
  { key: 'loopBusyPercent', title: 'loop busy', unit: '%', ...inDetails },
  { key: 'rssEndMiB', title: 'RSS end', unit: 'MiB', ...inDetails },
  { key: 'rssMaxMiB', title: 'RSS max', unit: 'MiB', ...shown },
  { key: 'wallMs', title: 'wall', unit: 'ms', ...inDetails },
  { key: 'processMs', title: 'process', unit: 'ms', ...shown, applies: isOfSession },
  { key: 'writtenMiB', title: 'written', unit: 'MiB', ...shown, applies: isOfSession },
  { key: 'diskPercent', title: 'disk', unit: '%', ...shown, applies: isOfSession },
  { key: 'startUpMs', title: 'start-up', unit: 'ms', ...inDetails },
];

/** @param {Figure} figure */
const heading = ({ title, unit }) => (unit === '' ? title : `${title}, ${unit}`);

module.exports = { FIGURES, heading };
