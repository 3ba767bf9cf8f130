'use strict';

// The benchmarks of pipeline, hook budget, memory and throughput, and the gate over all of them, as programs: that they
// measure what they say, and that a miss is a miss. Of how fast anything is, nothing is said here.

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
const { judge } = require('../benchmark/targets/judge.js');
const { OVERHEAD_CASES, TARGETS } = require('../benchmark/targets/targets.js');

const ROOT = path.join(__dirname, '..');
const PACKAGE = process.env.CLAUDE_TRACE_TEST_PACKAGE ?? ROOT;

/** @type {string} */
let folder;
before(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-benchmark-test-'))));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

/**
 * @param {string} program below benchmark/
 * @param {string[]} args
 * @returns {Promise<{ code: number, stdout: string, stderr: string }>}
 */
async function run(program, ...args) {
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [path.join(ROOT, 'benchmark', program), ...args], { cwd: ROOT })) };
  } catch (error) {
    const { code, stdout, stderr } = /** @type {any} */ (error);
    return { code, stdout, stderr };
  }
}

/** Runs it, and reads what it has written. @param {string} program @param {string[]} args */
async function measured(program, ...args) {
  const json = path.join(folder, `${program.split('/')[0]}.json`);
  const { code, stdout, stderr } = await run(program, ...args, '--json', json);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, stdout);
  return { stdout, results: JSON.parse(fs.readFileSync(json, 'utf8')) };
}

const isPositive = (value) => Number.isFinite(value) && value > 0;

test('pipeline: every case has its figures, the share of the disk’s speed among them', async () => {
  const { stdout, results } = await measured('pipeline/run.js', '--quick');
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
    assert.equal(Object.keys(answer.cpuSecondsByThread).filter((name) => name.startsWith('ct-worker')).length, workers);
  }
  assert.equal(results.long.marks.length, 11);
  assert.match(stdout, /--quick: no measurement/);
  assert.match(stdout, /up to a log of \d+ MB/);
});

test('budget: both accounts have seen the same requests and chunks', async () => {
  const { stdout, results } = await measured('budget/run.js', '--requests', '5', '--rounds', '1', '--package', PACKAGE);
  const [{ own, outside, empty }] = results.rounds;
  assert.deepEqual([own.request.count, outside.request.count], [5, 5]);
  assert.equal(own.chunk.count, outside.chunk.count);
  assert.ok(own.chunk.count >= 5, `${own.chunk.count} chunks`);
  assert.ok(outside.request.mean > empty.request.mean, 'there is something between the brackets');
  assert.deepEqual(results.rows.map(({ what }) => what), ['request p50', 'request mean', 'request p99', 'chunk p50', 'chunk mean', 'chunk p99']);
  for (const { what, ratio } of results.rows.slice(0, 2)) assert.ok(isPositive(ratio), `${what}: ${ratio}`);
  assert.match(stdout, /getStats +outside +ratio\nrequest p50/);
});

test('memory: a short run has looks of both, and every request on record', async () => {
  const { stdout, results } = await measured('memory/run.js', '--duration', '2', '--rate', '50', '--package', PACKAGE);
  assert.ok(results.ours.length >= 4 && results.untraced.length >= 4, `${results.ours.length} and ${results.untraced.length} looks`);
  const last = results.ours.at(-1);
  assert.equal(last.ours.pairs, last.begun);
  assert.ok(last.begun >= 50, `${last.begun} requests`);
  assert.equal(results.untraced.at(-1).ours, null);
  assert.equal(results.verdict.isWhole, true);
  assert.match(stdout, /every one of them on record/);
});

test('throughput: both kinds are sampled, so many at once, and every request is on record', async () => {
  const { stdout, results } = await measured('throughput/run.js', '--concurrent=20', '--duration', '0.3', '--rounds', '1', '--package', PACKAGE);
  assert.equal(results.concurrent, 20);
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
  const marks = Array.from({ length: 11 }, (_, i) => ({ records: i * 10, seconds: i, cpuSeconds: i * 2e-5, userSeconds: i < 8 ? i * 1e-5 : 7e-5 + (i - 7) * 3e-5, residentMegabytes: 20 + i }));
  const { userUsPerRecord, cpuUsPerRecord, residentMegabytes } = growthOf(/** @type {any} */ ({ marks, log: { megabytes: 1 } }));
  assert.deepEqual([userUsPerRecord.first.toFixed(3), userUsPerRecord.last.toFixed(3)], ['1.000', '3.000']);
  assert.deepEqual([cpuUsPerRecord.first.toFixed(3), cpuUsPerRecord.last.toFixed(3)], ['2.000', '2.000']);
  assert.deepEqual(residentMegabytes, { first: 23, last: 29 });
});

describe('validate:targets', () => {
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
        growth: { userUsPerRecord: { first: 100, last: 101 }, residentMegabytes: { first: 20, last: 21 } },
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

  test('measures what it judges: all but the overhead, of which its own test has the shape', async () => {
    const json = path.join(folder, 'measured.json');
    const { stdout, stderr } = await run('targets/run.js', '--quick', '--only', 'budget,memory,pipeline', '--package', PACKAGE, '--json', json);
    assert.equal(stderr, '');
    assert.match(stdout, /--quick: no measurement$/m);
    const { lines, results } = JSON.parse(fs.readFileSync(json, 'utf8'));
    assert.deepEqual(Object.keys(results), ['budget', 'memory', 'pipeline']);
    // A run as tiny as this takes less than a tick of the CPU time's clock.
    assert.deepEqual(lines.filter(({ id, actual }) => actual === null && id !== 'pipeline-flat-cost'), []);
    assert.deepEqual(lines.filter(({ id }) => id === 'memory-whole').map(({ isMet }) => isMet), [true]);
  });

  test('no two targets share an id, and each belongs to a benchmark', () => {
    assert.equal(new Set(TARGETS.map(({ id }) => id)).size, TARGETS.length);
    assert.deepEqual([...new Set(TARGETS.map(({ group }) => group))].sort(), ['budget', 'memory', 'overhead', 'pipeline']);
  });
});

test('each script of package.json opens a benchmark, and explains itself', async () => {
  const { scripts } = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8'));
  const names = ['bench', 'benchmark:latency', 'benchmark:throughput', 'benchmark:memory', 'benchmark:pipeline', 'test:performance', 'test:memory', 'validate:targets'];
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
