'use strict';

const { table } = require('./table');
const { firstTokenMs, usageOf } = require('./usage');

/** @typedef {import('./usage').Usage} Usage */

/** @type {import('./table').Column[]} */
const COLUMNS = [
  { title: '#', align: 'right', priority: 1 },
  { title: 'status', align: 'right' },
  { title: 'model', align: 'left', least: 20 },
  { title: 'in', align: 'right' },
  { title: 'cache w/r', align: 'right', priority: 2 },
  { title: 'out', align: 'right' },
  { title: '1st token', align: 'right' },
  { title: 'total', align: 'right' },
  { title: 'bytes', align: 'right', priority: 3 },
  { title: 'note', align: 'left', least: 16 },
];
const STATUS = 1;

/** NO_COLOR: https://no-color.org. @param {NodeJS.WriteStream} stream */
function painter(stream) {
  const colours = stream.isTTY && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
  /** @param {number} code @returns {(text: string) => string} */
  const style = (code) => (text) => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);
  return { bold: style(1), dim: style(2), red: style(31), green: style(32), yellow: style(33) };
}

/**
 * @param {any[]} records the lines of the log @param {number} atServer how many exchanges the server had
 * @param {any} stats `getStats()` of the client @param {NodeJS.WriteStream} stream
 * @returns {string}
 */
function summary(records, atServer, stats, stream) {
  const paint = painter(stream);
  const usages = records.map(usageOf);
  const rows = records.map((record, i) => row(record, usages[i], i));
  const grid = table(COLUMNS, rows, stream.columns || 100, (text, line, column) => {
    if (line < 0) return paint.dim(text);
    if (column !== STATUS) return text;
    const failed = usages[line].error !== null;
    return Number(text) >= 400 || text.trim() === '–' ? paint.red(text) : failed ? paint.yellow(text) : paint.green(text);
  });
  return [grid, '', ...totals(records, atServer, usages, stats).map(([name, value]) => `${paint.dim(name.padEnd(10))} ${value}`)].join('\n');
}

/** @param {any} record @param {Usage} usage @param {number} index */
function row(record, usage, index) {
  const { trace, response } = record;
  const counted = usage.input + usage.output > 0;
  const cache = usage.cacheWrite + usage.cacheRead > 0 ? `${number(usage.cacheWrite)}/${number(usage.cacheRead)}` : '';
  return [
    String(index + 1),
    response ? String(response.status_code) : '–',
    usage.model,
    counted ? number(usage.input) : '',
    cache,
    counted ? number(usage.output) : '',
    ms(firstTokenMs(record, usage)),
    ms(trace?.timing_ms?.end ?? null),
    number(trace?.response_bytes ?? 0),
    note(record, usage),
  ];
}

/** @param {any} record @param {Usage} usage */
function note({ trace }, usage) {
  return [
    usage.error,
    usage.stop,
    trace?.content_encoding,
    trace?.partial && `partial${trace.error?.code ? ` (${trace.error.code})` : ''}`,
  ].filter(Boolean).join(', ');
}

/** @param {any[]} records @param {number} atServer @param {Usage[]} usages @param {any} stats @returns {[string, string][]} */
function totals(records, atServer, usages, stats) {
  /** @param {'input' | 'output' | 'cacheRead' | 'cacheWrite'} key */
  const sum = (key) => number(usages.reduce((total, usage) => total + usage[key], 0));
  const { latency, chunkLatency, mode } = stats.capture;
  return [
    ['recorded', `${records.length} pairs of ${atServer} exchanges, ${stats.pendingRequests} pending, ${stats.capture.drops} dropped (${mode} mode)`],
    ['tokens', `${sum('input')} in, ${sum('cacheWrite')} written to and ${sum('cacheRead')} read from the cache, ${sum('output')} out`],
    ['overhead', `${spread(latency)} of the client's thread per request (${latency.count})`],
    ['', `${spread(chunkLatency)} per chunk (${chunkLatency.count})`],
  ];
}

/** @param {{ p50: number, mean: number, p99: number }} times */
const spread = ({ p50, mean, p99 }) => `${us(p50)} median, ${us(mean)} mean, ${us(p99)} p99`;

/** @param {number} value */
const number = (value) => value.toLocaleString('en-US');

/** @param {number | null} value */
const ms = (value) => (value === null ? '' : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`);

/** @param {number} milliseconds */
function us(milliseconds) {
  const value = milliseconds * 1000;
  return `${value < 100 ? value.toPrecision(2) : Math.round(value)} µs`;
}

module.exports = { summary, painter };
