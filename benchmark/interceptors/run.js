'use strict';

// What interceptors cost: an event on its way through a chain in Rust, and the CPU time and memory of a process that reads
// 10,000 events a second with interceptors in JS. benchmark/README.md says how to read it. `--quick` shows the shape of the
// tables and says nothing of speed; `--json FILE` keeps the figures.

const { execFileSync, spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { once } = require('node:events');
const { parseArgs } = require('node:util');
const { median } = require('../support/statistics.js');
const { streamOf } = require('../sse/streams.js');

const ROOT = path.join(__dirname, '../..');
const RATE = 10_000;
const HELP = `node benchmark/interceptors/run.js [options]

  --rounds N    of the JS part (3)
  --seconds N   of reading, each (5)
  --quick       the shape of the output; says nothing of speed
  --json FILE   keeps the figures`;
const KINDS = ['none', 'rules', 'batch', 'adapter, sync', 'adapter, async', 'event by event'];
const CHAINS = Object.freeze({
  empty: 'one that does nothing',
  metrics: 'metrics',
  looks: 'one that searches each event and changes 2 %',
  three: 'metrics, deduplication and that one',
  perEvent: 'a function for single events, adapted',
  threePerEvent: 'three of these',
});

/** @typedef {{ kind: string, cpuMs: number, wallMs: number, bytes: number, maxRssMb: number, passed: number, batchSize: number, delayP99Ms: number }} Sample */

/** @param {boolean} quick @returns {Record<string, number>} ns an event */
function measureChains(quick) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-interceptors-'));
  try {
    const { body, events } = streamOf(150, 1_500_000);
    const file = path.join(folder, 'stream');
    fs.writeFileSync(file, body);
    const program = ['run', '--quiet', ...(quick ? [] : ['--release']), '--package', 'claude-trace-core', '--example', 'interceptor_cost', '--'];
    return JSON.parse(execFileSync('cargo', [...program, file, String(events), '16384'], { cwd: ROOT, encoding: 'utf8' }));
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

/** @param {number} rounds @param {number} seconds @returns {Promise<Map<string, Sample[]>>} */
async function measureJs(rounds, seconds) {
  const server = spawn(process.execPath, [path.join(__dirname, 'server.js')], { stdio: ['pipe', 'pipe', 'inherit'] });
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-interceptors-'));
  /** @type {Map<string, Sample[]>} */
  const samples = new Map(KINDS.map((kind) => [kind, []]));
  try {
    const [line] = await once(readline.createInterface({ input: server.stdout }), 'line');
    const { url } = JSON.parse(line);
    for (let round = 0; round < rounds; round++) {
      // In turn, so that what drifts on the machine drifts under all of them alike.
      for (const kind of KINDS) {
        const env = { ...process.env, PACKAGE: process.env.CLAUDE_TRACE_TEST_PACKAGE ?? ROOT, CLAUDE_TRACE_RUNTIME_DIR: path.join(folder, 'run') };
        const child = spawn(process.execPath, [path.join(__dirname, 'client.js'), kind, url, String(RATE), String(seconds)], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
        let text = '';
        child.stdout.setEncoding('utf8').on('data', (part) => (text += part));
        const [code] = await once(child, 'close');
        if (code !== 0) throw new Error(`${kind} ended with ${code}`);
        samples.get(kind)?.push(JSON.parse(text));
      }
    }
  } finally {
    server.stdin.end();
    fs.rmSync(folder, { recursive: true, force: true });
  }
  return samples;
}

/**
 * @param {Map<string, Sample[]>} samples
 * @param {number} seconds
 */
function rowsOf(samples, seconds) {
  const of = (/** @type {string} */ kind, /** @type {keyof Sample} */ field) => median((samples.get(kind) ?? []).map((sample) => Number(sample[field])));
  const events = RATE * seconds;
  return KINDS.map((kind) => {
    // The difference of each round to the one without interceptors, of the same round.
    const extra = median((samples.get(kind) ?? []).map((sample, round) => sample.cpuMs - (samples.get('none')?.[round].cpuMs ?? 0)));
    return {
      kind,
      cpuPercent: (of(kind, 'cpuMs') / of(kind, 'wallMs')) * 100,
      extraUsPerEvent: (extra * 1000) / events,
      maxRssMb: of(kind, 'maxRssMb'),
      batchSize: of(kind, 'batchSize'),
      delayP99Ms: of(kind, 'delayP99Ms'),
      passed: of(kind, 'passed'),
    };
  });
}

/** @param {Record<string, number>} chains */
function chainTable(chains) {
  const lines = Object.entries(CHAINS).map(([key, words]) => `| ${words} | ${(chains[key] / 1000).toFixed(3)} µs |`);
  return ['| a chain in Rust, parsing included | an event |', '|---|--:|', ...lines].join('\n');
}

/** @param {ReturnType<typeof rowsOf>} rows */
function jsTable(rows) {
  const whole = rows.find(({ kind }) => kind === 'event by event')?.extraUsPerEvent ?? NaN;
  const lines = rows.map((row) => {
    const saved = row.kind === 'none' || row.kind === 'event by event' ? '' : `${(100 - (row.extraUsPerEvent / whole) * 100).toFixed(0)} % less`;
    const extra = row.kind === 'none' ? '' : `${row.extraUsPerEvent.toFixed(2)} µs`;
    const batch = row.batchSize === 0 ? '' : row.batchSize.toFixed(0);
    const delay = row.delayP99Ms === 0 ? '' : `${row.delayP99Ms.toFixed(0)} ms`;
    return `| ${row.kind} | ${row.cpuPercent.toFixed(1)} % | ${extra} | ${saved} | ${batch} | ${delay} | ${row.maxRssMb.toFixed(0)} MB |`;
  });
  return ['| 10,000 events/s | CPU of the process | of that for an event | | events in a batch | delay p99 | peak RSS |', '|---|--:|--:|--:|--:|--:|--:|', ...lines].join('\n');
}

/** @param {string[]} args */
function optionsOf(args) {
  const { values } = parseArgs({
    args,
    options: {
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      json: { type: 'string' },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '5' },
    },
  });
  const whole = (/** @type {'rounds' | 'seconds'} */ name) => {
    if (!/^[1-9]\d{0,3}$/.test(values[name])) throw new Error(`--${name} ${values[name]} is not a whole number from 1 to 9999`);
    return Number(values[name]);
  };
  return { ...values, rounds: whole('rounds'), seconds: whole('seconds') };
}

async function main() {
  const values = optionsOf(process.argv.slice(2));
  if (values.help) return console.log(HELP);
  const [rounds, seconds] = values.quick ? [1, 1] : [values.rounds, values.seconds];
  const chains = measureChains(values.quick);
  console.log(`${chainTable(chains)}\n`);
  const rows = rowsOf(await measureJs(rounds, seconds), seconds);
  console.log(jsTable(rows));
  const machine = { node: process.version, cpu: os.cpus()[0].model.trim(), processors: os.cpus().length, kernel: os.release() };
  console.log(`\nNode ${machine.node}, ${machine.cpu}, ${machine.processors} processors, Linux ${machine.kernel}; ${rounds} rounds of ${seconds} s`);
  if (values.quick) console.log('--quick: no measurement');
  if (values.json) fs.writeFileSync(values.json, `${JSON.stringify({ ...machine, rounds, seconds, rate: RATE, chains, rows }, null, 1)}\n`);
}

if (require.main === module) {
  main().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}

module.exports = { CHAINS, KINDS, chainTable, jsTable };
