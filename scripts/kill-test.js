'use strict';

// `npm run kill-test`: recorded programs are killed with SIGKILL in mid-stream, again and again, and what is on record is
// held against what they had received. docs/durability.md says what is promised; scripts/kill-test/ how it is tried.

const path = require('node:path');
const { parseArgs } = require('node:util');
const { killMany } = require('./kill-test/kills.js');
const { failure, figures } = require('./kill-test/report.js');

const USAGE = `npm run kill-test [-- options]
  --kills N         programs to kill, at least (default 1000)
  --seed N          of configurations, loads and moments (default 1)
  --concurrency N   at a time (default 3)
  --run N           this run of the seed again and again
  --package FOLDER  where the package under test lies (default: this checkout)
  --snapshots       keep what each killed process has left behind`;

/** @param {string[]} args */
function readOptions(args) {
  const text = /** @type {const} */ ({ type: 'string' });
  const flag = /** @type {const} */ ({ type: 'boolean' });
  const { values } = parseArgs({ args, options: { kills: text, seed: text, concurrency: text, run: text, package: text, snapshots: flag, help: { ...flag, short: 'h' } } });
  if (values.help) return null;
  return {
    kills: whole(values.kills ?? '1000', 'kills'),
    seed: whole(values.seed ?? '1', 'seed'),
    concurrency: whole(values.concurrency ?? '3', 'concurrency'),
    only: values.run === undefined ? undefined : whole(values.run, 'run'),
    loader: path.resolve(values.package ?? path.join(__dirname, '..'), 'interceptor-loader.js'),
    snapshots: values.snapshots ?? false,
  };
}

/** @param {string} text @param {string} name */
function whole(text, name) {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 0) throw new Error(`--${name} ${text} is not a whole number`);
  return value;
}

async function main() {
  const options = readOptions(process.argv.slice(2));
  if (options === null) return console.log(USAGE);
  const started = performance.now();
  const clear = process.stdout.isTTY ? '\r\x1b[K' : '';
  let failed = 0;
  const outcomes = await killMany({
    ...options,
    onOutcome(outcome, kills) {
      if (outcome.verdict.problems.length > 0) {
        failed++;
        console.log(`${clear}${failure(outcome)}`);
      }
      if (process.stdout.isTTY) process.stdout.write(`${clear}${kills} of ${options.kills} kills, ${failed} runs with losses`);
    },
  });
  const seconds = (performance.now() - started) / 1000;
  console.log(`${clear}${figures(outcomes, process.stdout.columns ?? 200)}\n`);
  console.log(`seed ${options.seed}, ${outcomes.length} runs in ${seconds.toFixed(0)} s, ${failed} of them with losses`);
  process.exitCode = failed > 0 ? 1 : 0;
}

main();
