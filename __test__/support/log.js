'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { valueAt, withoutSpace } = require('./json-bytes');

/** @typedef {import('../../fixtures/standin/account').Entry} Entry */
/** @typedef {{ line: Buffer, value: any, file: string }} LogRecord a line of the log: as bytes and parsed */
/** @typedef {{ entry: Entry, record: LogRecord }} Match */

/** Every record in every log under a client's folder. @param {string} cwd @param {string} [logs] @returns {LogRecord[]} */
function readLog(cwd, logs = '.claude-trace') {
  const folder = path.join(cwd, logs);
  if (!fs.existsSync(folder)) return [];
  const files = fs.readdirSync(folder).filter((name) => name.endsWith('.jsonl')).sort();
  return files.flatMap((name) => readLines(path.join(folder, name)));
}

/** @param {string} file @returns {LogRecord[]} */
function readLines(file) {
  const bytes = fs.readFileSync(file);
  const records = [];
  let start = 0;
  for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
    const line = bytes.subarray(start, end);
    records.push({ line, value: JSON.parse(line.toString()), file });
    start = end + 1;
  }
  assert.equal(start, bytes.length, `${file} ends in half a line`);
  return records;
}

/** Whether a body stands there whole. @param {LogRecord} record */
const isPartial = ({ value }) => value.response === null || value.trace?.partial === true || value.trace?.error !== undefined;

/**
 * Holds a log against the server's account: exactly one record for each entry, and each of them true. Returns the pairs in
 * the order of the account.
 * @param {Entry[]} account @param {LogRecord[]} records @returns {Match[]}
 */
function assertLogMatches(account, records) {
  const own = records.filter(({ value }) => !new URL(value.request.url).pathname.startsWith('/__'));
  /** @param {LogRecord} record */
  const begun = ({ value }) => value.request.timestamp;
  const free = [...own].sort((a, b) => begun(a) - begun(b));
  const matches = account.map((entry) => {
    const index = free.findIndex((record) => isSameExchange(entry, record));
    assert.notEqual(index, -1, `no record of exchange ${entry.id}: ${entry.method} ${entry.url} → ${entry.status} (${entry.outcome})\nleft in the log:\n${free.slice(0, 20).map(brief).join('\n')}`);
    return { entry, record: free.splice(index, 1)[0] };
  });
  assert.deepEqual(free.map(brief), [], 'records of exchanges that the server never saw');
  for (const match of matches) assertRecordIsTrue(match);
  return matches;
}

/** @param {LogRecord} record */
function brief({ value: { request, response, trace } }) {
  return `${request.method} ${request.url} → ${response?.status_code} ${JSON.stringify(trace?.error ?? null)} ${JSON.stringify(request.body)?.slice(0, 100)}`;
}

/** @param {Entry} entry @param {LogRecord} record */
function isSameExchange(entry, record) {
  const { request, response } = record.value;
  if (request.method !== entry.method || !isSameUrl(request.url, entry.url)) return false;
  // A client that gave up may have gone before the head that the server sent.
  if (response && response.status_code !== entry.status) return false;
  if (!response && entry.outcome === 'complete') return false;
  // Parallel clients send equal requests, and the server need not begin them in the order in which they were made.
  const id = entry.responseHeaders.find(([name]) => name === 'request-id')?.[1];
  if (response && id !== undefined && response.headers['request-id'] !== id) return false;
  const sent = Buffer.from(entry.requestBody, 'base64');
  const recorded = requestBody(record);
  return isJson(record, 'request') ? withoutSpace(sent).equals(recorded) : sent.equals(recorded);
}

const SECRET_PARAMETERS = /^(key|code|.*token|.*secret|.*password|.*signature)$/i;

/** Equal but for the values of parameters that carry credentials. @param {string} recorded @param {string} sent */
function isSameUrl(recorded, sent) {
  if (recorded === sent) return true;
  const [a, b] = [new URL(recorded), new URL(sent)];
  if (a.origin !== b.origin || a.pathname !== b.pathname) return false;
  const [shown, values] = [[...a.searchParams], [...b.searchParams]];
  return shown.length === values.length && shown.every(([name, value], i) => name === values[i][0] && (value === values[i][1]) !== SECRET_PARAMETERS.test(name));
}

