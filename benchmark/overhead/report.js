'use strict';

// The tables. benchmark/README.md says how to read them.

const { table } = require('../support/table.js');
const { FIGURES, heading } = require('./figures.js');
const { BASELINE, NOISE } = require('./variants.js');

/**
 * @typedef {import('./summary.js').CaseSummary} CaseSummary
 * @typedef {import('./cases.js').Case} Case
 * @typedef {ReadonlyMap<string, string>} Titles of variants by id
 */

/** Three digits that say something. @param {number} value */
const digitsOf = (value) => (Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 0.1 ? 2 : 3);

/** @param {number} value @param {number} [digits] */
const fixed = (value, digits = digitsOf(value)) => (Number.isFinite(value) ? value.toFixed(digits) : '–');

/** @param {number} value @param {number} [digits] */
const signed = (value, digits) => `${value < 0 ? '' : '+'}${fixed(value, digits)}`;

/** @param {import('../support/statistics.js').Spread} spread */
function withSpread({ median, q1, q3 }) {
  if (!Number.isFinite(median)) return '–';
  return q1 === q3 ? fixed(median) : `${fixed(median)}±${fixed((q3 - q1) / 2, digitsOf(median))}`;
}

/**
 * The one that says it all: every variant in every case.
 * @param {readonly CaseSummary[]} summaries
 * @param {readonly Case[]} cases in the same order
 * @param {Titles} titles
 */
function mainTable(summaries, cases, titles) {
  const columns = FIGURES.filter(({ inTable, applies }) => inTable && cases.some(applies));
  const blocks = summaries.map(({ variants, serverBusy }, i) => [
    [`${cases[i].title}: ${cases[i].requests} ${cases[i].suite === 'session' ? 'turns' : 'requests'} (server at work ${fixed(serverBusy * 100, 0)} %)`],
    ...variants.map(({ variant, figures, differences }) => [
      `  ${titles.get(variant)}`,
      ...columns.map(({ key }) => {
        if (figures[key] === undefined) return '';
        return `${withSpread(figures[key])}${differences?.[key].isWithinSpread && variant !== NOISE ? '=' : ' '}`;
      }),
    ]),
  ]);
  const head = ['', ...columns.map((figure) => `${heading(figure)} `)];
  // The titles must not widen the first column.
  const lines = table([head, ...blocks.flatMap((block) => block.slice(1))]).split('\n');
  let at = 1;
  return [lines[0], ...blocks.flatMap((block) => [block[0][0], ...lines.slice(at, (at += block.length - 1))])].join('\n');
}

const LEGEND = [
  'median ± half the interquartile range over rounds; req: request, in a session turn; gap: between two events of a stream, as the SDK hands them out;',
  '=: the median of the differences to untraced, pair by pair, lies within what untraced differs from itself',
].join('\n');

/**
 * Against untraced, beside untraced against itself.
 * @param {readonly CaseSummary[]} summaries
 * @param {readonly string[]} compared ids of variants
 * @param {Titles} titles
 */
function differenceTable(summaries, compared, titles) {
  const rows = [['minus untraced, pair by pair: median [95 %]', 'untraced again, q1 … q3', ...compared.map((id) => `${titles.get(id)}: within?`)]];
  for (const summary of summaries) {
    /** @param {string} id @param {string} key */
    const of = (id, key) => summary.variants.find(({ variant }) => variant === id)?.differences?.[key];
    const base = summary.variants.find(({ variant }) => variant === BASELINE);
    for (const figure of FIGURES) {
      const noise = of(NOISE, figure.key);
      if (noise === undefined) continue;
      // As precise as the figure itself is shown, and a digit more.
      const digits = digitsOf(base?.figures[figure.key].median ?? NaN) + 1;
      const cells = compared.map((id) => {
        const d = of(id, figure.key);
        if (d === undefined) return '–';
        return `${signed(d.median, digits)} (${signed(d.percent, 1)} %) [${signed(d.low, digits)}, ${signed(d.high, digits)}] ${d.isWithinSpread ? 'yes' : ' no'}`;
      });
      rows.push([`  ${summary.case} ${heading(figure)}`, `${signed(noise.q1, digits)} … ${signed(noise.q3, digits)}`, ...cells]);
    }
  }
  return table(rows);
}

/**
 * @param {readonly CaseSummary[]} summaries
 * @param {Titles} titles
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

module.exports = { LEGEND, differenceTable, hookTable, mainTable };
