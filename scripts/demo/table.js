'use strict';

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {'left' | 'right'} align
 * @property {number} [priority] columns without one always stay; of the others the highest number goes first
 * @property {number} [least] an elastic column: cut down to this width before another one has to go
 */

const GAP = '  ';

/**
 * A table no wider than `width`: columns go in the order of their priority, then the elastic ones are cut.
 * @param {Column[]} columns @param {string[][]} rows @param {number} width
 * @param {(text: string, row: number, column: number) => string} paint gets padded cells, so it may add escape codes; row -1 is the head
 */
function table(columns, rows, width, paint = (text) => text) {
  let shown = columns.map((_, i) => i);
  const natural = columns.map(({ title }, i) => Math.max(title.length, ...rows.map((row) => row[i].length)));
  /** @param {(i: number) => number} size */
  const total = (size) => shown.reduce((sum, i) => sum + size(i), 0) + GAP.length * (shown.length - 1);
  /** @param {number} i */
  const least = (i) => Math.min(natural[i], columns[i].least ?? natural[i]);
  while (total(least) > width) {
    const [victim] = shown.filter((i) => columns[i].priority !== undefined).sort((a, b) => Number(columns[b].priority) - Number(columns[a].priority));
    if (victim === undefined) break;
    shown = shown.filter((i) => i !== victim);
  }
  const sizes = natural.slice();
  for (let excess = total((i) => sizes[i]) - width; excess > 0; excess--) {
    const [widest] = shown.filter((i) => sizes[i] > least(i)).sort((a, b) => sizes[b] - sizes[a]);
    if (widest === undefined) break;
    sizes[widest]--;
  }
  const lines = [columns.map(({ title }) => title), ...rows].map((cells, line) =>
    shown.map((i) => paint(fit(cells[i], sizes[i], columns[i].align), line - 1, i)).join(GAP).trimEnd(),
  );
  return lines.join('\n');
}

/** @param {string} text @param {number} size @param {'left' | 'right'} align */
function fit(text, size, align) {
  if (text.length > size) return `${text.slice(0, size - 1)}…`;
  return align === 'left' ? text.padEnd(size) : text.padStart(size);
}

module.exports = { table };
