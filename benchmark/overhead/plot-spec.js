'use strict';

// What is drawn, in the language of Vega-Lite.

const { FIGURES } = require('./figures.js');
const { BASELINE, NOISE } = require('./variants.js');

/** Ours in blues and greens, the others in warm colours, the noise in grey: also apart for most colour-blind eyes. @type {Record<string, string>} */
const COLOURS = {
  [NOISE]: '#8a8f98',
  'claude-trace': '#c8321f',
  'claude-trace-no-html': '#f0883e',
  tee: '#a8479b',
  ours: '#0b5fc4',
  'ours-disk': '#3d9be9',
  'ours-standard': '#1b9e77',
};

const NAMES = /** @type {Record<string, string>} */ ({
  firstByteP50Ms: 'first byte p50', firstByteP99Ms: 'first byte p99', gapP99Us: 'gap p99', wallMs: 'wall', jsCpuPerRequestMs: 'JS CPU',
  cpuPerRequestMs: 'CPU of the process', rssMaxMiB: 'RSS max', processMs: 'process',
});

/** 20 and 50 MB. @type {Record<number, { streams: number, value: number }>} */
const AIMS_MIB = { 100: { streams: 100, value: 19.07 }, 1_000: { streams: 1_000, value: 47.68 } };

/** Percent over untraced. What lies beyond is drawn at the edge, as a triangle. */
const DOMAIN = [-40, 10_000];
/** The scale is linear up to about here, and logarithmic from there on. */
const LINEAR_PERCENT = 8;

const CELL_WIDTH = 170;

/**
 * @param {import('./plot.js').Results} results
 * @param {string} node
 * @param {readonly import('./cases.js').Case[]} cases
 */
function compared(results, node, cases) {
  const titles = new Map(results.parameters.variants.map(({ id, title }) => [id, title]));
  const summaries = results.summaries.filter((summary) => summary.node === node);
  const rows = cases.flatMap((c) => {
    const variants = summaries.find((summary) => summary.case === c.id)?.variants ?? [];
    const base = variants.find(({ variant }) => variant === BASELINE)?.figures;
    const noise = variants.find(({ variant }) => variant === NOISE)?.differences;
    return variants.flatMap(({ variant, differences }) =>
      differences === null || base === undefined ? [] : Object.keys(differences).map((key) => ({ c, variant, key, base: base[key].median, difference: differences[key], noise: noise?.[key] })),
    );
  });
  const present = Object.keys(COLOURS).filter((id) => titles.has(id) && rows.some(({ variant }) => variant === id));
  const colour = { field: 'title', title: null, scale: { domain: present.map((id) => titles.get(id)), range: present.map((id) => COLOURS[id]) } };
  return { rows: rows.map((row) => ({ ...row, title: titles.get(row.variant) ?? row.variant })), titles, present, colour };
}

/**
 * Every case a row, every figure a column; in a cell each variant in percent over untraced.
 * @param {import('./plot.js').Results} results
 * @param {string} node
 * @param {readonly import('./cases.js').Case[]} cases
 * @param {string[]} subtitle
 */
function percentGrid(results, node, cases, subtitle) {
  const { rows, titles, present, colour } = compared(results, node, cases);
  const keys = Object.keys(NAMES).filter((key) => cases.some((c) => applies(key, c)));
  const y = { field: 'title', type: 'nominal', scale: { domain: present.map((id) => titles.get(id)) }, axis: null };
  const frame = { width: CELL_WIDTH, height: present.length * 11 };

  /** @param {import('./cases.js').Case} c @param {string} key */
  const cell = (c, key) => {
    if (!applies(key, c)) return { ...frame, data: { values: [{}] }, mark: 'point', encoding: { opacity: { value: 0 } } };
    const values = rows.filter((row) => row.c === c && row.key === key && Number.isFinite(row.difference.median)).map(percents);
    const isLast = c === cases.at(-1);
    const ticks = { values: [-20, 0, 20, 100, 1_000], format: '+,d', labelOverlap: false };
    const axis = isLast ? { ...ticks, title: '% over untraced' } : { ...ticks, title: null, labels: false, ticks: false };
    const x = { type: 'quantitative', scale: { type: 'symlog', constant: LINEAR_PERCENT, domain: DOMAIN, nice: false }, axis };
    return {
      ...frame,
      layer: [
        { data: { values: values.slice(0, 1) }, mark: { type: 'rect', color: '#dfe2e6' }, encoding: { x: { ...x, field: 'noiseLow' }, x2: { field: 'noiseHigh' } } },
        { data: { values: [{}] }, mark: { type: 'rule', color: '#8a8f98', strokeDash: [3, 2] }, encoding: { x: { ...x, datum: 0 } } },
        { data: { values }, mark: { type: 'rule', strokeWidth: 1.5 }, encoding: { x: { ...x, field: 'low' }, x2: { field: 'high' }, y, color: colour } },
        { data: { values }, mark: { type: 'point', filled: true, size: 42, opacity: 1 }, encoding: { x: { ...x, field: 'percent' }, y, color: colour, shape: { field: 'shape', scale: null } } },
      ],
    };
  };
  const heading = (/** @type {string} */ key) => ({
    ...frame, height: 12, view: { stroke: null }, data: { values: [{}] },
    mark: { type: 'text', text: NAMES[key], fontSize: 12, fontWeight: 'bold' }, encoding: { x: { value: CELL_WIDTH / 2 } },
  });
  return {
    title: {
      text: 'What recording costs, against the same program untraced',
      subtitle: [...subtitle, 'Point: median of the pairs; line: its 95 % interval; grey band: the middle half of untraced against itself; triangle: beyond the scale.', 'A stream handed out at its end has no gaps left: claude-trace’s triangles to the left are no gain.'],
    },
    vconcat: [
      { hconcat: keys.map(heading), spacing: 14, bounds: 'flush' },
      ...cases.map((c) => ({ title: { text: c.title, fontSize: 12, fontWeight: 'normal', offset: 4 }, hconcat: keys.map((key) => cell(c, key)), spacing: 14, bounds: 'flush', resolve: { scale: { color: 'shared' } } })),
    ],
    spacing: 6,
    resolve: { scale: { color: 'shared' } },
  };
}

