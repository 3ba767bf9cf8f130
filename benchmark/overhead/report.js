'use strict';

// The table. benchmark/README.md says how to read it.

const { FIGURES, START_UP } = require('./figures.js');
const { BASELINE, NOISE } = require('./variants.js');
const { spread } = require('../support/statistics.js');

/**
 * @param {string[][]} rows the first one is the heading; the first column is left-aligned
 * @returns {string}
 */
function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ').trimEnd()).join('\n');
}

/** @param {number} value @param {number} digits */
const fixed = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits) : '–');

/** @param {number} value @param {number} digits */
const signed = (value, digits) => `${value < 0 ? '' : '+'}${fixed(value, digits)}`;

/** @param {import('../support/statistics.js').Spread} spread @param {number} digits */
const withSpread = ({ median, q1, q3 }, digits) => `${fixed(median, digits)} ±${fixed((q3 - q1) / 2, digits)}`;

/**
 * @param {import('./summary.js').CaseSummary} summary
 * @param {import('./cases.js').Case} c
 * @param {ReadonlyMap<string, string>} titles of variants by id
 */
function caseTable(summary, c, titles) {
  const figures = FIGURES.filter(({ applies }) => applies(c));
  const heading = [`${c.title}: ${c.requests} requests`, ...figures.map(({ title, unit }) => (unit === '' ? title : `${title}, ${unit}`))];
  const rows = summary.variants.map(({ variant, figures: values }) => [
    `  ${titles.get(variant)}`,
    ...figures.map(({ key, digits }) => withSpread(values[key], digits)),
  ]);
  return `${table([heading, ...rows])}\n  (server at work ${fixed(summary.serverBusy * 100, 0)} % of the time)`;
}

/**
 * Against untraced, beside untraced against itself.
 * @param {readonly import('./summary.js').CaseSummary[]} summaries
 * @param {readonly string[]} compared ids of variants
 * @param {ReadonlyMap<string, string>} titles
 */
function differenceTable(summaries, compared, titles) {
  const rows = [['minus untraced, pair by pair: median [95 %]', 'untraced again, q1 … q3', ...compared.map((id) => `${titles.get(id)}: within?`)]];
  for (const summary of summaries) {
    /** @param {string} id @param {string} key */
    const of = (id, key) => summary.variants.find(({ variant }) => variant === id)?.differences?.[key];
    for (const { key, title, unit, digits } of FIGURES) {
      const noise = of(NOISE, key);
      if (noise === undefined) continue;
      const cells = compared.map((id) => {
        const d = of(id, key);
        if (d === undefined) return '–';
        return `${signed(d.median, digits)} (${signed(d.percent, 1)} %) [${signed(d.low, digits)}, ${signed(d.high, digits)}] ${d.isWithinSpread ? 'yes' : ' no'}`;
      });
      rows.push([`  ${summary.case} ${title}${unit && `, ${unit}`}`, `${signed(noise.q1, digits)} … ${signed(noise.q3, digits)}`, ...cells]);
    }
  }
  return table(rows);
}

/**
 * @param {readonly import('./summary.js').CaseSummary[]} summaries
 * @param {ReadonlyMap<string, string>} titles
 */
function hookTable(summaries, titles) {
  const rows = [['hook time on the JS thread, µs', 'first', 'p50', 'p95', 'p99', 'max', 'chunk mean', 'chunk p99', 'chunk max']];
  for (const { case: id, variants } of summaries) {
    for (const { variant, hooks } of variants) {
      if (hooks === null) continue;
      const { first, p50, p95, p99, max, chunkMean, chunkP99, chunkMax } = hooks;
      const cells = [first, p50, p95, p99, max].map((value) => fixed(value, 1));
      rows.push([`  ${id}: ${titles.get(variant)}`, ...cells, fixed(chunkMean, 3), fixed(chunkP99, 2), fixed(chunkMax, 1)]);
    }
  }
  return table(rows);
}

/**
 * @param {readonly import('./summary.js').PlacedSample[]} samples
 * @param {ReadonlyMap<string, string>} titles
 */
function startUpTable(samples, titles) {
  const rows = [['start-up, ms', 'node with its preload', 'over untraced']];
  /** @param {string} id */
  const of = (id) => spread(samples.filter(({ variant }) => variant === id).map(({ metrics }) => metrics[START_UP] ?? NaN));
  const base = of(BASELINE).median;
  for (const [id, title] of titles) rows.push([`  ${title}`, withSpread(of(id), 2), signed(of(id).median - base, 2)]);
  return table(rows);
}

module.exports = { caseTable, differenceTable, hookTable, startUpTable };
