'use strict';

const { head } = require('../support/results.js');

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
  const parameters = {
    quick, rounds, seed, patience, cases,
    suites: [...new Set(cases.map(({ suite }) => suite))],
    nodes: nodes.map(({ version }) => version),
    variants: variants.map(({ id, title }) => ({ id, title })),
  };
  // A sample is a row of numbers under `columns`: a run of all Nodes is thousands of them.
  return { ...head(machine, parameters), columns, samples: rows.map((row) => columns.map((name) => row[name] ?? null)), summaries: [...summaries] };
}

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

module.exports = { resultsOf };
