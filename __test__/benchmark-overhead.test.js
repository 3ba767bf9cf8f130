'use strict';

// `npm run bench` as a program: that it measures what it says. Of how fast anything is, nothing is said here.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { promisify } = require('node:util');
const { CASES, SUITES, isStream } = require('../benchmark/overhead/cases.js');
const { summarise } = require('../benchmark/overhead/summary.js');
const { judge } = require('../benchmark/targets/judge.js');
const { OVERHEAD_CASES, TARGETS } = require('../benchmark/targets/targets.js');
const { ENV } = require('./support/benchmark.js');

const RUN = path.join(__dirname, '../benchmark/overhead/run.js');
const PACKAGE = process.env.CLAUDE_TRACE_TEST_PACKAGE ?? path.join(__dirname, '..');

test('a difference is taken within its round, and judged by untraced against itself', () => {
  const c = /** @type {any} */ (CASES.find(({ id }) => id === 'json'));
  // Each round is slower than the one before, by more than any variant is: only pairs can tell them apart.
  const sample = (variant, round, extra) => ({
    node: '0', case: c.id, variant, round, order: 0, hooks: null, requests: 1, pairs: 1, othersCores: 0, serverBusyPerRequestMs: 1,
    metrics: { firstByteP50Ms: 100 * round + extra, requestsPerSecond: 10 },
  });
  const rounds = [1, 2, 3, 4, 5];
  const noise = [-2, -1, 0, 1, 2];
  const samples = [
    ...rounds.map((round) => sample('untraced', round, 0)),
    ...rounds.map((round, i) => sample('untraced-again', round, noise[i])),
    ...rounds.map((round) => sample('ours', round, 0.5)),
    ...rounds.map((round) => sample('ours-disk', round, 5)),
  ];
  const { variants, serverBusy } = summarise(/** @type {any} */ (samples), c, 1);
  const of = (id) => variants.find(({ variant }) => variant === id)?.differences?.firstByteP50Ms;
  assert.equal(of('ours')?.median, 0.5);
  assert.equal(of('ours')?.isWithinSpread, true);
  assert.equal(of('ours-disk')?.median, 5);
  assert.equal(of('ours-disk')?.isWithinSpread, false);
  assert.deepEqual([of('untraced-again')?.q1, of('untraced-again')?.q3], [-1, 1]);
  assert.equal(variants.find(({ variant }) => variant === 'untraced')?.differences, null);
  assert.equal(serverBusy, 0.01);
});

