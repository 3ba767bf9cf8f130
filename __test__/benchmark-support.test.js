'use strict';

// What the benchmarks stand on: statistics, the server and its answers, the results file.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { agentAnswer, turnOf } = require('../benchmark/support/agent-answers.js');
const { ANSWERS, bytesOf } = require('../benchmark/support/answers.js');
const { head, writeResults } = require('../benchmark/support/results.js');
const { startServer } = require('../benchmark/support/server-process.js');
const { median, medianInterval, quantile, randomFrom, shuffled, spread } = require('../benchmark/support/statistics.js');
const { table } = require('../benchmark/support/table.js');

test('quantiles, medians and their intervals are right where the answer is known', () => {
  assert.equal(quantile([1, 2, 3, 4, 5], 0.5), 3);
  assert.equal(quantile([1, 2, 3, 4], 0.5), 2.5);
  assert.equal(quantile([7], 0.99), 7);
  assert.ok(Number.isNaN(quantile([], 0.5)));
  assert.equal(median([9, 1, 5]), 5);
  assert.deepEqual(spread([4, 1, 2, 3, 5]), { median: 3, q1: 2, q3: 4 });
  const { low, high } = medianInterval([10, 11, 12, 13, 14, 15, 16, 17, 18, 19], randomFrom(1));
  assert.ok(low >= 10 && low < 14.5 && high > 14.5 && high <= 19, `${low} to ${high}`);
  assert.deepEqual(medianInterval([3, 3, 3], randomFrom(1)), { low: 3, high: 3 });
});

test('an order can be had again from its seed, and loses nothing', () => {
  const items = Array.from({ length: 50 }, (_, i) => i);
  assert.deepEqual(shuffled(items, randomFrom(7)), shuffled(items, randomFrom(7)));
  assert.notDeepEqual(shuffled(items, randomFrom(7)), shuffled(items, randomFrom(8)));
  assert.deepEqual(shuffled(items, randomFrom(7)).sort((a, b) => a - b), items);
});

test('an unpaced stream is 200 events of about 150 bytes', () => {
  const { chunks } = ANSWERS.unpaced;
  assert.equal(chunks.length, 200);
  assert.deepEqual(new Set(chunks.slice(2, -3).map(({ length }) => length)), new Set([150]));
  assert.ok(Math.abs(bytesOf(ANSWERS.unpaced) / 200 - 150) < 3);
});

const NODES = [process.execPath, ...[22, 24, 26].map((major) => path.join(__dirname, `../node_modules/node${major}/bin/node`)).filter(fs.existsSync)];

// Corked responses became one chunk on Node 22 and later, and one that came after the end of the stream.
test('the server sends each event as an HTTP chunk of its own, on every Node', async () => {
  const chunks = ANSWERS.unpaced.chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('');
  for (const node of NODES) {
    const server = await startServer(node);
    try {
      const socket = net.connect(Number(new URL(server.origin).port), '127.0.0.1').setEncoding('latin1');
      socket.write('POST /unpaced/v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
      let text = '';
      for await (const part of socket) text += part;
      assert.equal(text.slice(text.indexOf('\r\n\r\n') + 4), `${chunks}0\r\n\r\n`, node);
    } finally {
      await server.close();
    }
  }
});

test('an agent is asked for one tool call in every turn but the last, and its conversation says how far it has come', () => {
  const events = (turn) => agentAnswer('agent-paced', turn, 3).chunks.map((chunk) => JSON.parse(chunk.toString().split('data: ')[1]));
  for (const turn of [0, 1, 2]) {
    const isLast = turn === 2;
    const calls = events(turn).filter((event) => event.content_block?.type === 'tool_use');
    assert.equal(calls.length, isLast ? 0 : 1);
    assert.equal(events(turn).find((event) => event.type === 'message_delta').delta.stop_reason, isLast ? 'end_turn' : 'tool_use');
    const input = events(turn).map((event) => event.delta?.partial_json ?? '').join('');
    if (!isLast) assert.equal(typeof JSON.parse(input), 'object');
  }
  const result = { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: 'a' }] };
  assert.equal(turnOf(Buffer.from(JSON.stringify({ messages: [{ role: 'user', content: 'p' }, result, result] }))), 2);
});

test('a results file has all that was given, lists one item a line, and no more digits than a figure is worth', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-benchmark-test-'));
  try {
    const file = path.join(folder, 'new', 'results.json');
    const large = { list: Array.from({ length: 5000 }, (_, i) => i) };
    const results = { ...head({ cores: 4 }, { rounds: 3 }), samples: [[1, 2.123456789], [3, null]], large };
    writeResults(file, results);
    const text = fs.readFileSync(file, 'utf8');
    assert.deepEqual(JSON.parse(text), { ...results, samples: [[1, 2.1235], [3, null]] });
    assert.match(text, /^\[1,2\.1235\],$/m);
    assert.ok(text.split('\n').length < 30, text.slice(0, 1000));
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
});

test('a table is as wide as its widest cells', () => {
  assert.equal(table([['', 'ms'], ['a', '1.5'], ['long', '10']]), '       ms\na     1.5\nlong   10');
  assert.equal(table([['a', 'b'], ['', 'word']], () => true), 'a  b\n   word');
});
