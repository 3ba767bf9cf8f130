'use strict';

// The little statistics that the benchmarks need. Medians and quartiles throughout: one sample that met a compaction or a
// neighbour's build must not move a result.

/**
 * @param {ArrayLike<number>} sorted ascending
 * @param {number} q 0 to 1
 * @returns {number} with linear interpolation between neighbours; NaN of nothing
 */
function quantile(sorted, q) {
  if (sorted.length === 0) return NaN;
  const at = (sorted.length - 1) * q;
  const below = Math.floor(at);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

/** @param {Iterable<number>} values */
const ascending = (values) => Float64Array.from(values).sort();

/** @param {Iterable<number>} values */
const median = (values) => quantile(ascending(values), 0.5);

/**
 * @typedef {{ median: number, q1: number, q3: number }} Spread q1 to q3 is the interquartile range
 * @param {Iterable<number>} values
 * @returns {Spread}
 */
function spread(values) {
  const sorted = ascending(values);
  return { median: quantile(sorted, 0.5), q1: quantile(sorted, 0.25), q3: quantile(sorted, 0.75) };
}

const RESAMPLES = 4000;

/**
 * Percentile bootstrap of the median.
 * @param {readonly number[]} values
 * @param {() => number} random
 * @returns {{ low: number, high: number }} a 95 % confidence interval
 */
function medianInterval(values, random) {
  const medians = new Float64Array(RESAMPLES);
  const drawn = new Float64Array(values.length);
  for (let i = 0; i < RESAMPLES; i++) {
    for (let j = 0; j < drawn.length; j++) drawn[j] = values[Math.floor(random() * values.length)];
    medians[i] = quantile(drawn.sort(), 0.5);
  }
  medians.sort();
  return { low: quantile(medians, 0.025), high: quantile(medians, 0.975) };
}

/**
 * Mulberry32: the order of a run and its intervals can be had again from its seed.
 * @param {number} seed
 * @returns {() => number} 0 to 1
 */
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * @template T
 * @param {readonly T[]} items
 * @param {() => number} random
 * @returns {T[]} a shuffled copy (Fisher–Yates)
 */
function shuffled(items, random) {
  const copy = [...items];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [copy[i], copy[j]] = [copy[j], copy[i]];
  }
  return copy;
}

module.exports = { ascending, median, medianInterval, quantile, randomFrom, shuffled, spread };