describe('--quick', () => {
  /** @type {string} */
  let folder;
  /** @type {{ stdout: string, stderr: string }} */
  let output;
  /** @type {any} */
  let results;
  /** @type {any[]} samples as objects */
  let samples;

  before(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-benchmark-test-'));
    const json = path.join(folder, 'results', 'overhead.json');
    // Fails, as execFile does, when the exit code says that something was not recorded.
    output = await promisify(execFile)(process.execPath, [RUN, '--quick', '--suite', 'all', '--details', '--package', PACKAGE, '--json', json], { env: ENV });
    results = JSON.parse(fs.readFileSync(json, 'utf8'));
    samples = results.samples.map((row) => Object.fromEntries(results.columns.map((name, i) => [name, row[i]])));
  });
  /** @param {{ case: string }} sample */
  const caseOf = (sample) => /** @type {any} */ (results.parameters.cases.find(({ id }) => id === sample.case));
  after(() => fs.rmSync(folder, { recursive: true, force: true }));

  test('every variant was measured in every case', () => {
    const variants = ['untraced', 'untraced-again', 'claude-trace', 'claude-trace-no-html', 'tee', 'ours-disk', 'ours-standard', ...(fs.existsSync('/dev/shm') ? ['ours'] : [])];
    const expected = CASES.flatMap(({ id, without }) => variants.filter((variant) => !without?.includes(variant)).map((variant) => `${id} ${variant}`));
    assert.deepEqual(samples.map((sample) => `${sample.case} ${sample.variant}`).sort(), expected.sort());
  });

  test('every recorder recorded every request', () => {
    for (const sample of samples) {
      const recorded = sample.variant.startsWith('untraced') ? null : sample.requests;
      assert.equal(sample.pairs, recorded, `${sample.case}, ${sample.variant}`);
    }
  });

  test('ours worked in the mode that was meant, lost nothing and measured every request', () => {
    for (const sample of samples.filter(({ variant }) => variant.startsWith('ours'))) {
      const what = `${sample.case}, ${sample.variant}`;
      assert.equal(sample['hooks.mode'], sample.variant === 'ours-standard' ? 'standard' : 'zero-latency', what);
      assert.equal(sample['hooks.drops'], 0, what);
      assert.equal(sample['hooks.faults'], 0, what);
      assert.equal(sample['hooks.request.count'], sample.requests, what);
      assert.ok(sample['hooks.chunk.count'] >= sample.requests, what);
      assert.ok(sample['hooks.chunk.mean'] > 0, what);
      const isWarmedUp = caseOf(sample).warmUp > 0;
      assert.equal(sample['hooks.firstMs'] > 0, isWarmedUp, what);
    }
  });

  test('every figure is a positive number where it applies', () => {
    // A process can have written nothing; a loop can have had no turn to measure a delay of.
    const canBeZero = ['metrics.exitCpuMs', 'metrics.writtenMiB', 'metrics.diskPercent', 'metrics.loopBusyPercent'];
    for (const sample of samples) {
      for (const name of results.columns.filter((column) => column.startsWith('metrics.'))) {
        const value = sample[name];
        const what = `${sample.case}, ${sample.variant}: ${name} is ${value}`;
        if (!isStream(caseOf(sample)) && /gap|Chunk/.test(name)) assert.equal(value, null, what);
        else if (name.startsWith('metrics.loopDelay')) assert.ok(value === null || value >= 0, what);
        else if (canBeZero.includes(name)) assert.ok((value === null && process.platform !== 'linux') || value >= 0, what);
        else assert.ok(Number.isFinite(value) && value > 0, what);
      }
    }
  });

  test('what a recorder writes is counted', { skip: process.platform !== 'linux' && 'the kernel does not say' }, () => {
    const written = (variant) => samples.find((sample) => sample.case === 'session' && sample.variant === variant)['metrics.writtenMiB'];
    assert.ok(written('ours-disk') > written('untraced'), `${written('ours-disk')} and ${written('untraced')}`);
  });

  test('every target finds its figure in it', { skip: process.platform !== 'linux' && 'the kernel does not say what was written' }, () => {
    const targets = TARGETS.filter(({ group }) => group === 'overhead');
    assert.deepEqual(judge(targets, { overhead: results }).filter(({ actual }) => actual === null).map(({ id }) => id), []);
    assert.deepEqual(OVERHEAD_CASES.filter((id) => !CASES.some((c) => c.id === id)), []);
  });

  test('the plots are whole, and name every variant and case', () => {
    for (const [file, suites] of [['overhead.svg', SUITES.filter((suite) => suite !== 'streams')], ['overhead-streams.svg', []]]) {
      const svg = fs.readFileSync(path.join(folder, 'results', /** @type {string} */ (file)), 'utf8');
      assert.match(svg, /^<svg [^]*<\/svg>$/);
      assert.doesNotMatch(svg, /NaN|undefined/);
      for (const { title } of results.parameters.variants.slice(1)) assert.ok(svg.includes(title), `${file}: ${title}`);
      for (const { suite, title } of CASES) if (suites.includes(suite)) assert.ok(svg.includes(title), `${file}: ${title}`);
    }
  });

  test('the output says on what it was measured, and shows each case, each difference and the hook times', () => {
    const { machine, parameters } = results;
    assert.ok(machine.cores > 0 && machine.cpu && machine.kernel && machine.packages['@mariozechner/claude-trace'] === '1.0.9');
    assert.equal(parameters.quick, true);
    assert.deepEqual(parameters.nodes, [process.versions.node]);
    assert.equal(results.summaries.length, CASES.length);
    assert.match(output.stdout, /--quick: no measurement/);
    for (const { id, title } of CASES) {
      assert.ok(output.stdout.includes(`\n${title}: `), title);
      assert.match(output.stdout, new RegExp(`^  ${id} first p99, ms .*(yes|no)$`, 'm'));
      assert.match(output.stdout, new RegExp(`^  ${id}: ours, standard mode( +([\\d.]+|–)){8}$`, 'm'));
    }
    assert.deepEqual(results.parameters.suites, [...SUITES]);
    // Progress, and nothing else.
    for (const line of output.stderr.trim().split('\n')) assert.match(line, /^\d+ of \d+ samples, \d+:\d\d min; Node /);
  });
});

test('a bad option is an error that names it', async () => {
  for (const [args, message] of /** @type {[string[], RegExp][]} */ ([
    [['--case', 'nothing'], /--case nothing is not one of paced/],
    [['--suite', 'nothing'], /--suite nothing is not one of requests, paces/],
    [['--rounds', '0'], /--rounds 0 is not a whole number/],
    [['--node', '3'], /--node 3: there is no/],
  ])) {
    await assert.rejects(promisify(execFile)(process.execPath, [RUN, ...args], { env: ENV }), ({ code, stderr }) => code === 1 && message.test(stderr));
  }
});
