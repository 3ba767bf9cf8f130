'use strict';

// What recording costs the program that is recorded: untraced, claude-trace 1.0.9 and ours side by side in one run.
// benchmark/README.md says how to read the result.

const os = require('node:os');
const path = require('node:path');
const { startServer } = require('../support/server-process.js');
const { randomFrom, shuffled } = require('../support/statistics.js');
const { environment } = require('./environment.js');
const { USAGE, readOptions } = require('./options.js');
const { caseTable, differenceTable, hookTable, startUpTable } = require('./report.js');
const { Patience, TOLERATED_CORES } = require('./quiet.js');
const { takeSample } = require('./sample.js');
const { summarise } = require('./summary.js');
const { makeMemoryFolder } = require('./variants.js');
const { writeResults } = require('./results.js');

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
    return shuffled(cases, random).flatMap((c) => shuffled(present, random).map((variant) => ({ node, c, variant, round })));
  });
}

/**
 * @param {readonly Step[]} steps
 * @param {number} atOnce 1, or nothing is measured
 * @param {(step: Step) => Promise<import('./sample.js').Sample>} take
 * @returns {Promise<PlacedSample[]>} in the order of the steps
 */
async function takeAll(steps, atOnce, take) {
  /** @type {PlacedSample[]} */
  const samples = new Array(steps.length);
  let next = 0;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (next < steps.length) {
        const order = next++;
        const step = steps[order];
        samples[order] = { node: step.node.version, case: step.c.id, variant: step.variant.id, round: step.round, order, ...(await take(step)) };
        if (process.stderr.isTTY) process.stderr.write(`\r${order + 1} of ${steps.length} samples on Node ${step.node.version} `);
      }
    }),
  );
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  return samples;
}

/** @param {readonly PlacedSample[]} samples @returns {string[]} what was asked of a recorder and is not in its log */
const incomplete = (samples) =>
  samples
    .filter(({ pairs, requests }) => pairs !== null && pairs !== requests)
    .map((sample) => `Node ${sample.node}, ${sample.case}, ${sample.variant}: ${sample.pairs} whole pairs in the log of ${sample.requests} requests`);

/** @param {Options} options */
async function main(options) {
  const about = environment(options.packageFolder);
  const loadBefore = os.loadavg()[0];
  const memory = makeMemoryFolder();
  const variants = options.variants.filter(({ needsMemory }) => memory !== null || !needsMemory);
  const titles = new Map(variants.map(({ id, title }) => [id, title]));
  const ours = variants.filter(({ isOurs }) => isOurs).map(({ id }) => id);
  const patience = new Patience(options.patience);
  const server = await startServer();
  /** @type {PlacedSample[]} */
  const samples = [];
  const summaries = [];

  console.log(`${about.cpu}, ${about.cores} cores, ${about.kernel}; load ${loadBefore.toFixed(2)}; commit ${about.commit?.slice(0, 12)}${about.isClean ? '' : ' and changes'}`);
  console.log(`${options.rounds} rounds; median ± half the interquartile range over rounds${options.quick ? '; --quick: no measurement' : ''}`);
  try {
    for (const node of options.nodes) {
      const taken = await takeAll(plan({ ...options, variants }, node), options.quick ? os.availableParallelism() : 1, (step) =>
        patience.take(() => takeSample(node.binary, step.c, step.variant, server, memory)),
      );
      samples.push(...taken);
      const own = options.cases.map((c) => ({ c, summary: summarise(inTableOrder(taken, c.id, titles), c, options.seed) }));
      summaries.push(...own.map(({ summary }) => summary));
      console.log(`\n=== Node ${node.version}\n`);
      for (const { c, summary } of own) console.log(`${caseTable(summary, c, titles)}\n`);
      console.log(`${differenceTable(summaries.slice(-own.length), ours, titles)}\n`);
      console.log(`${hookTable(summaries.slice(-own.length), titles)}\n`);
      console.log(startUpTable(taken, titles));
    }
  } finally {
    await server.close();
  }
  const disturbed = samples.filter(({ othersCores }) => othersCores > TOLERATED_CORES).length;
  console.log(`\nothers kept more than ${TOLERATED_CORES} cores at work in ${disturbed} of ${samples.length} samples`);
  if (options.json !== undefined) {
    writeResults(path.resolve(options.json), { about, options, load: { before: loadBefore, after: os.loadavg()[0] }, samples, summaries });
  }
  return incomplete(samples);
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

const options = readOptions(process.argv.slice(2));
if (options === null) console.log(USAGE);
else {
  main(options).then((missing) => {
    for (const line of missing) console.error(`not recorded: ${line}`);
    process.exitCode = missing.length > 0 ? 1 : 0;
  });
}
