'use strict';

const { table } = require('../demo/table.js');
const { CONFIGURATIONS } = require('./plan.js');

/** @typedef {import('./run.js').Outcome} Outcome */

/** What is counted; of two columns in a narrow terminal the one with the higher number goes first. @type {[string, (outcome: Outcome) => number, number?][]} */
const COLUMNS = [
  ['kills', (o) => o.kills],
  ['recoveries killed', (o) => o.recoveriesKilled],
  ['in a write', (o) => o.halfLines, 1],
  ['exchanges', (o) => o.verdict.exchanges],
  ['recovered', (o) => o.verdict.recovered, 2],
  ['bytes acknowledged', (o) => o.verdict.bytesTold],
  ['bytes lost', (o) => o.verdict.bytesLost],
  ['duplicates', (o) => o.verdict.duplicates],
  ['unreadable', (o) => o.verdict.unreadable],
];

/** @param {number} value */
const digits = (value) => value.toLocaleString('en');

/** A row for each configuration and one for all. @param {readonly Outcome[]} outcomes @param {number} width */
function figures(outcomes, width) {
  /** @param {string} title @param {readonly Outcome[]} own */
  const row = (title, own) => [title, ...COLUMNS.map(([, count]) => digits(own.reduce((sum, o) => sum + count(o), 0)))];
  const rows = CONFIGURATIONS.map(({ title }) => row(title, outcomes.filter(({ plan }) => plan.configuration.title === title)));
  const columns = COLUMNS.map(([title, , priority]) => ({ title, align: /** @type {const} */ ('right'), ...(priority !== undefined && { priority }) }));
  return table([{ title: 'recorder', align: 'left', least: 30 }, ...columns], [...rows, row('all', outcomes)], width);
}

/** What went wrong, where it lies, and how to see it again. @param {Outcome} outcome */
function failure({ plan, verdict, place }) {
  const shown = verdict.problems.slice(0, 8).map((problem) => `    ${problem}`);
  if (verdict.problems.length > shown.length) shown.push(`    … and ${verdict.problems.length - shown.length} more in plan.json`);
  return [`run ${plan.index}: ${plan.configuration.title}`, ...shown, `    kept: ${place.folder}`, `    again: npm run kill-test -- --seed ${plan.seed} --run ${plan.index} --kills 50`].join('\n');
}

module.exports = { figures, failure };
