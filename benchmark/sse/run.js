'use strict';

// What an event of a stream costs: ours in Rust, and what JS has for the same. README.md beside it says how to read the result.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { machine } = require('../support/machine.js');
const { ROOT, flag, help, runProgram, text, whole } = require('../support/options.js');
const { head, writeResults } = require('../support/results.js');
const { median } = require('../support/statistics.js');
const { CONTENDERS } = require('./contenders.js');
const { EVENT_BYTES, cut, streamOf } = require('./streams.js');

const PIECES = Object.freeze({ '1 B': 1, '100 B': 100, '1 KB': 1024, '16 KB': 16_384, '64 KB': 65_536, whole: Infinity });

const USAGE = `node benchmark/sse/run.js [options]
  --rounds N        rounds that count of each figure, after as many that do not (default 9; with --quick 1)
  --json FILE       all figures
  --quick           tiny streams, built without optimisation: shows the shape of the output, says nothing of speed`;

/** @typedef {{ who: string, eventBytes: number, pieces: string, nsPerEvent: number }} Figure */
/** @typedef {{ quick: boolean, rounds: number, json: string | undefined }} Options */

/** @param {string[]} args @returns {Options | null} null: help was asked for */
function readOptions(args) {
  const { values } = parseArgs({ args, options: { rounds: text, json: text, quick: flag, help } });
  if (values.help) return null;
  const quick = values.quick ?? false;
  return { quick, rounds: whole(values.rounds ?? (quick ? '1' : '9'), 'rounds'), json: values.json };
}

/** @param {import('./streams.js').Stream} stream @param {Options} options @returns {Figure[]} */
function measureOurs({ body, events, eventBytes }, { quick, rounds }) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-sse-'));
  try {
    const file = path.join(folder, 'stream');
    fs.writeFileSync(file, body);
    const sizes = Object.values(PIECES).map((size) => Math.min(size, body.length));
    const program = ['run', '--quiet', ...(quick ? [] : ['--release']), '--package', 'claude-trace-core', '--example', 'sse_cost', '--'];
    const args = [...program, file, String(events), String(rounds), ...sizes.map(String)];
    const answers = execFileSync('cargo', args, { cwd: ROOT, encoding: 'utf8' }).trimEnd().split('\n').map((line) => JSON.parse(line));
    return Object.keys(PIECES).flatMap((pieces, i) => [
      { who: 'ours, split', eventBytes, pieces, nsPerEvent: answers[i].split },
      { who: 'ours, message', eventBytes, pieces, nsPerEvent: answers[i].message },
    ]);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

/** @param {import('./streams.js').Stream} stream @param {Options} options @returns {Promise<Figure[]>} */
async function measureTheirs({ body, events, eventBytes }, { rounds }) {
  const figures = [];
  for (const [who, run] of Object.entries(CONTENDERS)) {
    for (const [name, size] of Object.entries(PIECES)) {
      const pieces = cut(body, Math.min(size, body.length));
      const times = [];
      // The first rounds are the compiler's.
      for (let round = 0; round < 2 * rounds; round++) {
        const start = process.hrtime.bigint();
        const seen = await run(pieces);
        times.push(Number(process.hrtime.bigint() - start) / events);
        if (seen !== events) throw new Error(`${who} saw ${seen} of ${events} events in pieces of ${name}`);
      }
      figures.push({ who, eventBytes, pieces: name, nsPerEvent: median(times.slice(rounds)) });
    }
  }
  return figures;
}

/** @param {readonly Figure[]} figures @returns {string} Markdown */
function table(figures) {
  const names = Object.keys(PIECES);
  const lines = [`| ns an event | of | ${names.join(' | ')} |`, `|---|--:|${'--:|'.repeat(names.length)}`];
  for (const eventBytes of EVENT_BYTES) {
    for (const who of new Set(figures.map((figure) => figure.who))) {
      const of = names.map((pieces) => figures.find((f) => f.who === who && f.eventBytes === eventBytes && f.pieces === pieces)?.nsPerEvent ?? NaN);
      lines.push(`| ${who} | ${eventBytes} B | ${of.map((ns) => (ns < 100 ? ns.toFixed(1) : Math.round(ns).toLocaleString('en'))).join(' | ')} |`);
    }
  }
  return lines.join('\n');
}

/** @param {Options} options */
async function main(options) {
  /** @type {Figure[]} */
  const figures = [];
  for (const eventBytes of EVENT_BYTES) {
    const stream = streamOf(eventBytes, options.quick ? 6_000 : 1_500_000);
    figures.push(...measureOurs(stream, options), ...(await measureTheirs(stream, options)));
  }
  const measuredOn = machine();
  console.log(table(figures));
  console.log(options.quick ? '\n--quick: no measurement' : `\nNode ${process.version}, ${measuredOn.cpu}, ${measuredOn.cores} processors, ${measuredOn.kernel}`);
  if (options.json) writeResults(options.json, { ...head(measuredOn, { rounds: options.rounds, quick: options.quick }), figures });
}

if (require.main === module) runProgram(USAGE, readOptions, main);

module.exports = { PIECES, table };
