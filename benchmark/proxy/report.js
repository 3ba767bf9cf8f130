'use strict';

// Samples to tables: medians over rounds.

const { median } = require('../support/statistics.js');

/** @param {number} ms */
const time = (ms) => (ms >= 100 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(ms >= 10 ? 1 : 2)} ms`);
/** @param {number} n */
const whole = (n) => n.toLocaleString('en', { maximumFractionDigits: 0 });

/** @type {[string, (sample: any) => number, (value: number) => string, boolean][]} title, value, words, whether direct has it */
const COLUMNS = [
  ['first byte p50', ({ streams }) => streams.firstByte.p50, time, true],
  ['p99', ({ streams }) => streams.firstByte.p99, time, true],
  ['chunk p50', ({ streams }) => streams.chunk.p50, time, true],
  ['p99', ({ streams }) => streams.chunk.p99, time, true],
  ['CPU/1,000 chunks', ({ streams }) => (streams.cpuMs / streams.chunk.count) * 1e3, time, false],
  ['requests/s', ({ json }) => json.perSecond, whole, true],
  ['CPU/request', ({ json }) => (json.cpuMs / json.count) * 1e3, (us) => `${whole(us)} µs`, false],
  ['peak memory', ({ peakMiB }) => peakMiB, (mib) => `${whole(mib)} MiB`, false],
];

/**
 * A table for each number of streams.
 * @param {any[]} samples @param {readonly { id: string, title: string }[]} contenders
 */
function tables(samples, contenders) {
  const counts = [...new Set(samples.map(({ connections }) => connections))].sort((a, b) => a - b);
  return counts.map((count) => {
    const rows = contenders.map(({ id, title }) => {
      const own = samples.filter((sample) => sample.contender === id && sample.connections === count);
      const cells = COLUMNS.map(([, value, words, inDirect]) => (own.length === 0 || (id === 'direct' && !inDirect) ? '' : words(median(own.map(value)))));
      return `| ${[title, ...cells].join(' | ')} |`;
    });
    const head = `| ${whole(count)} ${count === 1 ? 'stream' : 'streams'} | ${COLUMNS.map(([title]) => title).join(' | ')} |`;
    return [head, `|---|${'--:|'.repeat(COLUMNS.length)}`, ...rows].join('\n');
  });
}

module.exports = { tables };
