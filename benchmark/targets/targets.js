'use strict';

// The figures to reach: the one table of them. What a benchmark must have found for a target to be met stands here and
// nowhere else; judge.js compares, run.js prints.
//
// Sources: `issue 4` is the project's own aim, the others are the promises it started from: `plan` (0.02–0.05 ms a request, 5,000
// requests/s, 10–50 MB), `requirements` (5 % execution, 2 % disk I/O, 10 ms network, 100 ms start-up).

const { overCases, differenceOf, figureOf, hooksOf, pipelineRow, ratioOf } = require('./pick.js');

/**
 * @typedef {import('./pick.js').Results} Results
 * @typedef {import('./pick.js').Difference} Difference
 *
 * @typedef {object} Found
 * @property {number} actual
 * @property {boolean} [isNoise] met whatever `actual` is: it cannot be told from what untraced differs from itself
 * @property {string} [note]
 *
 * @typedef {object} Target
 * @property {string} id
 * @property {string} group the benchmark that finds it: a key of Results
 * @property {string} source
 * @property {string} title
 * @property {string} unit
 * @property {number} limit
 * @property {'at most' | 'at least'} bound
 * @property {string} compares what with what
 * @property {(results: Results) => Found | null} find null: not measured
 */

const OURS = 'ours';
const UNTRACED = 'untraced';
const UPSTREAM = 'claude-trace';
const MB = 1e6 / 2 ** 20;
const IN_PAIRS = 'ours − untraced, median of interleaved pairs, in % of untraced; met within the middle half of untraced − untraced too';

/** @param {Difference | null} d @returns {Found | null} in percent of untraced */
const percent = (d) => d && { actual: d.percent, isNoise: d.isWithinSpread, note: `95 % interval ${d.low} to ${d.high}` };

/** @param {string} id @param {string} title @param {string} c @param {string} key @param {number} limit @param {string} source @returns {Target} */
const inPairs = (id, title, c, key, limit, source = 'issue 4') => ({
  id, group: 'overhead', source, title, unit: '%', limit, bound: 'at most', compares: IN_PAIRS, find: (results) => percent(differenceOf(results, c, OURS, key)),
});

/** @param {number | null} actual @returns {Found | null} */
const plain = (actual) => (actual === null ? null : { actual });

/** @type {Target[]} */
const LATENCY = [
  ['paced', 'paced stream'], ['paced-20', 'paced stream, 20 at once'], ['unpaced', 'unpaced stream'], ['json', 'small JSON'], ['upload', '1 MB request'],
].flatMap(([c, title]) => [
  inPairs(`first-byte-p50-${c}`, `first byte p50, ${title}`, c, 'firstByteP50Ms', 2),
  inPairs(`first-byte-p99-${c}`, `first byte p99, ${title}`, c, 'firstByteP99Ms', 2),
  ...(c.includes('paced') ? [
    inPairs(`gap-p50-${c}`, `chunk gap p50, ${title}`, c, 'gapP50Us', 2),
    inPairs(`gap-p99-${c}`, `chunk gap p99, ${title}`, c, 'gapP99Us', 2),
  ] : []),
]);

const SELF_MEASURED = 'getStats().capture of all requests of a process, the first one included; median over processes';

/** @param {string} id @param {string} title @param {string} c @param {'p50' | 'p95' | 'p99' | 'chunkMean' | 'chunkP99'} key @param {number} limit @param {string} source @returns {Target} */
const hook = (id, title, c, key, limit, source = 'issue 4') => ({
  id, group: 'overhead', source, title, unit: 'µs', limit, bound: 'at most', compares: SELF_MEASURED, find: (results) => plain(hooksOf(results, c, OURS, key)),
});

