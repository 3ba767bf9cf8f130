'use strict';

// `npm run benchmark:throughput`: requests a second at saturation, so many at once, untraced and traced in alternating order.

const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { startServer } = require('../support/server-process.js');
const { spread } = require('../support/statistics.js');

const ROOT = path.join(__dirname, '..', '..');
const USAGE = `npm run benchmark:throughput -- [options]
  --concurrent N    requests at once (default 100)
  --duration S      seconds of a sample, after a warm-up of a quarter of that (default 3)
  --rounds N        samples of each kind (default 5)
  --json FILE
  --package FOLDER  where the package under test lies (default: this checkout)`;

/** @typedef {{ requestsPerSecond: number, cpuMsPerRequest: number, requests: number, pairs: number | null }} Sample */

/** @param {string[]} args */
function readOptions(args) {
  const text = /** @type {const} */ ({ type: 'string' });
  const { values } = parseArgs({ args, options: { concurrent: text, duration: text, rounds: text, json: text, package: text, help: { type: 'boolean', short: 'h' } } });
  if (values.help) return null;
  return {
    concurrent: positive(values.concurrent ?? '100', 'concurrent'),
    durationMs: positive(values.duration ?? '3', 'duration') * 1e3,
    rounds: positive(values.rounds ?? '5', 'rounds'),
    json: values.json,
    loader: path.join(path.resolve(values.package ?? ROOT), 'interceptor-loader.js'),
  };
}

/** @param {string} text @param {string} name */
function positive(text, name) {
  const value = Number(text);
  if (!(value > 0) || !Number.isFinite(value)) throw new Error(`--${name} ${text} is not a number above 0`);
  return value;
}

/**
 * @param {string} origin
 * @param {{ concurrent: number, durationMs: number }} options
 * @param {string | null} loader null: untraced
 * @returns {Promise<Sample>}
 */
async function takeSample(origin, { concurrent, durationMs }, loader) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-throughput-'));
  const plan = { url: `${origin}/json/v1/messages`, concurrent, durationMs, warmUpMs: durationMs / 4 };
  try {
    const child = fork(path.join(__dirname, 'client.cjs'), [JSON.stringify(plan)], {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: folder, TMPDIR: os.tmpdir(), ANTHROPIC_BASE_URL: `${origin}/json` },
      execArgv: loader === null ? [] : ['--require', loader],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const exit = once(child, 'exit');
    const [sample] = await Promise.race([once(child, 'message'), exit.then(([code, signal]) => Promise.reject(new Error(`the client ended with ${signal ?? code}`)))]);
    await exit;
    return sample;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {NonNullable<ReturnType<typeof readOptions>>} options */
async function main(options) {
  const server = await startServer();
  /** @type {{ untraced: Sample[], ours: Sample[] }} */
  const samples = { untraced: [], ours: [] };
  try {
    for (let round = 0; round < options.rounds; round++) {
      const order = /** @type {const} */ (round % 2 === 0 ? ['untraced', 'ours'] : ['ours', 'untraced']);
      for (const variant of order) samples[variant].push(await takeSample(server.origin, options, variant === 'ours' ? options.loader : null));
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
  if (options.json !== undefined) fs.writeFileSync(options.json, `${JSON.stringify({ format: 1, node: process.versions.node, concurrent: options.concurrent, ratio, summary, samples })}\n`);
  const missing = samples.ours.find(({ requests, pairs }) => requests !== pairs);
  if (missing !== undefined) throw new Error(`${missing.pairs} records of ${missing.requests} requests`);
}

const options = readOptions(process.argv.slice(2));
if (options === null) console.log(USAGE);
else {
  main(options).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
