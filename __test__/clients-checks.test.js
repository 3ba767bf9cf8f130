'use strict';

// The comparison of log and account decides every test with a real client: here it must refuse what is wrong.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { after, before, test } = require('node:test');
const { assertLogMatches, readLines } = require('./support/log');
const { valueAt, withoutSpace } = require('./support/json-bytes');
const { runBothWays } = require('./support/run-client');
const { Standin } = require('./support/standin');

/** @type {import('./support/standin').Standin} */
let standin;
/** @type {import('../fixtures/standin/account').Entry[]} */
let account;
/** @type {string} */
let file;
/** @type {string[]} */
let lines;
before(async () => {
  standin = await Standin.start();
  const run = await runBothWays(standin, 'conversations.mjs');
  account = run.account;
  file = run.records[0].file;
  lines = fs.readFileSync(file, 'utf8').trimEnd().split('\n');
});
after(() => standin.stop());

/** @param {string[]} changed */
function compare(changed) {
  fs.writeFileSync(`${file}.changed`, `${changed.join('\n')}\n`);
  assertLogMatches(account, readLines(`${file}.changed`));
}

/** The log with one line changed in one place. @param {string | RegExp} search @param {string} replacement */
function withChange(search, replacement) {
  const at = lines.findIndex((line) => (typeof search === 'string' ? line.includes(search) : search.test(line)));
  assert.notEqual(at, -1, `no line with ${search}`);
  return lines.with(at, lines[at].replace(search, replacement));
}

test('the log as it was written passes', () => compare(lines));

const CHANGES = /** @type {[string, () => string[]][]} */ ([
  ['a missing record', () => lines.slice(1)],
  ['a record that stands there twice', () => [lines[0], ...lines]],
  ['a byte of a request body', () => withChange('"You are an agent."', '"You are an Agent."')],
  ['a number of a request body written otherwise', () => withChange('"max_tokens":1024', '"max_tokens":1024.0')],
  ['a byte of a stream', () => withChange('will ', 'shall ')],
  ['the end of a stream that is not marked as partial', () => withChange(String.raw`event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n`, '')],
  ['a byte of a JSON response', () => withChange('日本語', '日本话')],
  ['a status', () => withChange('"status_code":200', '"status_code":201')],
  ['a method', () => withChange('"method":"POST"', '"method":"PUT"')],
  ['a path', () => withChange('/v1/messages"', '/v1/message"')],
  ['a readable key', () => withChange(/"authorization":"[^"]*"/, '"authorization":"Bearer sk-ant-api03-made-up-for-the-tests-0123456789"')],
  ['a header that was never sent', () => withChange('"headers":{', '"headers":{"x-invented":"1",')],
  ['a header that was changed', () => withChange(/"anthropic-version":"[^"]*"/, '"anthropic-version":"1"')],
  ['a count of bytes', () => withChange(/"response_bytes":\d/, '"response_bytes":9')],
  ['the length of a chunk', () => withChange(/("bytes":\[)\d/, '$19')],
  ['the version of HTTP', () => withChange('"http":"1.1"', '"http":"2"')],
]);
for (const [what, changed] of CHANGES) {
  test(`refuses ${what}`, () => {
    const log = changed();
    assert.throws(() => compare(log), assert.AssertionError);
  });
}

test('JSON is compared as bytes, without the white space between tokens', () => {
  const text = Buffer.from(' { "a" : [ 1.0, "x \\" y" ] ,\n"b":\t{"c":" 1 "} , "a": null } ');
  const compact = withoutSpace(text);
  assert.equal(compact.toString(), '{"a":[1.0,"x \\" y"],"b":{"c":" 1 "},"a":null}');
  assert.equal(valueAt(compact, ['b', 'c'])?.toString(), '" 1 "');
  assert.equal(valueAt(compact, ['a'])?.toString(), '[1.0,"x \\" y"]');
  assert.equal(valueAt(compact, ['b', 'x']), null);
});
