'use strict';

// The words for options that are refused: they name the field, its value and what is allowed.

/**
 * @param {typeof TypeError | typeof RangeError} Kind
 * @param {string} field
 * @param {unknown} value
 * @param {string} allowed
 */
function notAllowed(Kind, field, value, allowed) {
  return withCode(new Kind(`${field}: ${show(value)} is not allowed, allowed is ${allowed}`));
}

/**
 * @param {string} key
 * @param {string} prefix 'zeroLatency.' or ''
 * @param {readonly { name: string | null }[]} options
 */
function unknownKey(key, prefix, options) {
  const names = new Set(options.flatMap(({ name }) => (name?.startsWith(prefix) ? [name.slice(prefix.length).split('.')[0]] : [])));
  const best = nearest(key, names);
  const hint = best === null ? `allowed are ${[...names].join(', ')}` : `did you mean ${prefix}${best}?`;
  return withCode(new TypeError(`${prefix}${key} is not an option: ${hint}`));
}

/**
 * @template {Error} E
 * @param {E} err
 * @returns {E & { code: string }}
 */
const withCode = (err) => Object.assign(err, { code: 'TRACE_ERR_CONFIG' });

/**
 * @param {unknown} value
 * @returns {string}
 */
function show(value) {
  if (typeof value === 'string') return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
  if (Array.isArray(value)) return `[${value.slice(0, 5).map((item) => (typeof item === 'string' ? show(item) : typeof item)).join(', ')}]`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return typeof value === 'function' ? 'a function' : String(value);
}

/**
 * @param {string} word
 * @param {Iterable<string>} candidates
 * @returns {string | null} one that contains the word, or the nearest within a third of its length; case aside
 */
function nearest(word, candidates) {
  const wanted = word.toLowerCase();
  let best = null;
  let bestDistance = Infinity;
  for (const candidate of candidates) {
    const offered = candidate.toLowerCase();
    if (wanted.length > 3 && offered.includes(wanted)) return candidate;
    const distance = editDistance(wanted, offered);
    if (distance < bestDistance && distance <= Math.ceil(offered.length / 3)) [best, bestDistance] = [candidate, distance];
  }
  return best;
}

/**
 * @param {string} a
 * @param {string} b
 */
function editDistance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(next[j - 1] + 1, row[j] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

module.exports = { notAllowed, unknownKey, show };
