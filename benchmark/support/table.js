'use strict';

/**
 * @param {readonly (readonly string[])[]} rows the first one is the heading
 * @param {(column: number) => boolean} [isLeft] which columns are words; else the first alone
 * @returns {string}
 */
function table(rows, isLeft = (column) => column === 0) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const padded = (/** @type {string} */ cell, /** @type {number} */ i) => (isLeft(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i]));
  return rows.map((row) => row.map(padded).join('  ').trimEnd()).join('\n');
}

module.exports = { table };
