'use strict';

// Targets against results. Pure.

const { table } = require('../support/table.js');

/**
 * @typedef {object} Line
 * @property {string} id
 * @property {string} source
 * @property {string} title
 * @property {string} unit
 * @property {'at most' | 'at least'} bound
 * @property {number} limit
 * @property {number | null} actual null: not measured
 * @property {boolean} isMet
 * @property {boolean} isNoise met only because it cannot be told from the noise
 * @property {string} missedBy '' when met
 * @property {string} compares
 * @property {string} note
 */

/**
 * @param {readonly import('./targets.js').Target[]} targets
 * @param {import('./targets.js').Results} results
 * @returns {Line[]}
 */
function judge(targets, results) {
  return targets.map(({ id, source, title, unit, bound, limit, compares, find }) => {
    const found = find(results);
    const about = { id, source, title, unit, bound, limit, compares, note: found?.note ?? '' };
    // What nobody measured is not met: a gate that has lost a benchmark must not pass.
    if (found === null || !Number.isFinite(found.actual)) return { ...about, actual: null, isMet: false, isNoise: false, missedBy: 'not measured' };
    const { actual, isNoise = false } = found;
    const holds = bound === 'at most' ? actual <= limit : actual >= limit;
    return { ...about, actual, isMet: holds || isNoise, isNoise: isNoise && !holds, missedBy: holds || isNoise ? '' : missedBy(actual, limit, unit) };
  });
}

/** @param {number} actual @param {number} limit @param {string} unit */
function missedBy(actual, limit, unit) {
  const by = Math.abs(actual - limit);
  // Of a percentage a percentage would say nothing.
  return unit.startsWith('%') ? `${number(by)} points` : `${number(by)} ${unit} (${number((by / limit) * 100)} %)`;
}

/** @param {number} value three significant digits, and no exponent */
const number = (value) => (Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3))));

/** @param {readonly Line[]} lines */
function report(lines) {
  const rows = lines.map(({ source, title, unit, bound, limit, actual, isMet, isNoise, missedBy: by }) => [
    isMet ? (isNoise ? 'noise' : 'ok') : 'MISS',
    title,
    `${bound} ${number(limit)} ${unit}`,
    actual === null ? '–' : `${number(actual)} ${unit}`,
    by === '' ? '' : `by ${by}`.replace('by not measured', 'not measured'),
    source,
  ]);
  const head = ['', '', 'target', 'actual', 'missed', 'source'];
  const missed = lines.filter(({ isMet }) => !isMet).length;
  return `${table([head, ...rows], () => true)}\n\n${lines.length - missed} of ${lines.length} targets met${missed > 0 ? `, ${missed} missed` : ''}; \`noise\`: cannot be told from what untraced differs from itself`;
}

module.exports = { judge, report };
