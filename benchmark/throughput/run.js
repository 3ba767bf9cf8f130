'use strict';

// `npm run benchmark:throughput`: requests a second at saturation, so many at once, untraced and traced in alternating order.

const path = require('node:path');
const { parseArgs } = require('node:util');
const { runClient } = require('../support/client-process.js');
const { machine } = require('../support/machine.js');
const { help, loaderOf, packageOf, positive, runProgram, text } = require('../support/options.js');
const { head, writeResults } = require('../support/results.js');
const { startServer } = require('../support/server-process.js');
const { spread } = require('../support/statistics.js');

const USAGE = `npm run benchmark:throughput -- [options]
  --concurrent N    requests at once (default 100)
  --duration S      seconds of a sample, after a warm-up of a quarter of that (default 3)
  --rounds N        samples of each kind (default 5)
  --json FILE
  --package FOLDER  where the package under test lies (default: this checkout, packed)`;

/** @typedef {{ requestsPerSecond: number, cpuMsPerRequest: number, requests: number, pairs: number | null }} Sample */

/** @param {string[]} args */
function readOptions(args) {
  const { values } = parseArgs({ args, options: { concurrent: text, duration: text, rounds: text, json: text, package: text, help } });
  if (values.help) return null;
  return {
    concurrent: positive(values.concurrent ?? '100', 'concurrent'),
    durationMs: positive(values.duration ?? '3', 'duration') * 1e3,
    rounds: positive(values.rounds ?? '5', 'rounds'),
    json: values.json,
    packageFolder: packageOf(values.package),
  };
}

/**
 * @param {string} origin
 * @param {{ concurrent: number, durationMs: number }} options
 * @param {string | null} loader null: untraced
 * @returns {Promise<Sample>}
 */
function takeSample(origin, { concurrent, durationMs }, loader) {
  const plan = { url: `${origin}/json/v1/messages`, concurrent, durationMs, warmUpMs: durationMs / 4 };
  return runClient({ program: path.join(__dirname, 'client.cjs'), plan, baseUrl: `${origin}/json`, loader });
}

/** @param {NonNullable<ReturnType<typeof readOptions>>} options */
async function main(options) {
  const { json, packageFolder, ...parameters } = options;
  const about = machine(packageFolder);
  const server = await startServer();
  /** @type {Record<'untraced' | 'ours', Sample[]>} */
  const samples = { untraced: [], ours: [] };
  try {
    for (let round = 0; round < options.rounds; round++) {
      const order = /** @type {const} */ (['untraced', 'ours']);
      for (const variant of round % 2 === 0 ? order : order.toReversed()) {
        samples[variant].push(await takeSample(server.origin, options, variant === 'ours' ? loaderOf(packageFolder) : null));
      }
    }
  } finally {
    await server.close();
  }
  const of = (/** @type {'untraced' | 'ours'} */ variant) => ({
    requestsPerSecond: spread(samples[variant].map((sample) => sample.requestsPerSecond)),
    cpuMsPerRequest: spread(samples[variant].map((sample) => sample.cpuMsPerRequest)),
  });
  const summary = { untraced: of('untraced'), ours: of('ours') };
  const ratio = summary.ours.requestsPerSecond.median / summary.untraced.requestsPerSecond.median;
  console.log(`${options.concurrent} at once on Node ${process.versions.node}; medians of ${options.rounds} samples of ${options.durationMs / 1e3} s, ± half the interquartile range\n`);
  for (const [variant, { requestsPerSecond: rate, cpuMsPerRequest: cpu }] of Object.entries(summary)) {
    console.log(`${variant.padEnd(10)}${rate.median.toFixed(0).padStart(7)} ± ${((rate.q3 - rate.q1) / 2).toFixed(0)} requests/s, ${cpu.median.toFixed(3)} ms CPU each`);
  }
  console.log(`ours is ${(ratio * 100).toFixed(1)} % of untraced`);
  if (json !== undefined) writeResults(json, { ...head(about, parameters), ratio, summary, samples });
  const missing = samples.ours.find(({ requests, pairs }) => requests !== pairs);
  if (missing !== undefined) throw new Error(`${missing.pairs} records of ${missing.requests} requests`);
}

runProgram(USAGE, readOptions, main);
