'use strict';

const fs = require('node:fs');
const os = require('node:os');

/**
 * @typedef {'sse' | 'sse-large' | 'json' | 'json-large'} Kind
 *
 * @typedef {object} Case what is asked again and again
 * @property {Kind} kind
 * @property {'memory' | 'disk'} place of the log; the spool is in memory where there is a folder in memory
 * @property {number | 'auto'} workers
 * @property {number} producers
 */

const WORKERS = /** @type {const} */ ([1, 2, 4, 'auto']);
const PRODUCERS = [1, 2];
const MEMORY = '/dev/shm';

/** @returns {Case[]} */
function cases() {
  const places = /** @type {('memory' | 'disk')[]} */ (fs.existsSync(MEMORY) ? ['memory', 'disk'] : ['disk']);
  const kinds = /** @type {Kind[]} */ (['sse-large', 'json', 'json-large']);
  return places.flatMap((place) => [
    ...WORKERS.flatMap((workers) => PRODUCERS.map((producers) => /** @type {Case} */ ({ kind: 'sse', place, workers, producers }))),
    ...kinds.flatMap((kind) => WORKERS.map((workers) => /** @type {Case} */ ({ kind, place, workers, producers: 1 }))),
  ]);
}

/** @param {'memory' | 'disk'} place */
const folderOf = (place) => (place === 'memory' ? MEMORY : os.tmpdir());

const spoolDir = () => (fs.existsSync(MEMORY) ? MEMORY : os.tmpdir());

module.exports = { cases, folderOf, spoolDir };