/** @param {Match} match */
function assertRecordIsTrue({ entry, record }) {
  const { request, response, trace } = record.value;
  const what = `exchange ${entry.id} (${entry.method} ${entry.url})`;
  assert.equal(trace.http, entry.http, `${what}: HTTP version`);
  assert.equal(trace.request_bytes, Buffer.from(entry.requestBody, 'base64').length, `${what}: request_bytes`);
  // HTTP/2 has the pseudo-header :authority instead.
  const host = /** @type {[string, string][]} */ (entry.http === '2' ? [['host', new URL(entry.url).host]] : []);
  assertHeaders([...entry.requestHeaders, ...host], request.headers, HOP_HEADERS, `${what}: request headers`);
  if (!response) return;
  assertHeaders(entry.responseHeaders, response.headers, [], `${what}: response headers`);
  assertTrailers(entry, response, what);

  const wire = Buffer.from(entry.responseBody, 'base64');
  const plain = entry.method === 'HEAD' ? Buffer.alloc(0) : Buffer.from(entry.responsePlain, 'base64');
  const recorded = responseBody(record);
  if (isPartial(record)) {
    const whole = isJson(record, 'response') ? withoutSpace(plain) : plain;
    assert.ok(recorded.equals(whole.subarray(0, recorded.length)), `${what}: the partial body is no beginning of what was sent`);
    assert.ok(trace.response_bytes <= wire.length, `${what}: more bytes on record than were sent`);
  } else {
    assert.equal(entry.outcome, 'complete', `${what}: recorded as complete`);
    assertSameBytes(recorded, isJson(record, 'response') ? withoutSpace(plain) : plain, `${what}: response body`);
    assert.equal(trace.response_bytes, wire.length, `${what}: response_bytes`);
  }
  const { bytes = [], at_ms: times = [] } = trace.chunks ?? {};
  assert.equal(sum(bytes), trace.response_bytes, `${what}: the chunks do not add up`);
  assert.deepEqual([...times].sort((a, b) => a - b), times, `${what}: chunks out of order`);
}

/** @param {number[]} numbers */
const sum = (numbers) => numbers.reduce((total, n) => total + n, 0);

/** @param {Buffer} actual @param {Buffer} expected @param {string} what */
function assertSameBytes(actual, expected, what) {
  if (actual.equals(expected)) return;
  let at = 0;
  while (at < actual.length && actual[at] === expected[at]) at++;
  /** @param {Buffer} bytes */
  const around = (bytes) => JSON.stringify(bytes.toString('utf8', Math.max(0, at - 40), at + 40));
  assert.fail(`${what}: ${actual.length} bytes instead of ${expected.length}, different from byte ${at}: ${around(actual)} instead of ${around(expected)}`);
}

// Framing and routing, which HTTP adds below a client's own headers; a recorder may or may not see them.
const HOP_HEADERS = ['host', 'connection', 'content-length', 'transfer-encoding', 'keep-alive'];
const SECRET = /authorization|api-key|auth-token|cookie|session-token|access-token|bearer|security-token|goog-api-key/;

/**
 * @param {[string, string][]} sent @param {Record<string, string | string[]>} recorded @param {string[]} optional @param {string} what
 */
function assertHeaders(sent, recorded, optional, what) {
  const wire = new Map();
  for (const [name, value] of sent) wire.set(name.toLowerCase(), [...(wire.get(name.toLowerCase()) ?? []), value]);
  for (const [name, values] of wire) {
    if (!(name in recorded)) {
      assert.ok(optional.includes(name), `${what}: ${name} is missing`);
      continue;
    }
    const shown = [recorded[name]].flat().join(', ');
    if (SECRET.test(name)) assertRedacted(values, shown, `${what}: ${name}`);
    else assert.equal(shown, values.join(', '), `${what}: ${name}`);
  }
  for (const name of Object.keys(recorded)) assert.ok(wire.has(name), `${what}: ${name} was never sent`);
}

/** A value is shown only in part, and only when it is long. @param {string[]} values @param {string} shown @param {string} what */
function assertRedacted(values, shown, what) {
  assert.match(shown, /\[REDACTED\]|\.\.\./, what);
  for (const value of values) assert.ok(!shown.includes(value), `${what} is readable`);
}

/** @param {Entry} entry @param {any} response @param {string} what */
function assertTrailers(entry, response, what) {
  if (entry.responseTrailers.length === 0 && response.trailers === undefined) return;
  assertHeaders(entry.responseTrailers, response.trailers ?? {}, [], `${what}: trailers`);
}

/** @param {LogRecord} record @param {'request' | 'response'} side */
function isJson({ value }, side) {
  const body = value[side]?.body;
  return body !== null && body !== undefined && typeof body !== 'string';
}

/** The recorded bytes: JSON as it stands in the line, text as UTF-8, base64 undone. @param {LogRecord} record */
const requestBody = (record) => bodyBytes(record, 'request', 'body');

/** @param {LogRecord} record */
const responseBody = (record) => bodyBytes(record, 'response', record.value.response && 'body_raw' in record.value.response ? 'body_raw' : 'body');

/** @param {LogRecord} record @param {'request' | 'response'} side @param {string} key @returns {Buffer} */
function bodyBytes(record, side, key) {
  const part = record.value[side];
  const body = part?.[key];
  if (body === null || body === undefined) return Buffer.alloc(0);
  if (part.body_encoding === 'base64') return Buffer.from(body, 'base64');
  if (typeof body === 'string') return Buffer.from(body);
  return /** @type {Buffer} */ (valueAt(record.line, [side, key]));
}

/** No file that a client left behind may hold any of these. @param {string} folder @param {string[]} secrets */
function assertNowhereUnder(folder, secrets) {
  for (const name of fs.readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const file = path.join(folder, name);
    if (!fs.statSync(file).isFile()) continue;
    const bytes = fs.readFileSync(file);
    for (const secret of secrets) assert.equal(bytes.indexOf(secret), -1, `${file} holds '${secret}'`);
  }
}

module.exports = { readLog, readLines, assertLogMatches, assertNowhereUnder, isPartial, requestBody, responseBody };
