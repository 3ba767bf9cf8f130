'use strict';

const fs = require('node:fs');
const path = require('node:path');

const FORMAT = 1;

/**
 * @param {object} run
 * @param {object} run.machine
 * @param {import('./options.js').Options} run.options
 * @param {readonly import('./variants.js').Variant[]} run.variants that took part
 * @param {readonly import('./summary.js').PlacedSample[]} run.samples
 * @param {readonly import('./summary.js').CaseSummary[]} run.summaries
 */
function resultsOf({ machine, options, variants, samples, summaries }) {
  const rows = samples.map((sample) => flat(sample));
  const columns = [...new Set(rows.flatMap(Object.keys))];
  const { quick, rounds, seed, patience, nodes, cases } = options;
  return {
    format: FORMAT,
    finishedAt: new Date().toISOString(),
    machine,
    parameters: {
      quick, rounds, seed, patience, cases,
      suites: [...new Set(cases.map(({ suite }) => suite))],
      nodes: nodes.map(({ version }) => version),
      variants: variants.map(({ id, title }) => ({ id, title })),
    },
    columns,
    samples: rows.map((row) => columns.map((name) => row[name] ?? null)),
    summaries: [...summaries],
  };
}

/**
 * One sample a line, as a row of numbers under `columns`: a run of all Nodes is thousands of samples.
 * @param {string} file
 * @param {ReturnType<typeof resultsOf>} results
 */
function writeResults(file, { samples, summaries, ...head }) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, [
    JSON.stringify(head, null, 1).slice(0, -2),
    `,\n "samples": ${array(samples)}`,
    `,\n "summaries": ${array(summaries)}\n}\n`,
  ].join(''));
}

/** @param {readonly unknown[]} items */
const array = (items) => `[\n${items.map((item) => JSON.stringify(rounded(item))).join(',\n')}\n]`;

/**
 * @param {Record<string, any>} value
 * @param {string} [prefix]
 * @returns {Record<string, any>} one level: `hooks.request.p99`
 */
function flat(value, prefix = '') {
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) =>
      inner !== null && typeof inner === 'object' ? Object.entries(flat(inner, `${prefix}${key}.`)) : [[prefix + key, inner]],
    ),
  );
}

/**
 * Five significant digits: more than any of them is worth.
 * @template T
 * @param {T} value
 * @returns {T}
 */
function rounded(value) {
  return JSON.parse(JSON.stringify(value), (_, inner) => (typeof inner === 'number' && !Number.isInteger(inner) ? Number(inner.toPrecision(5)) : inner));
}

module.exports = { resultsOf, writeResults };
