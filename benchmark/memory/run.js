'use strict';

// A long run in search of leaks: a traced client and an untraced one side by side, at the same steady rate, against one
// server. README.md beside it says how to read it.

const path = require('node:path');
const { parseArgs } = require('node:util');
const { runClient } = require('../support/client-process.js');
const { machine } = require('../support/machine.js');
const { help, loaderOf, packageOf, positive, runProgram, text } = require('../support/options.js');
const { head, writeResults } = require('../support/results.js');
const { startServer } = require('../support/server-process.js');
const { writePlot } = require('./plot.js');
const { judge } = require('./verdict.js');

const DEFAULT = { duration: 3600, rate: 200 };
const MOST_LOOKS = 720;

const USAGE = `npm run benchmark:memory -- [options]
  --duration S      seconds (default ${DEFAULT.duration})
  --rate N          requests a second of each of the two clients (default ${DEFAULT.rate})
  --json FILE       all looks at the memory, and the verdict; beside it a plot (.svg)
  --package FOLDER  where the package under test lies (default: this checkout, packed)
At the default rate the log takes some 1 MB a second of the disk of the folder for temporary files, until the run ends.`;

/** @param {string[]} args */
function readOptions(args) {
  const { values } = parseArgs({ args, options: { duration: text, rate: text, json: text, package: text, help } });
  if (values.help) return null;
  return {
    durationMs: positive(values.duration ?? String(DEFAULT.duration), 'duration') * 1e3,
    rate: positive(values.rate ?? String(DEFAULT.rate), 'rate'),
    json: values.json,
    packageFolder: packageOf(values.package),
  };
}

/**
 * @param {string} origin
 * @param {{ rate: number, durationMs: number }} options
 * @param {string | null} loader null: untraced
 * @param {(look: import('./verdict.js').Look) => void} onLook
 * @returns {Promise<import('./verdict.js').Look[]>}
 */
async function looksOf(origin, { rate, durationMs }, loader, onLook) {
  /** @type {import('./verdict.js').Look[]} */
  const looks = [];
  const plan = { origin, rate, durationMs, lookMs: Math.max(durationMs / MOST_LOOKS, Math.min(1000, durationMs / 8)) };
  await runClient({ program: path.join(__dirname, 'client.cjs'), plan, baseUrl: origin, execArgv: ['--expose-gc'], loader }, ({ look }) => {
    looks.push(look);
    onLook(look);
  });
  return looks;
}

/** @param {NonNullable<ReturnType<typeof readOptions>>} options */
async function main(options) {
  const { json, packageFolder, ...parameters } = options;
  const about = machine(packageFolder);
  const server = await startServer();
  const clear = process.stdout.isTTY ? '\r\x1b[K' : '';
  let said = -Infinity;
  console.log('      s   requests   RSS MiB   heap   pool and records   log MiB');
  /** @param {import('./verdict.js').Look} look */
  const say = ({ atMs, ended, rssMiB, heapMiB, ours }) => {
    if (atMs - said < options.durationMs / 30) return;
    said = atMs;
    const columns = [[(atMs / 1e3).toFixed(0), 7], [ended, 11], [rssMiB.toFixed(1), 10], [heapMiB.toFixed(1), 7], [(ours?.memoryMiB ?? 0).toFixed(1), 19], [(ours?.logMiB ?? 0).toFixed(0), 10]];
    console.log(`${clear}${columns.map(([text, width]) => String(text).padStart(Number(width))).join('')}`);
  };
  try {
    const loader = loaderOf(packageFolder);
    const [untraced, ours] = await Promise.all([looksOf(server.origin, options, null, () => {}), looksOf(server.origin, options, loader, say)]);
    const verdict = judge(untraced, ours);
    console.log(report(verdict));
    if (json !== undefined) {
      const results = { ...head(about, parameters), verdict, untraced, ours };
      writeResults(json, results);
      await writePlot(json, results);
    }
    if (!verdict.isWhole) throw new Error('the log is not complete');
  } finally {
    await server.close();
  }
}

/** @param {import('./verdict.js').Verdict} v */
function report(v) {
  const mib = (/** @type {number} */ value) => `${value >= 0 ? '+' : '−'}${Math.abs(value).toFixed(2)} MiB`;
  return [
    '',
    `${v.requests} requests, ${v.logMiB.toFixed(0)} MiB of log, ${v.isWhole ? 'every one of them on record' : 'NOT COMPLETE'}`,
    `over untraced in the last quarter: ${mib(v.steady)}`,
    `growth of that since the second quarter: ${mib(v.growth)} (${mib(v.growthPerHour)} an hour), of the JS heap ${mib(v.heapGrowth)}; untraced itself: ${mib(v.untracedGrowth)}`,
    `CPU per request: ${v.cpuMsPerRequest.second.toFixed(3)} ms in the second quarter, ${v.cpuMsPerRequest.last.toFixed(3)} ms in the last`,
  ].join('\n');
}

runProgram(USAGE, readOptions, main);
