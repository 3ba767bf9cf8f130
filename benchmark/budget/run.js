'use strict';

// The hook times that getStats() reports, held against a clock outside of the hooks. benchmark/pipeline/README.md says how to
// read it.

const { fork } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { startServer } = require('../support/server-process.js');
const { median } = require('../support/statistics.js');

const ROOT = path.join(__dirname, '..', '..');
const USAGE = `node benchmark/budget/run.js [options]
  --requests N      streams of 200 chunks in each process (default 1000)
  --rounds N        processes of each kind, whose medians are shown (default 5)
  --json FILE
  --package FOLDER  where the package under test lies (default: this checkout)`;

/**
 * @typedef {{ count: number, mean: number, p50: number, p99: number }} Times µs
 * @typedef {{ request: Times, chunk: Times }} Account
 * @typedef {{ own: Account, outside: Account, empty: Account }} Round
 * @typedef {{ what: string, own: number, outside: number, ratio: number }} Row µs; ratio: own / outside
 */

/** @param {string[]} args */
function readOptions(args) {
  const text = /** @type {const} */ ({ type: 'string' });
  const { values } = parseArgs({ args, options: { requests: text, rounds: text, json: text, package: text, help: { type: 'boolean', short: 'h' } } });
  if (values.help) return null;
  return {
    requests: whole(values.requests ?? '1000', 'requests'),
    rounds: whole(values.rounds ?? '5', 'rounds'),
    json: values.json,
    loader: path.join(path.resolve(values.package ?? ROOT), 'interceptor-loader.js'),
  };
}

/** @param {string} text @param {string} name */
function whole(text, name) {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} ${text} is not a whole number from 1 on`);
  return value;
}

/**
 * @param {string} origin
 * @param {number} requests
 * @param {string | null} loader null: what the brackets measure when there is nothing between them
 */
async function runClient(origin, requests, loader) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-budget-'));
  try {
    const child = fork(path.join(__dirname, 'client.cjs'), [JSON.stringify({ url: `${origin}/unpaced/v1/messages`, requests })], {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: folder, TMPDIR: os.tmpdir(), ANTHROPIC_BASE_URL: `${origin}/unpaced` },
      execArgv: ['--require', path.join(__dirname, 'open.cjs'), ...(loader === null ? [] : ['--require', loader])],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const exit = once(child, 'exit');
    const [result] = await Promise.race([once(child, 'message'), exit.then(([code, signal]) => Promise.reject(new Error(`the client ended with ${signal ?? code}`)))]);
    await exit;
    return result;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
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
async function main({ requests, rounds: count, json, loader }) {
  const server = await startServer();
  /** @type {Round[]} */
  const rounds = [];
  try {
    for (let i = 0; i < count; i++) {
      const empty = await runClient(server.origin, requests, null);
      const { own, outside } = await runClient(server.origin, requests, loader);
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
  if (json !== undefined) fs.writeFileSync(json, `${JSON.stringify({ format: 1, node: process.versions.node, requests, rounds, rows }, null, 1)}\n`);
}

const options = readOptions(process.argv.slice(2));
if (options === null) console.log(USAGE);
else {
  main(options).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
