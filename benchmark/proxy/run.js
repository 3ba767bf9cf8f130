'use strict';

// What a reverse proxy costs: direct, ours, nginx and mitmproxy in one run. benchmark/README.md says how to read it.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { randomFrom, shuffled } = require('../support/statistics.js');
const { contenders } = require('./contenders.js');
const { tables } = require('./report.js');
const { takeSample } = require('./sample.js');

const USAGE = `node benchmark/proxy/run.js [OPTIONS]

  --rounds N           default 3
  --streams LIST       default 1,100,2000
  --only LIST          of direct, ours, nginx, mitmproxy, mitmproxy-record; default: those that are installed. And
                       of ours-unmatched (rules for other requests), ours-header (a rule sets a field of every request),
                       ours-replace (a rule replaces in every event), ours-rules (one looks at every event and finds nothing)
  --before PROGRAM     another build of the command, held against this one (before)
  --nginx PROGRAM      default: nginx of the PATH
  --mitmdump PROGRAM   default: mitmdump of the PATH
  --json FILE          writes all samples
  --append             adds its rounds to those of FILE, and shows all of them
  --seed N             of the order; default 1
  --quick              the shape of the output in some seconds; says nothing of speed`;

/** How long each client's streams are, so that a sample takes some seconds. */
const LOADS = [
  { upTo: 10, rounds: 60, chunks: 10, paceMs: 3 },
  { upTo: 500, rounds: 3, chunks: 20, paceMs: 25 },
  { upTo: Infinity, rounds: 1, chunks: 20, paceMs: 200 },
];

/** @param {number} streams @param {boolean} quick @returns {import('./sample.js').Load} */
function loadOf(streams, quick) {
  const { rounds, chunks, paceMs } = /** @type {typeof LOADS[0]} */ (LOADS.find(({ upTo }) => streams <= upTo));
  return quick ? { streams, rounds: 2, chunks: 3, paceMs: 2, requestsMs: 50 } : { streams, rounds, chunks, paceMs, requestsMs: 1500 };
}

async function startUpstream() {
  const child = spawn(process.execPath, [path.join(__dirname, 'upstream.js')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const port = Number(await new Promise((resolve) => child.stdout.once('data', resolve)));
  return { port, pid: Number(child.pid), close: () => child.stdin.end() };
}

async function main() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '3' },
      streams: { type: 'string', default: '1,100,2000' },
      only: { type: 'string' },
      nginx: { type: 'string', default: 'nginx' },
      mitmdump: { type: 'string', default: 'mitmdump' },
      before: { type: 'string' },
      json: { type: 'string' },
      append: { type: 'boolean', default: false },
      seed: { type: 'string', default: '1' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const asked = contenders(values).filter(({ id, isAskedFor }) => (values.only === undefined ? !isAskedFor : values.only.split(',').includes(id)));
  const there = asked.map((contender) => ({ ...contender, is: contender.version() })).filter(({ is, title }) => is !== null || console.log(`${title} is not installed`));
  const loads = values.streams.split(',').map((streams) => loadOf(Number(streams), values.quick));
  const random = randomFrom(Number(values.seed));
  const earlier = values.append && values.json && fs.existsSync(values.json) ? JSON.parse(fs.readFileSync(values.json, 'utf8')).samples : [];
  const samples = [...earlier];
  const upstream = await startUpstream();
  try {
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const load of shuffled(loads, random)) {
        for (const contender of shuffled(there, random)) {
          samples.push({ contender: contender.id, connections: load.streams, at: Date.now(), ...(await takeSample(contender, load, upstream)) });
        }
      }
    }
  } finally {
    upstream.close();
  }
  const about = { cpu: os.cpus()[0]?.model, cores: os.availableParallelism(), kernel: `${os.type()} ${os.release()}`, node: process.versions.node };
  const versions = Object.fromEntries(there.map(({ id, is }) => [id, is]));
  console.log(`${about.cpu}, ${about.cores} cores, ${about.kernel}, Node ${about.node}${values.quick ? '; --quick: no measurement' : ''}`);
  console.log(there.map(({ title, is }) => `${title}: ${is}`).join('; '));
  for (const table of tables(samples, there)) console.log(`\n${table}`);
  if (values.json) fs.writeFileSync(values.json, `${JSON.stringify({ about, versions, loads, samples }, null, 1)}\n`);
}

main();
