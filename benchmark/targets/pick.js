'use strict';

// Finds figures in the files that the benchmarks write. What is not there is null.

const { median } = require('../support/statistics.js');

/**
 * @typedef {{ median: number, q1: number, q3: number, low: number, high: number, percent: number, isWithinSpread: boolean }} Difference
 * @typedef {{ variant: string, figures: Record<string, { median: number }>, differences: Record<string, Difference> | null, hooks: Record<string, number> | null }} Variant
 * @typedef {{ node: string, case: string, variants: Variant[] }} Summary
 *
 * @typedef {object} Results by benchmark; each as its own --json writes it
 * @property {{ summaries: Summary[] }} [overhead]
 * @property {{ rows: import('../budget/run.js').Row[] }} [budget]
 * @property {{ verdict: import('../memory/verdict.js').Verdict }} [memory]
 * @property {{ rows: import('../pipeline/run.js').Row[], growth: import('../pipeline/growth.js').Growth }} [pipeline]
 */

/** @param {Results} results @param {string} c @param {string} variant */
function variantOf({ overhead }, c, variant) {
  // Of several Nodes the first one: the gate runs one.
  return overhead?.summaries.find((summary) => summary.case === c)?.variants.find((each) => each.variant === variant) ?? null;
}

/** @param {Results} results @param {string} c @param {string} variant @param {string} key */
const differenceOf = (results, c, variant, key) => variantOf(results, c, variant)?.differences?.[key] ?? null;

/** @param {Results} results @param {string} c @param {string} variant @param {string} key */
const figureOf = (results, c, variant, key) => variantOf(results, c, variant)?.figures[key]?.median ?? null;

/** @param {Results} results @param {string} c @param {string} variant @param {string} key µs */
const hooksOf = (results, c, variant, key) => variantOf(results, c, variant)?.hooks?.[key] ?? null;

/**
 * @param {Results} results
 * @param {string} c
 * @param {string} variant
 * @param {string} other
 * @param {string} key
 * @param {number} factor
 */
function ratioOf(results, c, variant, other, key, factor) {
  const [own, against] = [figureOf(results, c, variant, key), figureOf(results, c, other, key)];
  if (own === null || against === null) return null;
  // Below untraced by no more than untraced is below itself is not below.
  const isNoise = other === 'untraced' && differenceOf(results, c, variant, key)?.isWithinSpread === true;
  return { actual: (own / against) * factor, isNoise, note: `${own} and ${against}` };
}

/** @param {Results} results @param {string} variant @param {string} key @returns {number | null} median over the cases */
function overCases(results, variant, key) {
  const all = results.overhead?.summaries.flatMap((summary) => differenceOf({ overhead: { summaries: [summary] } }, summary.case, variant, key)?.median ?? []) ?? [];
  return all.length === 0 ? null : median(all);
}

/** @param {Results} results @param {{ kind: string, place: string, workers: number, producers: number }} wanted */
const pipelineRow = ({ pipeline }, wanted) =>
  pipeline?.rows.find((row) => Object.entries(wanted).every(([key, value]) => /** @type {Record<string, unknown>} */ (row)[key] === value)) ?? null;

module.exports = { overCases, differenceOf, figureOf, hooksOf, pipelineRow, ratioOf };