/** @param {ReturnType<typeof compared>['rows'][number]} row */
function percents({ title, base, difference, noise }) {
  const percentOf = (/** @type {number | undefined} */ value) => Math.min(DOMAIN[1], Math.max(DOMAIN[0], ((value ?? NaN) / base) * 100));
  const percent = (difference.median / base) * 100;
  return {
    title,
    percent: percentOf(difference.median),
    shape: percent < DOMAIN[0] ? 'triangle-left' : percent > DOMAIN[1] ? 'triangle-right' : 'circle',
    low: percentOf(difference.low), high: percentOf(difference.high), noiseLow: percentOf(noise?.q1), noiseHigh: percentOf(noise?.q3),
  };
}

/** @param {string} key @param {import('./cases.js').Case} c */
function applies(key, c) {
  // The wall time of a paced case is the server's.
  if (key === 'wallMs') return applies('requestsPerSecond', c);
  return FIGURES.find((figure) => figure.key === key)?.applies(c) ?? false;
}

/**
 * Against the number of streams that are open at once.
 * @param {import('./plot.js').Results} results
 * @param {string} node
 * @param {readonly import('./cases.js').Case[]} cases
 * @param {string[]} subtitle
 */
function streamLines(results, node, cases, subtitle) {
  const { rows, colour } = compared(results, node, cases);
  const ticks = cases.map(({ requests }) => requests);
  const x = { field: 'streams', type: 'quantitative', scale: { type: 'symlog', constant: 50 }, axis: { title: 'streams open at once', values: ticks, format: ',d', labelOverlap: false, labelFlush: true } };
  /** @typedef {{ variant: string, c: import('./cases.js').Case }} Row */
  /** @param {string} key @param {string} title @param {number} by @param {(row: Row) => boolean} has @param {{ streams: number, value: number }[]} [aims] */
  const panel = (key, title, by, has, aims = []) => {
    const values = rows
      .filter((row) => row.key === key && has(row))
      .map(({ c, title: variant, difference: { median, low, high } }) => ({ streams: c.requests, title: variant, value: median / by, low: low / by, high: high / by }));
    return {
      width: 330, height: 280, title: { text: title, fontSize: 13, offset: 8 },
      layer: [
        { data: { values: aims }, mark: { type: 'point', shape: 'stroke', size: 900, color: '#c8321f', strokeWidth: 2 }, encoding: { x, y: { field: 'value', type: 'quantitative' } } },
        { data: { values }, mark: { type: 'rule', strokeWidth: 1.2 }, encoding: { x, y: { field: 'low', type: 'quantitative', title: null }, y2: { field: 'high' }, color: colour } },
        { data: { values }, mark: { type: 'line', strokeWidth: 2, point: { size: 45 } }, encoding: { x, y: { field: 'value', type: 'quantitative' }, color: colour } },
      ],
    };
  };
  /** @param {Row} row */
  const isStreaming = ({ variant }) => !variant.startsWith('claude-trace');
  /** Of a single stream it is the start of the process that is measured. @param {Row} row */
  const hasManyChunks = ({ c }) => c.requests > 1;
  return {
    title: {
      text: 'Paced streams at once: over the same program untraced',
      subtitle: [...subtitle, 'Median of the pairs with its 95 % interval; red: the aims for ours (under 20 MB at 100 streams, under 50 MB at 1,000).', 'claude-trace hands a stream out at its end, so it has no gaps.'],
    },
    hconcat: [
      panel('rssMaxMiB', 'Peak of the resident memory, MiB', 1, () => true, cases.flatMap(({ requests }) => AIMS_MIB[requests] ?? [])),
      panel('gapP99Us', 'Gap between two events p99, ms', 1e3, isStreaming),
      panel('cpuPerChunkUs', 'CPU of the process per chunk, µs', 1, hasManyChunks),
    ],
    resolve: { scale: { color: 'shared' } },
  };
}

module.exports = { percentGrid, streamLines };
