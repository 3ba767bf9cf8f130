'use strict';

// What every results file begins with, and how it is written.

const fs = require('node:fs');
const path = require('node:path');

/** Keys may be added; what changes the meaning of one makes another format. */
const FORMAT = 1;
/** Characters. */
const LARGE = 10_000;

/**
 * @template P
 * @param {object} machine
 * @param {P} parameters
 */
const head = (machine, parameters) => ({ format: FORMAT, finishedAt: new Date().toISOString(), node: process.versions.node, machine, parameters });

/**
 * To be read, and short nevertheless: lists one item a line, small objects indented, large ones in a line of their own.
 * @param {string} file
 * @param {Record<string, unknown>} results
 */
function writeResults(file, results) {
  const parts = Object.entries(results).map(([key, value]) => ` ${JSON.stringify(key)}: ${Array.isArray(value) ? list(value) : object(value)}`);
  fs.mkdirSync(path.dirname(path.resolve(file)), { recursive: true });
  fs.writeFileSync(file, `{\n${parts.join(',\n')}\n}\n`);
}

/** @param {readonly unknown[]} items */
const list = (items) => `[\n${items.map((item) => JSON.stringify(item, rounded)).join(',\n')}\n]`;

/** @param {unknown} value */
function object(value) {
  const line = JSON.stringify(value, rounded) ?? 'null';
  return line.length > LARGE ? line : JSON.stringify(JSON.parse(line), null, 1).replaceAll('\n', '\n ');
}

/** Five significant digits: more than any of them is worth. @param {string} _ @param {unknown} value */
const rounded = (_, value) => (typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value);

module.exports = { head, writeResults };
