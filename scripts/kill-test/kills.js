'use strict';

// Kills processes as often as asked for, several at a time, and gathers the verdicts.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Worker } = require('node:worker_threads');

/**
 * @typedef {import('./run.js').Outcome} Outcome
 * @typedef {object} Options
 * @property {number} kills of clients, at least
 * @property {number} seed
 * @property {number} concurrency
 * @property {string} loader of the package under test
 * @property {number} [only] do this run again and again
 * @property {boolean} [snapshots] keep what each killed process has left
 * @property {(outcome: Outcome, kills: number) => void} [onOutcome]
 */

/** @param {Options} options @returns {Promise<Outcome[]>} */
async function killMany({ kills, seed, concurrency, loader, only, snapshots = false, onOutcome = () => {} }) {
  const folders = makeFolders();
  /** @type {Outcome[]} */
  const outcomes = [];
  let next = 0;
  let done = 0;
  const slot = () =>
    new Promise((resolve, reject) => {
      const worker = new Worker(path.join(__dirname, 'slot.js'), { workerData: { seed, loader, folders, snapshots } });
      worker.once('error', reject);
      worker.once('exit', resolve);
      worker.on('message', (/** @type {'ready' | Outcome} */ message) => {
        if (message !== 'ready') {
          outcomes.push(message);
          done += message.kills;
          onOutcome(message, done);
        }
        worker.postMessage(done < kills ? (only ?? next++) : null);
      });
    });
  await Promise.all(Array.from({ length: concurrency }, slot));
  // A run without problems has removed its own folder; these go if nothing was kept in them.
  for (const folder of Object.values(folders)) if (fs.readdirSync(folder).length === 0) fs.rmdirSync(folder);
  return outcomes;
}

function makeFolders() {
  const memory = fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir();
  const make = (/** @type {string} */ parent) => fs.realpathSync(fs.mkdtempSync(path.join(parent, 'claude-trace-kill-')));
  return { disk: make(os.tmpdir()), memory: make(memory) };
}

module.exports = { killMany };
