'use strict';

// The benchmark of the stream parser as a program: that it measures what it says. Of how fast anything is, nothing is said here.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { CONTENDERS } = require('../benchmark/sse/contenders.js');
const { PIECES } = require('../benchmark/sse/run.js');
const { EVENT_BYTES, cut, streamOf } = require('../benchmark/sse/streams.js');
const { measured, run } = require('./support/benchmark.js');

/** @type {string} */
let folder;
before(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-benchmark-sse-'))));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

test('a stream is of events of its size, and lasts as long as the others', () => {
  for (const eventBytes of EVENT_BYTES) {
    const { body, events } = streamOf(eventBytes, 100_000);
    const sizes = body.toString().split(/(?<=\n\n)/).map((event) => event.length);
    assert.equal(sizes.length, events);
    assert.deepEqual(new Set(sizes.slice(2)), new Set([eventBytes]));
    assert.ok(body.length >= 100_000 && body.length < 103_000);
    assert.deepEqual(Buffer.concat(cut(body, 999)), body);
  }
});

test('each contender sees every event, whatever the pieces', async () => {
  const { body, events } = streamOf(150, 3000);
  for (const [who, count] of Object.entries(CONTENDERS)) {
    for (const size of [1, 7, 1024, body.length]) assert.equal(await count(cut(body, size)), events, `${who}, ${size}`);
  }
});

test('the table has a figure of everyone for every size of event and of piece', async () => {
  const { stdout, results: { figures } } = await measured(folder, 'sse/run.js', '--quick');
  const names = ['ours, split', 'ours, message', ...Object.keys(CONTENDERS)];
  const expected = EVENT_BYTES.flatMap((eventBytes) => names.flatMap((who) => Object.keys(PIECES).map((pieces) => `${who}, ${eventBytes}, ${pieces}`)));
  assert.deepEqual(figures.map((/** @type {any} */ f) => `${f.who}, ${f.eventBytes}, ${f.pieces}`).sort(), expected.sort());
  for (const { who, nsPerEvent } of figures) assert.ok(Number.isFinite(nsPerEvent) && nsPerEvent > 0, `${who}: ${nsPerEvent}`);
  const rows = stdout.split('\n').filter((line) => /^\| [^|]+ \| \d+ B \|/.test(line));
  assert.deepEqual(rows.map((row) => row.split('|').length), Array(EVENT_BYTES.length * names.length).fill(Object.keys(PIECES).length + 4));
  assert.ok(!stdout.includes('NaN'));
  assert.match(stdout, /--quick: no measurement$/m);
});

test('a bad option is an error that names it', async () => {
  const { code, stderr } = await run('sse/run.js', '--rounds', '0');
  assert.deepEqual([code, stderr], [1, '--rounds 0 is not a whole number from 1 on\n']);
});
