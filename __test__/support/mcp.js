'use strict';

// What passed between an MCP client and its server, and what is on record of it.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { requestBody, responseBody } = require('./log');

/** @typedef {import('./log').LogRecord} LogRecord */

const CLIENTS = path.join(__dirname, '../clients/mcp');

/** Both ways of what a tee has kept. @param {string} file */
const kept = (file) => ({ in: fs.readFileSync(`${file}.in`), out: fs.readFileSync(`${file}.out`) });

/** Its lines, as text. @param {Buffer} bytes */
const lines = (bytes) => bytes.toString().split('\n').filter((line) => line.trim() !== '');

/**
 * What one side has said, by the records: what it asked or told, and what it answered.
 * @param {LogRecord[]} records @param {'client' | 'server'} side
 */
function saidOnRecord(records, side) {
  return records.flatMap((record) => {
    const { trace, response } = record.value;
    if (trace.jsonrpc.from === side) return [requestBody(record).toString()];
    return response?.status_code === 200 ? [responseBody(record).toString()] : [];
  });
}

/** Each line of both sides is on record once, and nothing else is. @param {{ in: Buffer, out: Buffer }} passed @param {LogRecord[]} records */
function assertAllOnRecord(passed, records) {
  assert.deepEqual(saidOnRecord(records, 'client').sort(), lines(passed.in).sort());
  assert.deepEqual(saidOnRecord(records, 'server').sort(), lines(passed.out).sort());
}

/** @param {LogRecord[]} records @param {string} method */
const ofMethod = (records, method) => records.filter(({ value }) => value.trace.jsonrpc?.method === method).map(({ value }) => value);

/** Rules for both transports. */
const RULES = `
[[rule]]
name = "nothing fails here"
match = { method = "tools/call", tool = "fail" }
block.message = "fail is not to be called"

[[rule]]
name = "slow sums"
match = { tool = "add" }
request.delay = "0.2s"
response.replace = [{ regex = '"text":"42"', with = '"text":"the answer"' }]

[[rule]]
name = "quiet"
match = { host = ["sums", "127.0.0.1"] }
events = { types = "notifications/progress", drop = true }
`;

/** What clients/mcp/rules-client.mjs gets through them. */
const RULES_SAY = `fail: [-32003,"MCP error -32003: fail is not to be called"]
add: "3"
slow: "the answer"
slow enough: true
count: "counted to 3"
progress: []
`;

module.exports = { RULES, RULES_SAY, CLIENTS, kept, lines, assertAllOnRecord, ofMethod };
