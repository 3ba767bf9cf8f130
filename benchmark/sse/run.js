'use strict';

// What an event of a stream costs, in nanoseconds: ours in Rust, and what JS has for the same. benchmark/README.md says how to
// read the result. `--quick` shows the shape of the table and says nothing of speed; `--json FILE` keeps the figures.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { median } = require('../support/statistics.js');
const { CONTENDERS } = require('./contenders.js');
const { cut, streamOf } = require('./streams.js');

const ROOT = path.join(__dirname, '../..');
const EVENT_BYTES = [64, 150, 2048];
const PIECE_BYTES = Object.freeze({ '1 B': 1, '100 B': 100, '1 KB': 1024, '16 KB': 16_384, '64 KB': 65_536, whole: Infinity });

/** @typedef {{ who: string, eventBytes: number, pieces: string, nsPerEvent: number }} Figure */

/** @param {import('./streams.js').Stream} stream @param {boolean} quick @returns {Figure[]} */
function measureOurs({ body, events, eventBytes }, quick) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-sse-'));
  try {
    const file = path.join(folder, 'stream');
    fs.writeFileSync(file, body);
    const sizes = Object.values(PIECE_BYTES).map((size) => String(Math.min(size, body.length)));
    const program = ['run', '--quiet', ...(quick ? [] : ['--release']), '--package', 'claude-trace-core', '--example', 'sse_cost', '--'];
    const text = execFileSync('cargo', [...program, file, String(events), ...sizes], { cwd: ROOT, encoding: 'utf8' });
    return text.trimEnd().split('\n').flatMap((line, i) => {
      const { split, message } = JSON.parse(line);
      const pieces = Object.keys(PIECE_BYTES)[i];
      return [
        { who: 'ours, split', eventBytes, pieces, nsPerEvent: split },
        { who: 'ours, message', eventBytes, pieces, nsPerEvent: message },
      ];
    });
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

/** @param {import('./streams.js').Stream} stream @param {boolean} quick @returns {Promise<Figure[]>} */
async function measureTheirs({ body, events, eventBytes }, quick) {
  const figures = [];
  for (const [who, run] of Object.entries(CONTENDERS)) {
    for (const [name, size] of Object.entries(PIECE_BYTES)) {
      const pieces = cut(body, Math.min(size, body.length));
      const rounds = [];
      // The first rounds are the compiler's.
      for (let round = quick ? 4 : 0; round < 8; round++) {
        const start = process.hrtime.bigint();
        const seen = await run(pieces);
        const ns = Number(process.hrtime.bigint() - start);
        if (seen !== events) throw new Error(`${who} saw ${seen} of ${events} events in pieces of ${name}`);
        if (round >= 3) rounds.push(ns / events);
      }
      figures.push({ who, eventBytes, pieces: name, nsPerEvent: median(rounds) });
    }
  }
  return figures;
}

/** @param {readonly Figure[]} figures @returns {string} Markdown */
function table(figures) {
  const names = Object.keys(PIECE_BYTES);
  const lines = [`| ns an event | of | ${names.join(' | ')} |`, `|---|--:|${'--:|'.repeat(names.length)}`];
  for (const eventBytes of EVENT_BYTES) {
    for (const who of new Set(figures.map((figure) => figure.who))) {
      const of = names.map((pieces) => figures.find((f) => f.who === who && f.eventBytes === eventBytes && f.pieces === pieces)?.nsPerEvent ?? NaN);
      lines.push(`| ${who} | ${eventBytes} B | ${of.map((ns) => (ns < 100 ? ns.toFixed(1) : Math.round(ns).toLocaleString('en'))).join(' | ')} |`);
    }
  }
  return lines.join('\n');
}

async function main() {
  const { values } = parseArgs({ options: { quick: { type: 'boolean', default: false }, json: { type: 'string' } } });
  /** @type {Figure[]} */
  const figures = [];
  for (const eventBytes of EVENT_BYTES) {
    const stream = streamOf(eventBytes);
    figures.push(...measureOurs(stream, values.quick), ...(await measureTheirs(stream, values.quick)));
  }
  console.log(table(figures));
  console.log(`\nNode ${process.version}, ${os.cpus()[0].model.trim()}, ${os.cpus().length} processors, Linux ${os.release()}`);
  if (values.json) fs.writeFileSync(values.json, `${JSON.stringify({ node: process.version, cpu: os.cpus()[0].model, figures }, null, 1)}\n`);
}

if (require.main === module) main();

module.exports = { table };
