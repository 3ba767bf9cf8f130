'use strict';

// The benchmarks of pipeline, hook budget, memory and throughput as programs: that they measure what they say. Of how fast
// anything is, nothing is said here.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { promisify } = require('node:util');
const { judge: judgeMemory } = require('../benchmark/memory/verdict.js');
const { growthOf } = require('../benchmark/pipeline/growth.js');
const { cases } = require('../benchmark/pipeline/questions.js');
const { ENV, ROOT, measured, run } = require('./support/benchmark.js');

const OTHER_NODE = path.join(ROOT, 'node_modules', process.versions.node.startsWith('22.') ? 'node24' : 'node22', 'bin', 'node');
const PACKAGE = process.env.CLAUDE_TRACE_TEST_PACKAGE ?? ROOT;

/** @type {string} */
let folder;
before(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-benchmark-test-'))));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

const isPositive = (value) => Number.isFinite(value) && value > 0;

test('pipeline: every case has its figures, the share of the disk’s speed among them', async () => {
  const { stdout, results } = await measured(folder, 'pipeline/run.js', '--quick');
  const asked = ({ kind, place, workers, producers }) => `${kind} ${place} ${workers} ${producers}`;
  assert.deepEqual(results.rows.map(asked), cases().map(asked));
  for (const row of results.rows) {
    for (const key of ['megabytesPerSecond', 'recordsPerSecond', 'usPerChunk', 'logMegabytesPerSecond', 'plainMegabytesPerSecond', 'shareOfPlain', 'peakMegabytes']) {
      assert.ok(isPositive(row[key].median), `${asked(row)}: ${key} is ${row[key].median}`);
    }
  }
  for (const { kind, workers, answer } of results.runs) {
    // 1 MB in chunks of 150 bytes; and the line has it all, escaped.
    if (kind === 'sse') assert.ok(Math.abs(answer.chunks / (answer.responseMegabytes * 1e6 / 150) - 1) < 0.01, `${answer.chunks} chunks`);
    assert.ok(answer.log.megabytes > answer.responseMegabytes);
    // A thread takes its name when it first runs; so short a run can be over before all have.
    const named = Object.keys(answer.cpuSecondsByThread).filter((name) => name.startsWith('ct-worker')).length;
    assert.ok(named >= 1 && named <= (workers === 'auto' ? 4 : workers), `${named} of ${workers} workers`);
  }
  assert.equal(results.long.marks.length, 11);
  assert.ok(results.long.marks.slice(1).every(({ control }) => isPositive(control.records) && isPositive(control.cpuSeconds)), 'a fresh process beside each tenth');
  for (const key of ['first', 'last']) assert.ok(isPositive(results.growth.againstFresh[key]));
  assert.match(stdout, /--quick: no measurement/);
  assert.match(stdout, /up to a log of \d+ MB/);
});

test('budget: both accounts have seen the same requests and chunks', async () => {
  const { stdout, results } = await measured(folder, 'budget/run.js', '--requests', '5', '--rounds', '1', '--package', PACKAGE);
  const [{ own, outside, empty }] = results.rounds;
  assert.deepEqual([own.request.count, outside.request.count], [5, 5]);
  assert.equal(own.chunk.count, outside.chunk.count);
  assert.ok(own.chunk.count >= 5, `${own.chunk.count} chunks`);
  assert.ok(outside.request.mean > empty.request.mean, 'there is something between the brackets');
  // The hooks were outside of the brackets once they had come to subscribe with the first request.
  assert.ok(outside.request.mean > own.request.mean, `${outside.request.mean} µs outside, ${own.request.mean} inside`);
  assert.deepEqual(results.rows.map(({ what }) => what), ['request p50', 'request mean', 'request p99', 'chunk p50', 'chunk mean', 'chunk p99']);
  for (const { what, ratio } of results.rows.slice(0, 2)) assert.ok(isPositive(ratio), `${what}: ${ratio}`);
  assert.match(stdout, /getStats +outside +ratio\nrequest p50/);
});

test('memory: a short run has looks of both, and every request on record', async () => {
  const { stdout, results } = await measured(folder, 'memory/run.js', '--duration', '2', '--rate', '50', '--package', PACKAGE);
  assert.ok(results.ours.length >= 4 && results.untraced.length >= 4, `${results.ours.length} and ${results.untraced.length} looks`);
  const last = results.ours.at(-1);
  assert.equal(last.ours.pairs, last.begun);
  assert.ok(last.begun >= 50, `${last.begun} requests`);
  assert.equal(results.untraced.at(-1).ours, null);
  assert.equal(results.verdict.isWhole, true);
  assert.match(stdout, /every one of them on record/);
  const svg = fs.readFileSync(path.join(folder, 'memory.svg'), 'utf8');
  assert.match(svg, /^<svg [^]*untraced[^]*<\/svg>$/);
  assert.doesNotMatch(svg, /NaN|undefined/);
});

test('throughput: both kinds are sampled, so many at once, and every request is on record', async () => {
  const { stdout, results } = await measured(folder, 'throughput/run.js', '--concurrent=20', '--duration', '0.3', '--rounds', '1', '--package', PACKAGE);
  assert.equal(results.parameters.concurrent, 20);
  assert.ok(isPositive(results.ratio));
  assert.equal(results.samples.ours[0].pairs, results.samples.ours[0].requests);
  assert.ok(results.samples.ours[0].requests >= 20);
  assert.match(stdout, /ours is [\d.]+ % of untraced/);
});

describe('the verdict on memory', () => {
  const looks = (rssMiB, ours) => Array.from({ length: 41 }, (_, i) => ({
    atMs: i * 1000, begun: i * 100, ended: i * 100, skipped: 0, rssMiB: rssMiB(i), heapMiB: 10, externalMiB: 1, cpuMs: i * 50,
    ours: ours ? { pairs: i * 100, pending: 0, mode: 'zero-latency', drops: 0, spills: 0, faults: 0, memoryMiB: 4, logMiB: i } : null,
  }));

  test('what untraced grows by is not ours', () => {
    const verdict = judgeMemory(looks((i) => 100 + i, false), looks((i) => 112 + i, true));
    assert.deepEqual([verdict.steady, verdict.growth, verdict.untracedGrowth], [12, 0, 20]);
    assert.equal(verdict.isWhole, true);
  });

  test('a leak is seen, with its size an hour', () => {
    const verdict = judgeMemory(looks(() => 100, false), looks((i) => 110 + i * 0.5, true));
    assert.equal(verdict.growth, 10);
    assert.equal(Math.round(verdict.growthPerHour), 1800);
  });

  test('a record that is missing is seen', () => {
    const ours = looks(() => 110, true);
    /** @type {any} */ (ours.at(-1)).ours.pairs--;
    assert.equal(judgeMemory(looks(() => 100, false), ours).isWhole, false);
  });
});

test('growth is that of the last tenths over the early ones', () => {
  const marks = Array.from({ length: 11 }, (_, i) => ({ records: i * 10, seconds: i, cpuSeconds: i * 2e-5, userSeconds: i < 8 ? i * 1e-5 : 7e-5 + (i - 7) * 3e-5, residentMegabytes: 20 + i, stolenSeconds: i / 2, control: null }));
  const { userUsPerRecord, cpuUsPerRecord, residentMegabytes, stolenSeconds } = growthOf(/** @type {any} */ ({ marks, log: { megabytes: 1 } }));
  assert.deepEqual([userUsPerRecord.first.toFixed(3), userUsPerRecord.last.toFixed(3)], ['1.000', '3.000']);
  assert.deepEqual([cpuUsPerRecord.first.toFixed(3), cpuUsPerRecord.last.toFixed(3)], ['2.000', '2.000']);
  assert.deepEqual(residentMegabytes, { first: 22, last: 28 });
  assert.equal(stolenSeconds, 5);
});

test('what a fresh process costs more at the same time is not growth', () => {
  let [cpuSeconds, drift] = [0, 1];
  /** @param {(tenth: number) => number} ours cost of a record over that of the first one, the machine's drift aside */
  const marksOf = (ours) => Array.from({ length: 11 }, (_, i) => {
    if (i > 0) cpuSeconds += (drift = 1 + i / 10) * ours(i) * 1e-5;
    const control = i === 0 ? null : { records: 5, cpuSeconds: drift * 1e-5, userSeconds: 0 };
    return { records: i * 10, seconds: i, cpuSeconds, userSeconds: 0, residentMegabytes: 20, stolenSeconds: 0, control };
  });
  const ratios = (/** @type {(tenth: number) => number} */ ours) => {
    const { againstFresh: { first, last }, freshUsPerRecord } = growthOf(/** @type {any} */ ({ marks: marksOf(ours), log: { megabytes: 1 } }));
    assert.deepEqual([freshUsPerRecord.least.toFixed(1), freshUsPerRecord.most.toFixed(1)], ['2.2', '4.0']);
    return last / first;
  };
  assert.ok(Math.abs(ratios(() => 1) - 1) < 0.03, 'the machine alone');
  assert.ok(Math.abs(ratios((i) => (i > 7 ? 2 : 1)) - 2) < 0.06, 'ours');
});

test('each script of package.json opens a benchmark, and explains itself', async () => {
  const { scripts } = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
  const asked = ['bench', 'benchmark:latency', 'benchmark:throughput', 'benchmark:memory', 'test:performance', 'test:memory', 'validate:targets'];
  assert.deepEqual(asked.filter((name) => !(name in scripts)), []);
  const names = Object.keys(scripts).filter((name) => scripts[name].includes('benchmark/'));
  await Promise.all(names.map(async (name) => {
    const [node, program, ...args] = scripts[name].split(' ');
    assert.equal(node, 'node');
    const { code, stdout } = await run(path.relative('benchmark', program), ...args, '--help');
    assert.equal(code, 0, name);
    assert.match(stdout, /--json FILE/, name);
  }));
});

test('a bad option is an error that names it', async () => {
  for (const [program, args, message] of /** @type {[string, string[], RegExp][]} */ ([
    ['pipeline/run.js', ['--rounds', '0'], /--rounds 0 is not a whole number/],
    ['budget/run.js', ['--requests', 'x'], /--requests x is not a whole number/],
    ['memory/run.js', ['--duration', '-1'], /--duration/],
    ['throughput/run.js', ['--concurrent=none'], /--concurrent none is not a number above 0/],
    ['targets/run.js', ['--only', 'nothing'], /--only nothing is not one of overhead, budget, memory, pipeline/],
    ['targets/run.js', ['--id', 'nothing'], /--id nothing: there is no such target/],
  ])) {
    const { code, stderr } = await run(program, ...args);
    assert.equal(code, 1, program);
    assert.match(stderr, message);
  }
});

// `node` was the one of node_modules/.bin, so that `npm run bench` measured another Node than its user has.
test('under npm a benchmark runs on the Node that npm runs on', { skip: !fs.existsSync(OTHER_NODE) && 'no other Node is installed' }, async () => {
  const args = [path.join(ROOT, 'benchmark/budget/run.js'), '--requests', '2', '--rounds', '1', '--package', PACKAGE];
  const { stdout } = await promisify(execFile)(OTHER_NODE, args, { env: { ...ENV, npm_node_execpath: process.execPath } });
  assert.ok(stdout.startsWith(`hook times on Node ${process.versions.node},`), stdout);
});

test('the workflow runs the scripts that were promised, and none that is not there', () => {
  const { scripts } = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
  const workflow = fs.readFileSync(path.join(ROOT, '.github/workflows/performance.yml'), 'utf8');
  const run = [...workflow.matchAll(/npm run ([\w:]+)/g)].map(([, name]) => name);
  assert.deepEqual(run.filter((name) => !(name in scripts)), []);
  // The halves are a matrix.
  const named = [...run, ...[...workflow.matchAll(/'(test:\w+)'/g)].map(([, name]) => name)];
  const promised = ['benchmark:latency', 'benchmark:throughput', 'benchmark:memory', 'test:performance', 'test:memory', 'validate:targets'];
  assert.deepEqual(promised.filter((name) => !named.includes(name)), []);
});
