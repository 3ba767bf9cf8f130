'use strict';

// Fifty programs are killed with SIGKILL while they talk, and what is on record is held against what they had received.
// `npm run kill-test` does the same a thousand times; docs/durability.md has its figures.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { judge } = require('../scripts/kill-test/judge.js');
const { killMany } = require('../scripts/kill-test/kills.js');
const { CONFIGURATIONS, planRun } = require('../scripts/kill-test/plan.js');
const { failure } = require('../scripts/kill-test/report.js');
const { TOLD, encode } = require('../scripts/kill-test/told.js');
const { freshFolder, loaderPath } = require('./support/run-client');

const KILLS = 50;
const SEED = 1;

test(`${KILLS} kills: nothing of what the clients had received is lost, twice or unreadable`, async () => {
  const outcomes = await killMany({ kills: KILLS, seed: SEED, concurrency: 2, loader: loaderPath() });
  const failed = outcomes.filter(({ verdict }) => verdict.problems.length > 0);
  assert.equal(failed.length, 0, `\n${failed.map(failure).join('\n')}`);
  const sum = (/** @type {(outcome: import('../scripts/kill-test/run.js').Outcome) => number} */ of) => outcomes.reduce((total, outcome) => total + of(outcome), 0);
  assert.ok(sum(({ kills }) => kills) >= KILLS);
  // Without these it would be a test of nothing.
  assert.ok(sum(({ verdict }) => verdict.bytesTold) > 1_000_000);
  assert.ok(sum(({ verdict }) => verdict.recovered) > KILLS);
  assert.deepEqual(new Set(outcomes.map(({ plan }) => plan.configuration.title)), new Set(CONFIGURATIONS.map(({ title }) => title)));
});

test('a run is planned by its seed alone', () => {
  assert.deepEqual(planRun(7, 3), planRun(7, 3));
  assert.notDeepEqual(planRun(7, 3).lives, planRun(8, 3).lives);
});

// What the judge would say of a recorder that is not as good as ours.

const SENT = 'what the server has sent';
const RECORD = recordOf('a.0.1', SENT);

for (const [what, logs, expected] of /** @type {[string, Record<string, string>, RegExp | null][]} */ ([
  ['what is as it should be', { 'log.jsonl': RECORD }, null],
  ['an exchange that is missing', {}, /is not on record/],
  ['bytes that are missing', { 'log.jsonl': recordOf('a.0.1', SENT.slice(0, 10)) }, /14 of 24 bytes .* are lost/],
  ['bytes that were never sent', { 'log.jsonl': recordOf('a.0.1', SENT.replace('the', 'THE')) }, /is no beginning of what the server sent/],
  ['an exchange twice in one log', { 'log.jsonl': RECORD + recordOf('b.0.1', SENT) }, /is on record twice/],
  ['an exchange in two logs', { 'log.jsonl': RECORD, 'log-2.jsonl': RECORD }, /is on record twice/],
  ['a line that is no JSON', { 'log.jsonl': `${RECORD.slice(0, 40)}\n${RECORD}` }, /cannot be read at byte 0/],
  ['half a line', { 'log.jsonl': RECORD + RECORD.slice(0, 40) }, /ends in half a line/],
  ['a spool that was left', { 'log.jsonl': RECORD, '../spool/1-2-0/session': '' }, /left over/],
])) {
  test(`the judge tells ${what}`, () => {
    const place = placeWith(logs);
    const { problems } = judge(place, [entryOf(SENT)]);
    if (expected === null) assert.deepEqual(problems, []);
    else assert.match(problems.join('\n'), expected);
  });
}

/** @param {string} id @param {string} body */
function recordOf(id, body) {
  const record = {
    request: { method: 'GET', url: 'http://127.0.0.1:1/v1/messages/bytes?n=24&exchange=5', headers: {}, body: null },
    response: { status_code: 200, headers: {}, body_raw: body },
    trace: { id, request_bytes: 0, response_bytes: body.length, partial: true },
  };
  return `${JSON.stringify(record)}\n`;
}

/** @param {string} sent @returns {any} */
function entryOf(sent) {
  const base64 = Buffer.from(sent).toString('base64');
  return { url: 'http://127.0.0.1:1/v1/messages/bytes?n=24&exchange=5', requestBody: '', status: 200, responseBody: base64, responsePlain: base64 };
}

/** @param {Record<string, string>} logs files by their paths in the log folder */
function placeWith(logs) {
  const folder = freshFolder();
  const place = { folder, logs: path.join(folder, 'logs'), spool: path.join(folder, 'spool'), runtime: path.join(folder, 'runtime'), account: path.join(folder, 'account') };
  for (const [name, text] of Object.entries(logs)) {
    const file = path.join(place.logs, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
  }
  fs.writeFileSync(place.account, Buffer.concat([encode(TOLD.BEGUN, 5, 0), encode(TOLD.RECEIVED, 5, SENT.length)]));
  return place;
}
