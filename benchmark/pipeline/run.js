'use strict';

// The pipeline alone: recorded exchanges replayed from Rust, without Node and without a network. README.md beside it says how
// to read the result.

const { parseArgs } = require('node:util');
const { machine } = require('../support/machine.js');
const { flag, help, runProgram, text, whole } = require('../support/options.js');
const { head, writeResults } = require('../support/results.js');
const { randomFrom, shuffled, spread } = require('../support/statistics.js');
const { table } = require('../support/table.js');
const { growthOf } = require('./growth.js');
const { cases, folderOf, spoolDir } = require('./questions.js');
const { buildReplay, replay } = require('./replay.js');

const USAGE = `node benchmark/pipeline/run.js [options]
  --rounds N        runs of each case, in shuffled order (default 5; with --quick 1)
  --megabytes N     of response bodies in a run (default 400)
  --growth N        megabytes of the one long run (default 3000)
  --json FILE       all runs
  --seed N          of the order (default 1)
  --quick           tiny sizes, built without optimisation: shows the shape of the output, says nothing of speed`;

/** @typedef {import('./questions.js').Case & { answer: import('./replay.js').Answer }} Run */
/** @typedef {import('../support/statistics.js').Spread} Spread */
/**
 * @typedef {import('./questions.js').Case & { megabytesPerSecond: Spread, recordsPerSecond: Spread, usPerChunk: Spread,
 *   logMegabytesPerSecond: Spread, plainMegabytesPerSecond: Spread, shareOfPlain: Spread, cpuUsPerRecord: Spread, peakMegabytes: Spread }} Row
 */

/** @param {string[]} args */
function readOptions(args) {
  const { values } = parseArgs({ args, options: { rounds: text, megabytes: text, growth: text, json: text, seed: text, quick: flag, help } });
  if (values.help) return null;
  const quick = values.quick ?? false;
  return {
    quick,
    rounds: whole(values.rounds ?? (quick ? '1' : '5'), 'rounds'),
    megabytes: whole(values.megabytes ?? (quick ? '1' : '400'), 'megabytes'),
    growth: whole(values.growth ?? (quick ? '2' : '3000'), 'growth'),
    seed: whole(values.seed ?? '1', 'seed'),
    json: values.json,
  };
}

/** @param {readonly Run[]} runs of one case @returns {Row} */
function rowOf(runs) {
  const { answer: _, ...rest } = runs[0];
  /** @param {(answer: import('./replay.js').Answer) => number} pick */
  const over = (pick) => spread(runs.map(({ answer }) => pick(answer)));
  return {
    ...rest,
    megabytesPerSecond: over((a) => a.megabytesPerSecond),
    recordsPerSecond: over((a) => a.recordsPerSecond),
    usPerChunk: over((a) => (a.seconds * 1e6) / a.chunks),
    logMegabytesPerSecond: over((a) => a.log.megabytesPerSecond),
    plainMegabytesPerSecond: over((a) => a.log.plainMegabytesPerSecond),
    shareOfPlain: over((a) => a.log.shareOfPlain),
    cpuUsPerRecord: over((a) => (a.cpuSeconds * 1e6) / a.records),
    peakMegabytes: over((a) => a.peakMegabytes),
  };
}

/** @param {readonly Row[]} rows */
function rowTable(rows) {
  const titles = ['', 'workers', 'producers', 'MB/s in', '±', 'records/s', 'µs/chunk', 'log MB/s', 'plain write', 'share', 'peak MB'];
  const lines = rows.map((row) => [
    `${row.kind}, log ${row.place === 'memory' ? 'in memory' : 'on disk'}`,
    row.workers, row.producers, row.megabytesPerSecond.median.toFixed(0), ((row.megabytesPerSecond.q3 - row.megabytesPerSecond.q1) / 2).toFixed(0),
    row.recordsPerSecond.median.toFixed(0), row.usPerChunk.median.toFixed(3), row.logMegabytesPerSecond.median.toFixed(0),
    row.plainMegabytesPerSecond.median.toFixed(0), `${(row.shareOfPlain.median * 100).toFixed(0)} %`, row.peakMegabytes.median.toFixed(0),
  ].map(String));
  return table([titles, ...lines]);
}

/** @param {import('./growth.js').Growth} growth */
function growthReport({ megabytes, userUsPerRecord: user, cpuUsPerRecord: cpu, againstFresh: ratio, freshUsPerRecord: fresh, residentMegabytes: resident, stolenSeconds }) {
  const both = (/** @type {{ first: number, last: number }} */ { first, last }, unit = '', digits = 1) => `${first.toFixed(digits)} → ${last.toFixed(digits)}${unit}`;
  return [
    `up to a log of ${megabytes.toFixed(0)} MB, from tenths 2 to 4 of the records to the last three:`,
    `CPU a record ${both(user, ' µs')} (with the kernel ${both(cpu, ' µs')}), resident ${both(resident, ' MB')};`,
    `over what it costs a fresh process at the same time ${both(ratio, '', 2)}, where that was ${fresh.least.toFixed(0)} to ${fresh.most.toFixed(0)} µs and ${stolenSeconds.toFixed(1)} s of CPU time were stolen`,
  ].join('\n');
}

/** @param {NonNullable<ReturnType<typeof readOptions>>} options */
async function main({ quick, rounds, megabytes, growth, seed, json }) {
  const about = machine();
  const program = buildReplay(!quick);
  const random = randomFrom(seed);
  const all = cases();
  const ask = (/** @type {import('./questions.js').Case} */ c, /** @type {number} */ size, isControlled = false) =>
    replay(program, { ...c, megabytes: size, logDir: folderOf(c.place), spoolDir: spoolDir(), isControlled });
  /** @type {Run[]} */
  const runs = [];
  for (let round = 0; round < rounds; round++) {
    for (const c of shuffled(all, random)) runs.push({ ...c, answer: await ask(c, megabytes) });
  }
  const long = await ask({ kind: 'sse', place: 'disk', workers: 1, producers: 1 }, growth, true);
  const rows = all.map((c) => rowOf(runs.filter((run) => run.kind === c.kind && run.place === c.place && run.workers === c.workers && run.producers === c.producers)));
  const grown = growthOf(long);
  console.log(`${about.cpu}, ${about.cores} cores; ${rounds} runs of ${megabytes} MB each; medians${quick ? '; --quick: no measurement' : ''}\n`);
  console.log(`${rowTable(rows)}\n\n${growthReport(grown)}`);
  if (json === undefined) return;
  writeResults(json, { ...head(about, { quick, rounds, megabytes, growth, seed }), rows, growth: grown, runs, long });
}

runProgram(USAGE, readOptions, main);
