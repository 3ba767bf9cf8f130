'use strict';

const fs = require('node:fs');
const os = require('node:os');

/**
 * @typedef {object} Case what is asked again and again
 * @property {'sse' | 'sse-large' | 'json'} kind
 * @property {'memory' | 'disk'} place of the log; the spool is in memory where there is a folder in memory
 * @property {number} workers
 * @property {number} producers
 */

const WORKERS = [1, 2, 4];
const PRODUCERS = [1, 2];
const MEMORY = '/dev/shm';

/** @returns {Case[]} */
function cases() {
  const places = /** @type {('memory' | 'disk')[]} */ (fs.existsSync(MEMORY) ? ['memory', 'disk'] : ['disk']);
  return places.flatMap((place) => [
    ...WORKERS.flatMap((workers) => PRODUCERS.map((producers) => /** @type {Case} */ ({ kind: 'sse', place, workers, producers }))),
    { kind: 'sse-large', place, workers: 1, producers: 1 },
    { kind: 'json', place, workers: 1, producers: 1 },
    { kind: 'json', place, workers: 2, producers: 2 },
  ]);
}

/** @param {'memory' | 'disk'} place */
const folderOf = (place) => (place === 'memory' ? MEMORY : os.tmpdir());

const spoolDir = () => (fs.existsSync(MEMORY) ? MEMORY : os.tmpdir());

module.exports = { cases, folderOf, spoolDir };