/** @type {Target[]} */
const HOOKS = [
  ...[['paced', 'paced stream'], ['unpaced', 'unpaced stream'], ['json', 'small JSON']].flatMap(([c, title]) => [
    hook(`hook-p50-${c}`, `hook time a request p50, ${title}`, c, 'p50', 5),
    hook(`hook-p99-${c}`, `hook time a request p99, ${title}`, c, 'p99', 20),
  ]),
  hook('hook-p50-upload', 'hook time p50, request of 1 MB', 'upload', 'p50', 150),
  hook('chunk-mean', 'hook time a chunk, mean', 'unpaced', 'chunkMean', 0.3),
  hook('chunk-p99', 'hook time a chunk p99', 'unpaced', 'chunkP99', 1),
  hook('hook-typical', 'added latency of a request, typical', 'json', 'p50', 50, 'plan'),
  hook('hook-p95', 'added latency of a request p95', 'json', 'p95', 100, 'plan'),
  {
    // Not as a share: what cannot be seen from within stays the same when the hooks get faster.
    id: 'own-account', group: 'budget', source: 'issue 4', title: 'hook time a request that getStats leaves out, p50', unit: 'µs', limit: 10, bound: 'at most',
    compares: 'clocks before and behind the hooks, less what those measure with nothing between them, with getStats',
    find: ({ budget }) => {
      const row = budget?.rows.find(({ what }) => what === 'request p50');
      return row === undefined ? null : { actual: row.outside - row.own, note: `${row.outside} and ${row.own}` };
    },
  },
];

/** @type {Target[]} */
const WORK = [
  ...['json', 'paced', 'upload'].map((c) => inPairs(`js-cpu-${c}`, `CPU of the JS thread a request, ${c}`, c, 'jsCpuPerRequestMs', 2)),
  inPairs('cpu-rate-100', 'CPU of the process at 100 requests/s', 'rate-100', 'cpuPerRequestMs', 10),
  ...['json-20', 'unpaced-20'].flatMap((c) => /** @type {Target[]} */ ([
    {
      id: `saturation-${c}`, group: 'overhead', source: 'issue 4', title: `requests/s at saturation, ${c}`, unit: '%', limit: 95, bound: 'at least',
      compares: 'medians of ours and of untraced, in % of untraced', find: (results) => ratioOf(results, c, OURS, UNTRACED, 'requestsPerSecond', 100),
    },
    {
      id: `upstream-${c}`, group: 'overhead', source: 'issue 4', title: `the same against claude-trace, ${c}`, unit: '× claude-trace', limit: 10, bound: 'at least',
      compares: 'medians of ours and of claude-trace 1.0.9 as it comes', find: (results) => ratioOf(results, c, OURS, UPSTREAM, 'requestsPerSecond', 1),
    },
  ])),
  {
    id: 'start-up', group: 'overhead', source: 'issue 4', title: 'start-up', unit: 'ms', limit: 5, bound: 'at most',
    compares: 'ours − untraced until the first line of the program; median over cases of medians of pairs',
    find: (results) => plain(overCases(results, OURS, 'startUpMs')),
  },
  {
    id: 'network', group: 'overhead', source: 'requirements', title: 'added to the first byte, small JSON', unit: 'ms', limit: 10, bound: 'at most',
    compares: 'ours − untraced, median of pairs', find: (results) => plain(differenceOf(results, 'json', OURS, 'firstByteP50Ms')?.median ?? null),
  },
  inPairs('session-time', 'execution time of a session of 100 turns', 'session-instant', 'processMs', 1),
  inPairs('session-paced-time', 'the same with paced answers', 'session', 'processMs', 1),
  {
    id: 'session-disk', group: 'overhead', source: 'issue 4', title: 'disk I/O of a session of 100 turns', unit: '% of its time', limit: 1, bound: 'at most',
    compares: 'what ours writes, at the disk’s own speed, with the session’s time', find: (results) => plain(figureOf(results, 'session', OURS, 'diskPercent')),
  },
  inPairs('session-requirement', 'execution time of a session', 'session-instant', 'processMs', 5, 'requirements'),
];

/** @param {string} c @param {number} limit @returns {Target} */
const memoryAt = (c, limit) => ({
  id: `memory-${c}`, group: 'overhead', source: 'issue 4', title: `memory over untraced, ${c.replace('streams-', '')} streams at once`, unit: 'MB', limit, bound: 'at most',
  compares: 'peak RSS, ours − untraced, median of pairs', find: (results) => {
    const d = differenceOf(results, c, OURS, 'rssMaxMiB');
    return d && { actual: d.median / MB };
  },
});

/** @param {string} id @param {string} title @param {number} limit @param {string} source @param {(v: import('../memory/verdict.js').Verdict) => number} pick @param {string} compares @returns {Target} */
const longRun = (id, title, limit, source, pick, compares) => ({
  id, group: 'memory', source, title, unit: 'MB', limit, bound: 'at most', compares, find: ({ memory }) => plain(memory === undefined ? null : pick(memory.verdict) / MB),
});

