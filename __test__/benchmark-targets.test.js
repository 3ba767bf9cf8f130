'use strict';

// `npm run validate:targets`: that a miss is a miss.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { judge } = require('../benchmark/targets/judge.js');
const { OVERHEAD_CASES, TARGETS } = require('../benchmark/targets/targets.js');
const { ROOT, run } = require('./support/benchmark.js');

const PACKAGE = process.env.CLAUDE_TRACE_TEST_PACKAGE ?? ROOT;

/** @type {string} */
let folder;
before(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-benchmark-test-'))));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Results that meet every target, with room for one of them to be spoiled. */
function good() {
  const difference = { median: 0.1, q1: 0, q3: 0.2, low: 0, high: 0.2, percent: 0.5, isWithinSpread: false };
  const keys = ['firstByteP50Ms', 'firstByteP99Ms', 'gapP50Us', 'gapP99Us', 'jsCpuPerRequestMs', 'cpuPerRequestMs', 'rssMaxMiB', 'startUpMs', 'processMs', 'requestsPerSecond'];
  const variant = (name, requestsPerSecond) => ({
    variant: name, figures: { requestsPerSecond: { median: requestsPerSecond }, diskPercent: { median: 0.2 } }, differences: null, hooks: null,
  });
  const summaries = OVERHEAD_CASES.map((id) => ({
    node: '20', case: id,
    variants: [
      variant('untraced', 1000),
      variant('claude-trace', 40),
      {
        ...variant('ours', 990), differences: Object.fromEntries(keys.map((key) => [key, { ...difference }])),
        hooks: { first: 100, p50: 4, p95: 9, p99: 18, max: 100, chunkMean: 0.2, chunkP99: 0.8, chunkMax: 3 },
      },
    ],
  }));
  const one = (median) => ({ median, q1: median, q3: median });
  const row = { workers: 1, producers: 1, megabytesPerSecond: one(700), usPerChunk: one(0.2), recordsPerSecond: one(9000) };
  return {
    overhead: { summaries },
    budget: { rows: [{ what: 'request p50', own: 4, outside: 4.5, ratio: 0.89 }] },
    memory: { verdict: { steady: 12, growth: 0.3, isWhole: true } },
    pipeline: {
      rows: ['memory', 'disk'].flatMap((place) => ['sse', 'json'].map((kind) => ({ ...row, kind, place }))),
      growth: { againstFresh: { first: 1, last: 1.01 }, residentMegabytes: { first: 20, last: 21 } },
    },
  };
}
const ours = (results, id) => results.overhead.summaries.find((summary) => summary.case === id).variants[2];

/** @param {unknown} results @param {string[]} args */
async function gate(results, ...args) {
  const file = path.join(folder, 'given.json');
  const json = path.join(folder, 'benchmark-results.json');
  fs.writeFileSync(file, JSON.stringify({ results }));
  const { code, stdout } = await run('targets/run.js', '--from', file, '--json', json, ...args);
  return { code, stdout, written: JSON.parse(fs.readFileSync(json, 'utf8')) };
}

test('exits 0 when every target is met, and writes a line of each', async () => {
  const { code, stdout, written } = await gate(good());
  assert.equal(code, 0, stdout);
  assert.match(stdout, new RegExp(`${TARGETS.length} of ${TARGETS.length} targets met`));
  assert.deepEqual(written.lines.map(({ id }) => id), TARGETS.map(({ id }) => id));
  for (const line of written.lines) assert.ok(line.isMet && Number.isFinite(line.actual) && line.compares !== '' && line.source !== '', line.id);
});

test('exits 1 on a miss, and says by how much', async () => {
  const results = good();
  ours(results, 'json').hooks.p99 = 25;
  const { code, stdout, written } = await gate(results);
  assert.equal(code, 1);
  assert.match(stdout, /^MISS +hook time a request p99, small JSON +at most 20 µs +25 µs +by 5 µs \(25 %\) +issue 4$/m);
  assert.deepEqual(written.lines.filter(({ isMet }) => !isMet).map(({ id }) => id), ['hook-p99-json']);
  assert.equal((await gate(results, '--only', 'pipeline')).code, 0, 'others are asked for');
  assert.equal((await gate(results, '--id', 'hook-p99-json')).code, 1);
});

test('a difference within what untraced differs from itself is no miss, and is told apart', () => {
  const results = good();
  Object.assign(ours(results, 'paced').differences.firstByteP99Ms, { percent: 7, isWithinSpread: true });
  const within = judge(TARGETS, /** @type {any} */ (results)).find(({ id }) => id === 'first-byte-p99-paced');
  assert.deepEqual([within?.isMet, within?.isNoise, within?.actual], [true, true, 7]);
  ours(results, 'paced').differences.firstByteP99Ms.isWithinSpread = false;
  const outside = judge(TARGETS, /** @type {any} */ (results)).find(({ id }) => id === 'first-byte-p99-paced');
  assert.deepEqual([outside?.isMet, outside?.missedBy], [false, '5 points']);
});

test('every target can be missed', () => {
  const bad = JSON.parse(JSON.stringify(good()), (key, value) => {
    if (key === 'isWhole') return false;
    if (typeof value !== 'number') return value;
    // What is to be small is large, and the other way round.
    return ['megabytesPerSecond', 'recordsPerSecond', 'requestsPerSecond', 'ratio', 'first'].includes(key) ? value / 1000 : value * 1000;
  });
  for (const row of bad.pipeline.rows) row.workers = row.producers = 1;
  for (const row of bad.pipeline.rows) row.megabytesPerSecond.median = row.recordsPerSecond.median = 1;
  for (const { variants } of bad.overhead.summaries) variants.forEach((variant, i) => (variant.figures.requestsPerSecond.median = [1000, 900, 1][i]));
  assert.deepEqual(judge(TARGETS, bad).filter(({ isMet }) => isMet).map(({ id }) => id), []);
});

test('what was not measured is a miss', async () => {
  const { code, stdout } = await gate({ ...good(), pipeline: undefined });
  assert.equal(code, 1);
  assert.match(stdout, /^MISS +pipeline alone, one worker.*not measured/m);
});

test('measures what it judges: all but the overhead, whose own test holds its figures against the targets', async () => {
  const json = path.join(folder, 'measured.json');
  const { stdout, stderr } = await run('targets/run.js', '--quick', '--only', 'budget,memory,pipeline', '--package', PACKAGE, '--json', json);
  assert.equal(stderr, '');
  assert.match(stdout, /--quick: no measurement$/m);
  const { lines, results } = JSON.parse(fs.readFileSync(json, 'utf8'));
  assert.deepEqual(Object.keys(results), ['budget', 'memory', 'pipeline']);
  assert.deepEqual(lines.filter(({ actual }) => actual === null), []);
  assert.deepEqual(lines.filter(({ id }) => id === 'memory-whole').map(({ isMet }) => isMet), [true]);
});

test('a benchmark that fails costs its own figures', async () => {
  const json = path.join(folder, 'failed.json');
  const nothing = path.join(folder, 'no-package');
  fs.mkdirSync(path.join(nothing, 'lib'), { recursive: true });
  const { code, stdout, stderr } = await run('targets/run.js', '--quick', '--only', 'budget,memory', '--package', nothing, '--json', json);
  assert.equal(code, 1);
  for (const group of ['budget', 'memory']) assert.match(stderr, new RegExp(`^the benchmark ${group} ended with 1: its targets are not measured$`, 'm'));
  assert.match(stdout, /^0 of \d+ targets met/m);
  assert.deepEqual(JSON.parse(fs.readFileSync(json, 'utf8')).results, {});
});

test('no two targets share an id, and each belongs to a benchmark', () => {
  assert.equal(new Set(TARGETS.map(({ id }) => id)).size, TARGETS.length);
  assert.deepEqual([...new Set(TARGETS.map(({ group }) => group))].sort(), ['budget', 'memory', 'overhead', 'pipeline']);
});
