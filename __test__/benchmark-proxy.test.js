'use strict';

// The benchmark of the proxy as a program: that it measures what it says. Of how fast anything is, nothing is said here.

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { promisify } = require('node:util');

test('direct and ours at two sizes, with every exchange of ours on record', async () => {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-benchmark-test-')), 'out.json');
  const run = path.join(__dirname, '../benchmark/proxy/run.js');
  const args = [run, '--quick', '--rounds', '1', '--streams', '1,8', '--only', 'direct,ours', '--json', file];
  const first = await promisify(execFile)(process.execPath, args);
  assert.match(first.stdout, /--quick: no measurement/);
  assert.equal(first.stdout.match(/^\| (1 stream|8 streams) \| first byte p50 \|/gm)?.length, 2);
  assert.equal(first.stdout.match(/^\| ours \| (\S+ ms \| ){4}\S+ ms \| [\d,]+ \| [\d,]+ µs \| \d+ MiB \|$/gm)?.length, 2);
  await promisify(execFile)(process.execPath, [...args, '--append']);
  const { samples, versions } = JSON.parse(fs.readFileSync(file, 'utf8'));
  fs.rmSync(path.dirname(file), { recursive: true });
  assert.deepEqual([samples.length, Object.keys(versions)], [8, ['direct', 'ours']]);
  for (const { connections, streams, json } of samples) {
    assert.deepEqual([streams.firstByte.count, streams.chunk.count], [connections * 2, connections * 6]);
    assert.ok(json.count >= connections && streams.chunk.p50 > 0);
  }
});

test('ours with rules, which act on what is measured', async () => {
  const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-benchmark-test-')), 'out.json');
  const run = path.join(__dirname, '../benchmark/proxy/run.js');
  const only = ['ours-header', 'ours-replace', 'ours-rules'];
  const { stdout } = await promisify(execFile)(process.execPath, [run, '--quick', '--rounds', '1', '--streams', '2', '--only', only.join(), '--json', file]);
  assert.equal(stdout.match(/^\| ours, [^|]*\| (\S+ ms \| ){4}/gm)?.length, 3);
  const { samples } = JSON.parse(fs.readFileSync(file, 'utf8'));
  fs.rmSync(path.dirname(file), { recursive: true });
  assert.deepEqual(samples.map((/** @type {any} */ { contender, streams }) => [contender, streams.chunk.count]).sort(), only.map((id) => [id, 12]));
});
