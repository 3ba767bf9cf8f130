'use strict';

// What recording costs the program that is recorded: untraced, claude-trace 1.0.9 and ours side by side in one run.
// benchmark/README.md says how to read the result.

const os = require('node:os');
const path = require('node:path');
const { startServer } = require('../support/server-process.js');
const { randomFrom, shuffled } = require('../support/statistics.js');
const { machine: machineOf } = require('../support/machine.js');
const { runProgram } = require('../support/options.js');
const { writeResults } = require('../support/results.js');
const { diskMiBPerSecond } = require('./disk.js');
const { USAGE, readOptions } = require('./options.js');
const { Progress } = require('./progress.js');
const { LEGEND, differenceTable, hookTable, mainTable } = require('./report.js');
const { Patience, TOLERATED_CORES } = require('./quiet.js');
const { takeSample } = require('./sample.js');
const { summarise } = require('./summary.js');
const { makeMemoryFolder } = require('./variants.js');
const { resultsOf } = require('./results.js');
const { writePlot } = require('./plot.js');

/**
 * @typedef {import('./options.js').Options} Options
 * @typedef {import('./summary.js').PlacedSample} PlacedSample
 * @typedef {{ node: import('./options.js').NodeBinary, c: import('./cases.js').Case, variant: import('./variants.js').Variant, round: number }} Step
 */

/**
 * Round by round, the cases in shuffled order, within a case the variants in shuffled order: what drifts on the machine
 * drifts under all of them alike.
 * @param {Options} options
 * @param {import('./options.js').NodeBinary} node
 * @returns {Step[]}
 */
function plan({ rounds, seed, cases, variants }, node) {
  const random = randomFrom(seed);
  return Array.from({ length: rounds }, (_, round) => round).flatMap((round) => {
    const present = variants.filter(({ every }) => round % every === 0);
    return shuffled(cases, random).flatMap((c) => {
      const those = present.filter(({ id }) => !c.without?.includes(id));
      return shuffled(those, random).map((variant) => ({ node, c, variant, round }));
    });
  });
}

/**
 * @param {readonly Step[]} steps
 * @param {number} atOnce 1, or nothing is measured
 * @param {(step: Step) => Promise<import('./sample.js').Sample>} take
 * @param {InstanceType<typeof Progress>} progress
 * @returns {Promise<PlacedSample[]>} in the order of the steps
 */
async function takeAll(steps, atOnce, take, progress) {
  /** @type {PlacedSample[]} */
  const samples = new Array(steps.length);
  let next = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < steps.length) {
        const order = next++;
        const step = steps[order];
        samples[order] = { node: step.node.version, case: step.c.id, variant: step.variant.id, round: step.round, order, ...(await take(step)) };
        progress.step(`Node ${step.node.version}, ${step.c.id}, ${step.variant.id}`);
      }
    }),
  );
  return samples;
}

/** @param {readonly PlacedSample[]} samples @returns {string[]} what was asked of a recorder and is not in its log */
const incomplete = (samples) =>
  samples
    .filter(({ pairs, requests }) => pairs !== null && pairs !== requests)
    .map((sample) => `Node ${sample.node}, ${sample.case}, ${sample.variant}: ${sample.pairs} whole pairs in the log of ${sample.requests} requests`);

/** @param {Options} options @returns {Promise<number>} the exit code */
async function main(options) {
  const about = machineOf(options.packageFolder);
  const diskSpeed = options.cases.some(({ suite }) => suite === 'session') ? diskMiBPerSecond() : null;
  const memory = makeMemoryFolder();
  const variants = options.variants.filter(({ needsMemory }) => memory !== null || !needsMemory);
  const titles = new Map(variants.map(({ id, title }) => [id, title]));
  const compared = variants.filter(({ isOurs }) => isOurs).map(({ id }) => id);
  const patience = new Patience(options.patience);
  const plans = options.nodes.map((node) => plan({ ...options, variants }, node));
  const progress = new Progress(plans.flat().length);
  const server = await startServer();
  /** @type {PlacedSample[]} */
  const samples = [];
  const summaries = [];

  console.log(`${about.cpu}, ${about.cores} cores, ${about.kernel}; load ${about.load.toFixed(2)}; commit ${about.commit?.slice(0, 12)}${about.isClean ? '' : ' and changes'}`);
  if (diskSpeed !== null) console.log(`disk: ${diskSpeed.toFixed(0)} MiB/s`);
  console.log(`${options.rounds} rounds${options.quick ? '; --quick: no measurement' : ''}`);
  try {
    for (const [i, node] of options.nodes.entries()) {
      const take = async (/** @type {Step} */ { c, variant }) => {
        const sample = await patience.take(() => takeSample(node.binary, c, variant, server, memory));
        return diskSpeed === null ? sample : withDisk(sample, diskSpeed);
      };
      const taken = await takeAll(plans[i], options.quick ? os.availableParallelism() : 1, take, progress);
      progress.end();
      samples.push(...taken);
      const own = options.cases.map((c) => summarise(inTableOrder(taken, c.id, titles), c, options.seed));
      summaries.push(...own);
      console.log(`\nNode ${node.version}\n${mainTable(own, options.cases, titles)}`);
      if (options.details) console.log(`\n${differenceTable(own, compared, titles)}\n\n${hookTable(own, titles)}`);
    }
  } finally {
    await server.close();
  }
  const disturbed = samples.filter(({ othersCores }) => othersCores > TOLERATED_CORES).length;
  console.log(`\n${LEGEND}\nothers kept more than ${TOLERATED_CORES} cores at work in ${disturbed} of ${samples.length} samples`);
  const machine = { ...about, load: { before: about.load, after: os.loadavg()[0] }, diskMiBPerSecond: diskSpeed };
  const results = resultsOf({ machine, options, variants, samples, summaries });
  writeResults(options.json, results);
  const plots = await writePlot(options.json, results);
  console.log(`\nall of it: ${[options.json, ...plots].map((file) => path.relative(process.cwd(), file)).join(', ')}`);
  const missing = incomplete(samples);
  for (const line of missing) console.error(`not recorded: ${line}`);
  return missing.length > 0 ? 1 : 0;
}

/**
 * What was written, as the share of the process's time that the disk needs for it.
 * @param {import('./sample.js').Sample} sample
 * @param {number} diskSpeed MiB/s
 */
function withDisk(sample, diskSpeed) {
  const { writtenMiB, processMs } = sample.metrics;
  const diskPercent = writtenMiB === null ? null : (writtenMiB / diskSpeed / (Number(processMs) / 1e3)) * 100;
  return { ...sample, metrics: { ...sample.metrics, diskPercent } };
}

/**
 * @param {readonly PlacedSample[]} samples
 * @param {string} caseId
 * @param {ReadonlyMap<string, string>} titles
 */
function inTableOrder(samples, caseId, titles) {
  const own = samples.filter((sample) => sample.case === caseId);
  return [...titles.keys()].flatMap((id) => own.filter(({ variant }) => variant === id));
}

runProgram(USAGE, readOptions, main);
