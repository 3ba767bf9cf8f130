'use strict';

// The hook times that getStats() reports, held against a clock outside of the hooks. README.md beside it says how to read
// it.

const path = require('node:path');
const { parseArgs } = require('node:util');
const { runClient } = require('../support/client-process.js');
const { machine } = require('../support/machine.js');
const { help, loaderOf, packageOf, runProgram, text, whole } = require('../support/options.js');
const { head, writeResults } = require('../support/results.js');
const { startServer } = require('../support/server-process.js');
const { median } = require('../support/statistics.js');

const USAGE = `node benchmark/budget/run.js [options]
  --requests N      streams of 200 chunks in each process (default 1000)
  --rounds N        processes of each kind, whose medians are shown (default 5)
  --json FILE
  --package FOLDER  where the package under test lies (default: this checkout, packed)`;

/**
 * @typedef {{ count: number, mean: number, p50: number, p99: number }} Times µs
 * @typedef {{ request: Times, chunk: Times }} Account
 * @typedef {{ own: Account, outside: Account, empty: Account }} Round
 * @typedef {{ what: string, own: number, outside: number, ratio: number }} Row µs; ratio: own / outside
 */

/** @param {string[]} args */
function readOptions(args) {
  const { values } = parseArgs({ args, options: { requests: text, rounds: text, json: text, package: text, help } });
  if (values.help) return null;
  return {
    requests: whole(values.requests ?? '1000', 'requests'),
    rounds: whole(values.rounds ?? '5', 'rounds'),
    json: values.json,
    packageFolder: packageOf(values.package),
  };
}

/**
 * @param {string} origin
 * @param {number} requests
 * @param {string | null} loader null: what the brackets measure when there is nothing between them
 * @returns {Promise<{ outside: Account, own: (Account & { faults: number }) | null }>}
 */
function takeSample(origin, requests, loader) {
  return runClient({
    program: path.join(__dirname, 'client.cjs'), plan: { url: `${origin}/unpaced/v1/messages`, requests }, baseUrl: `${origin}/unpaced`,
    execArgv: ['--require', path.join(__dirname, 'open.cjs')], loader,
  });
}

/**
 * What the clocks outside have measured, less what they measure of themselves.
 * @param {readonly Round[]} rounds
 * @returns {Row[]}
 */
function compare(rounds) {
  return /** @type {const} */ (['request', 'chunk']).flatMap((part) =>
    /** @type {const} */ (['p50', 'mean', 'p99']).map((figure) => {
      const own = median(rounds.map((round) => round.own[part][figure]));
      const outside = median(rounds.map((round) => round.outside[part][figure] - round.empty[part].p50));
      return { what: `${part} ${figure}`, own, outside, ratio: own / outside };
    }),
  );
}

/** @param {NonNullable<ReturnType<typeof readOptions>>} options */
async function main({ requests, rounds: count, json, packageFolder }) {
  const about = machine(packageFolder);
  const server = await startServer();
  /** @type {Round[]} */
  const rounds = [];
  try {
    for (let i = 0; i < count; i++) {
      const empty = await takeSample(server.origin, requests, null);
      const { own, outside } = await takeSample(server.origin, requests, loaderOf(packageFolder));
      if (own === null || own.faults !== 0) throw new Error(`the recorder is not at work: ${JSON.stringify(own)}`);
      for (const part of /** @type {const} */ (['request', 'chunk'])) {
        if (own[part].count !== outside[part].count) throw new Error(`${own[part].count} ${part}s by our account, ${outside[part].count} seen from outside`);
      }
      rounds.push({ own, outside, empty: empty.outside });
    }
  } finally {
    await server.close();
  }
  const rows = compare(rounds);
  console.log(`hook times on Node ${process.versions.node}, ${count} processes of ${requests} streams, µs\n\n                 getStats   outside   ratio`);
  for (const { what, own, outside, ratio } of rows) console.log(`${what.padEnd(14)}${own.toFixed(3).padStart(11)}${outside.toFixed(3).padStart(10)}${ratio.toFixed(2).padStart(8)}`);
  if (json !== undefined) writeResults(json, { ...head(about, { requests, rounds: count }), rows, rounds });
}

runProgram(USAGE, readOptions, main);
