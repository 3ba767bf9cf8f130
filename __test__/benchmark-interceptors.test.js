'use strict';

// The benchmark of interceptors as a program: that it measures what it says. Of how fast anything is, nothing is said here.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { promisify } = require('node:util');
const { CHAINS, KINDS } = require('../benchmark/interceptors/run.js');

const RUN = path.join(__dirname, '../benchmark/interceptors/run.js');

/** @type {string} */
let folder;
before(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-benchmark-interceptors-'))));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

test('the tables have a figure of every chain and every kind', async () => {
  const json = path.join(folder, 'interceptors.json');
  // Each sample fails by itself if its interceptor has not seen every event.
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [RUN, '--quick', '--json', json]);
  assert.equal(stderr, '');
  const { chains, rows } = JSON.parse(fs.readFileSync(json, 'utf8'));
  assert.deepEqual(Object.keys(chains).sort(), Object.keys(CHAINS).sort());
  for (const [name, ns] of Object.entries(chains)) assert.ok(Number.isFinite(ns) && ns > 0, `${name}: ${ns}`);
  assert.deepEqual(rows.map((/** @type {any} */ { kind }) => kind), KINDS);
  for (const { kind, cpuPercent, maxRssMb, batchSize } of rows) {
    assert.ok(cpuPercent > 0 && maxRssMb > 0, kind);
    if (kind === 'event by event') assert.equal(batchSize, 1);
    if (kind === 'batch') assert.ok(batchSize > 1, 'batches hold more than one');
  }
  assert.ok(!stdout.includes('NaN'));
  assert.match(stdout, /--quick: no measurement$/m);
});

test('it explains itself, and a bad option is an error that names it', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [RUN, '--help']);
  assert.match(stdout, /--json FILE/);
  const failed = await promisify(execFile)(process.execPath, [RUN, '--rounds', '0']).catch((error) => error);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /^--rounds 0 is not a whole number/);
});
