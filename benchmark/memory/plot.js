'use strict';

// The memory of the two clients over the time of a run: `node benchmark/memory/plot.js results.json` draws it again.

const fs = require('node:fs');
const { besides, writeSvg } = require('../support/svg.js');

/** @typedef {import('./verdict.js').Look} Look */

/**
 * @param {string} jsonFile the picture goes beside it
 * @param {{ node: string, verdict: import('./verdict.js').Verdict, untraced: readonly Look[], ours: readonly Look[], parameters: { rate: number }, machine: object }} results
 */
async function writePlot(jsonFile, { node, verdict, untraced, ours, parameters, machine }) {
  /** @param {string} who @param {readonly Look[]} looks */
  const rows = (who, looks) => looks.map(({ atMs, rssMiB, heapMiB }) => ({ who, minutes: atMs / 60_000, rssMiB, heapMiB }));
  const values = [...rows('untraced', untraced), ...rows('ours', ours)];
  const x = { field: 'minutes', type: 'quantitative', axis: { title: 'minutes' }, scale: { nice: false } };
  const color = { field: 'who', title: null, scale: { domain: ['untraced', 'ours'], range: ['#8a8f98', '#0b5fc4'] } };
  /** @param {string} field @param {string} title */
  const panel = (field, title) => ({
    width: 480, height: 260, title: { text: title, fontSize: 13, offset: 8 },
    mark: { type: 'line', strokeWidth: 1.5 }, encoding: { x, y: { field, type: 'quantitative', axis: { title: null } }, color },
  });
  await writeSvg(besides(jsonFile), {
    title: {
      text: 'Memory over time, traced and untraced',
      subtitle: [
        `Node ${node}, ${/** @type {any} */ (machine).cpu}, ${parameters.rate} requests/s of each; ${verdict.requests.toLocaleString('en')} requests, ${verdict.logMiB.toFixed(0)} MiB of log`,
        'Each look follows a garbage collection.',
      ],
    },
    data: { values },
    hconcat: [panel('rssMiB', 'Resident memory, MiB'), panel('heapMiB', 'JS heap, MiB')],
  });
}

module.exports = { writePlot };

if (require.main === module) {
  const [file] = process.argv.slice(2);
  if (file === undefined) throw new Error('usage: node benchmark/memory/plot.js results.json');
  void writePlot(file, JSON.parse(fs.readFileSync(file, 'utf8')));
}
