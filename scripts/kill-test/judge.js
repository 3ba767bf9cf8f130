'use strict';

// Holds what is on record against what the clients said they had received and what the server says it has sent.

const fs = require('node:fs');
const path = require('node:path');
const { requestBody, responseBody } = require('../../__test__/support/log.js');
const { filesIn } = require('./moment.js');
const { decode } = require('./told.js');
const { numberOf } = require('./workload.js');

/**
 * @typedef {import('../../fixtures/standin/account').Entry} Entry
 * @typedef {import('../../__test__/support/log').LogRecord} LogRecord
 * @typedef {import('./told.js').Told} Told
 *
 * @typedef {object} Verdict
 * @property {number} exchanges that the clients had begun
 * @property {number} records
 * @property {number} recovered of these, by a later start
 * @property {number} bytesTold of bodies that the clients had received
 * @property {number} bytesLost of these
 * @property {number} duplicates
 * @property {number} unreadable lines
 * @property {string[]} problems all that is wrong, in words
 */

/** @param {import('./run.js').Place} place @param {Entry[]} account @returns {Verdict} */
function judge(place, account) {
  const told = decode(fs.readFileSync(place.account));
  const { records, unreadable } = readLogs(place.logs);
  /** @type {Verdict} */
  const verdict = { exchanges: told.size, records: records.length, recovered: 0, bytesTold: 0, bytesLost: 0, duplicates: 0, unreadable: unreadable.length, problems: [...unreadable] };
  const byNumber = new Map(account.map((entry) => [numberOf(entry.url), entry]));
  const found = new Map();
  const ids = new Set();
  for (const record of records) {
    const { request, trace } = record.value;
    const number = numberOf(request.url);
    if (found.has(number) || ids.has(trace.id)) {
      verdict.duplicates++;
      verdict.problems.push(`exchange ${number} (${trace.id}) is on record twice`);
    }
    found.set(number, record);
    ids.add(trace.id);
    if (trace.recovered) verdict.recovered++;
    const wrong = faultOf(record, byNumber.get(number), told.get(number));
    if (wrong !== null) verdict.problems.push(`exchange ${number} (${trace.id}): ${wrong}`);
  }
  for (const [number, exchange] of told) {
    const record = found.get(number);
    const lost = Math.max(0, exchange.received - (record === undefined ? 0 : bodyOf(record).length));
    verdict.bytesTold += exchange.received;
    verdict.bytesLost += lost;
    if (record === undefined) verdict.problems.push(`exchange ${number} is not on record; its client had begun it and received ${exchange.received} bytes`);
    else if (lost > 0) verdict.problems.push(`exchange ${number}: ${lost} of ${exchange.received} bytes that its client had received are lost`);
  }
  verdict.problems.push(...leftovers(place));
  return verdict;
}

/** @param {LogRecord} record @param {Entry | undefined} entry @param {Told | undefined} told @returns {string | null} */
function faultOf(record, entry, told) {
  const { response, trace } = record.value;
  const body = bodyOf(record);
  if (trace.gap) return 'it has a gap';
  if (told !== undefined && trace.request_bytes !== told.requestBytes) return `${trace.request_bytes} of ${told.requestBytes} bytes of its request are on record`;
  if (told?.ended && (trace.partial || body.length !== told.received)) return `its client received all of its ${told.received} bytes, ${body.length} are on record`;
  // The client was killed before the server had read the head of the request.
  if (entry === undefined) return response === null ? null : 'the server has never seen it';
  const asked = Buffer.from(entry.requestBody, 'base64');
  if (!isSameBeginning(asked, requestBody(record))) return 'its request is not what the server received';
  if (response === null) return null;
  if (response.status_code !== entry.status) return `status ${response.status_code}, and ${entry.status} was sent`;
  if (!['truncated', undefined].includes(trace.decoding)) return `its body was not decoded: ${trace.decoding}`;
  const sent = Buffer.from(entry.responsePlain, 'base64');
  if (!sent.subarray(0, body.length).equals(body)) return 'its response is no beginning of what the server sent';
  const wire = Buffer.byteLength(entry.responseBody, 'base64');
  return trace.response_bytes <= wire ? null : `${trace.response_bytes} bytes are on record, ${wire} were sent`;
}

/** Either may have been cut off before the other. @param {Buffer} a @param {Buffer} b */
function isSameBeginning(a, b) {
  const length = Math.min(a.length, b.length);
  return a.subarray(0, length).equals(b.subarray(0, length));
}

/** @param {LogRecord} record */
function bodyOf(record) {
  const tail = record.value.trace.tail_base64;
  const body = responseBody(record);
  return tail === undefined ? body : Buffer.concat([body, Buffer.from(tail, 'base64')]);
}

/** @param {string} folder @returns {{ records: LogRecord[], unreadable: string[] }} */
function readLogs(folder) {
  /** @type {LogRecord[]} */
  const records = [];
  const unreadable = [];
  for (const name of filesIn(folder).filter((file) => file.endsWith('.jsonl'))) {
    const file = path.join(folder, name);
    const bytes = fs.readFileSync(file);
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      const line = bytes.subarray(start, end);
      try {
        records.push({ line, value: JSON.parse(line.toString()), file });
      } catch (error) {
        unreadable.push(`${name} cannot be read at byte ${start}: ${/** @type {Error} */ (error).message.slice(0, 100)}`);
      }
      start = end + 1;
    }
    if (start !== bytes.length) unreadable.push(`${name} ends in half a line, at byte ${start} of ${bytes.length}`);
  }
  return { records, unreadable };
}

/** What a recovery should have taken away with it. @param {import('./run.js').Place} place @returns {string[]} */
function leftovers({ spool, runtime, logs }) {
  const left = [...filesIn(spool).map((name) => path.join(spool, name)), ...filesIn(runtime).filter((name) => name !== 'elsewhere').map((name) => path.join(runtime, name))];
  for (const name of filesIn(logs)) {
    const file = path.join(logs, name);
    if (!name.endsWith('.jsonl')) left.push(file);
    else if (fs.statSync(file).size === 0) left.push(`${file} (empty)`);
  }
  return left.map((file) => `left over: ${file}`);
}

module.exports = { judge };