/** @type {Target[]} */
const MEMORY = [
  memoryAt('streams-100', 20),
  memoryAt('streams-1000', 50),
  longRun('memory-steady', 'memory over untraced in a long run', 50, 'plan', (v) => v.steady, 'RSS after a collection, ours − untraced side by side, last quarter of the run'),
  longRun('memory-growth', 'growth of that', 2, 'issue 4', (v) => v.growth, 'the last quarter with the second one: a page cache, a JIT and a heap come to rest within about a megabyte'),
  {
    id: 'memory-whole', group: 'memory', source: 'plan', title: 'requests of the long run that are on record', unit: '%', limit: 100, bound: 'at least',
    compares: 'records in the log with requests made', find: ({ memory }) => plain(memory === undefined ? null : memory.verdict.isWhole ? 100 : 0),
  },
];

/** @param {string} place @param {string} kind @param {number} workers */
const alone = (place, kind, workers) => ({ kind, place, workers, producers: 1 });

/** @param {import('../pipeline/growth.js').Growth | undefined} growth @param {'againstFresh' | 'residentMegabytes'} key */
const grown = (growth, key) => plain(growth === undefined ? null : (growth[key].last / growth[key].first - 1) * 100);

/** @type {Target[]} */
const PIPELINE = [
  {
    id: 'pipeline-sse', group: 'pipeline', source: 'issue 4', title: 'pipeline alone, one worker, chunks of 150 bytes', unit: 'MB/s', limit: 500, bound: 'at least',
    compares: 'bytes of SSE with the time until all of it is in the log, in memory', find: (results) => plain(pipelineRow(results, alone('memory', 'sse', 1))?.megabytesPerSecond.median ?? null),
  },
  {
    id: 'pipeline-sse-disk', group: 'pipeline', source: 'issue 4', title: 'the same, log on disk', unit: 'MB/s', limit: 500, bound: 'at least',
    compares: 'as above', find: (results) => plain(pipelineRow(results, alone('disk', 'sse', 1))?.megabytesPerSecond.median ?? null),
  },
  {
    id: 'pipeline-event', group: 'pipeline', source: 'issue 4', title: 'pipeline alone, time an event, parsing deferred', unit: 'µs', limit: 0.3, bound: 'at most',
    compares: 'the same runs: time with events of 150 bytes', find: (results) => plain(pipelineRow(results, alone('memory', 'sse', 1))?.usPerChunk.median ?? null),
  },
  {
    id: 'pipeline-requests', group: 'pipeline', source: 'plan', title: 'requests/s that the recorder takes', unit: '/s', limit: 5000, bound: 'at least',
    compares: 'small JSON exchanges with the time until all are in the log, on disk, one worker', find: (results) => plain(pipelineRow(results, alone('disk', 'json', 1))?.recordsPerSecond.median ?? null),
  },
  {
    id: 'pipeline-flat-cost', group: 'pipeline', source: 'issue 4', title: 'cost of a record as the log grows', unit: '%', limit: 10, bound: 'at most',
    compares: 'CPU time a record over that of a fresh process at the same time: the last three tenths with tenths 2 to 4', find: ({ pipeline }) => grown(pipeline?.growth, 'againstFresh'),
  },
  {
    id: 'pipeline-flat-memory', group: 'pipeline', source: 'issue 4', title: 'memory as exchanges grow', unit: '%', limit: 25, bound: 'at most',
    compares: 'resident memory, of which the pool is 10 MB: the least at the same tenths', find: ({ pipeline }) => grown(pipeline?.growth, 'residentMegabytes'),
  },
];

/** @type {readonly Target[]} */
const TARGETS = [...LATENCY, ...HOOKS, ...WORK, ...MEMORY, ...PIPELINE];

/** The cases of the overhead benchmark that the targets ask for. */
const OVERHEAD_CASES = ['paced', 'paced-20', 'rate-100', 'unpaced', 'unpaced-20', 'json', 'json-20', 'upload', 'streams-100', 'streams-1000', 'session', 'session-instant'];

module.exports = { OVERHEAD_CASES, TARGETS };
