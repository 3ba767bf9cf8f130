'use strict';

// From samples to medians, and from rounds to differences. Samples of one round and case ran one after another in shuffled
// order: what a variant is held against is the untraced sample of its own round.

const { median, medianInterval, randomFrom, spread } = require('../support/statistics.js');
const { FIGURES } = require('./figures.js');
const { BASELINE, NOISE } = require('./variants.js');

/**
 * @typedef {import('./sample.js').Sample & { node: string, case: string, variant: string, round: number, order: number }} PlacedSample
 * @typedef {import('../support/statistics.js').Spread} Spread
 *
 * @typedef {object} Difference `variant − untraced`, pair by pair
 * @property {number} median
 * @property {number} low 95 % confidence interval of the median
 * @property {number} high
 * @property {number} q1
 * @property {number} q3
 * @property {number} percent of untraced's median
 * @property {boolean} isWithinSpread whether the median lies between q1 and q3 of `untraced again − untraced`
 *
 * @typedef {object} HookTimes medians over rounds, µs
 * @property {number} first
 * @property {number} p50
 * @property {number} p95
 * @property {number} p99
 * @property {number} max
 * @property {number} chunkMean
 * @property {number} chunkP99
 * @property {number} chunkMax
 *
 * @typedef {object} VariantSummary
 * @property {string} variant
 * @property {Record<string, Spread>} figures
 * @property {Record<string, Difference> | null} differences null for untraced itself
 * @property {HookTimes | null} hooks
 *
 * @typedef {object} CaseSummary
 * @property {string} node
 * @property {string} case
 * @property {number} serverBusy share of its time that the server was at work, in untraced's samples
 * @property {VariantSummary[]} variants
 */

/**
 * @param {readonly PlacedSample[]} samples of one Node and case
 * @param {import('./cases.js').Case} c
 * @param {number} seed
 * @returns {CaseSummary}
 */
function summarise(samples, c, seed) {
  const random = randomFrom(seed);
  const figures = FIGURES.filter(({ applies }) => applies(c));
  const byVariant = grouped(samples);
  /** @param {string} variant @param {string} key */
  const values = (variant, key) => (byVariant.get(variant) ?? []).map((sample) => sample.metrics[key] ?? NaN);

  /** @param {string} variant @param {string} key */
  const paired = (variant, key) => {
    const base = new Map(byVariant.get(BASELINE)?.map((sample) => [sample.round, sample.metrics[key] ?? NaN]));
    return (byVariant.get(variant) ?? []).map((sample) => (sample.metrics[key] ?? NaN) - (base.get(sample.round) ?? NaN));
  };

  /** @param {string} variant @param {string} key @returns {Difference} */
  const difference = (variant, key) => {
    const all = paired(variant, key);
    const noise = spread(paired(NOISE, key));
    const own = spread(all);
    return {
      ...own,
      ...medianInterval(all, random),
      percent: (own.median / median(values(BASELINE, key))) * 100,
      isWithinSpread: own.median >= noise.q1 && own.median <= noise.q3,
    };
  };

  const untraced = byVariant.get(BASELINE) ?? [];
  return {
    node: samples[0].node,
    case: c.id,
    serverBusy: median(untraced.map((sample) => (sample.serverBusyPerRequestMs * (sample.metrics.requestsPerSecond ?? NaN)) / 1e3)),
    variants: [...byVariant.keys()].map((variant) => ({
      variant,
      figures: Object.fromEntries(figures.map(({ key }) => [key, spread(values(variant, key))])),
      differences: variant === BASELINE ? null : Object.fromEntries(figures.map(({ key }) => [key, difference(variant, key)])),
      hooks: hookTimes(byVariant.get(variant) ?? []),
    })),
  };
}

/** @param {readonly PlacedSample[]} samples */
function grouped(samples) {
  /** @type {Map<string, PlacedSample[]>} */
  const groups = new Map();
  for (const sample of samples) groups.set(sample.variant, [...(groups.get(sample.variant) ?? []), sample]);
  return groups;
}

/**
 * @param {readonly PlacedSample[]} samples
 * @returns {HookTimes | null}
 */
function hookTimes(samples) {
  const hooks = samples.flatMap((sample) => sample.hooks ?? []);
  if (hooks.length === 0) return null;
  /** @param {(h: import('./sample.js').Hooks) => number | null} pick */
  const us = (pick) => median(hooks.map(pick).filter((ms) => ms !== null)) * 1e3;
  return {
    first: us((h) => h.firstMs),
    p50: us((h) => h.request.p50),
    p95: us((h) => h.request.p95),
    p99: us((h) => h.request.p99),
    max: us((h) => h.request.max),
    chunkMean: us((h) => h.chunk.mean),
    chunkP99: us((h) => h.chunk.p99),
    chunkMax: us((h) => h.chunk.max),
  };
}

module.exports = { summarise };
