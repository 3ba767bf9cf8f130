'use strict';

// One run: a recorder's configuration, and the lives of processes under it, one after another. All of it follows from a
// seed and a number; only the moment of a kill does not, which hangs on what the machine does meanwhile.

const { randomFrom } = require('../../benchmark/support/statistics.js');

/**
 * When a life is ended: once `count` things have happened, and `spinMicros` later.
 * @typedef {object} Moment
 * @property {'told' | 'appends' | 'segments' | 'session' | 'done' | 'removal' | 'time'} after
 *   told: pieces of news from the client; appends: changes of a log's size, so that the kill falls between a line's intent,
 *   its write and its commit; segments: segments that came or went; session: the first file of a spool; done: the client
 *   ends by itself; removal: a recovered session's files go; time: milliseconds
 *   Counted from a client's first news, or from when a start loads the recorder
 * @property {number} count
 * @property {number} spinMicros
 *
 * @typedef {{ lanes: number, threads: number, stalls: number, large: boolean, limit: number | null }} Load
 * @typedef {object} Life
 * @property {'client' | 'start'} kind a program that talks, or one that does nothing: `node --eval 0`
 * @property {Moment | null} killed null: it ends by itself
 * @property {Load} [load]
 * @property {number} [beside] further starts at the same time
 *
 * @typedef {object} Configuration
 * @property {string} title
 * @property {'zero-latency' | 'standard'} mode
 * @property {'disk' | 'memory'} spool
 * @property {'tiny' | 'default'} pool
 *
 * @typedef {object} Plan
 * @property {number} seed
 * @property {number} index
 * @property {Configuration} configuration
 * @property {Record<string, string>} env
 * @property {Life[]} lives the last one is not killed
 */

/** @type {readonly Configuration[]} */
const CONFIGURATIONS = Object.freeze(
  /** @type {const} */ (['zero-latency', 'standard']).flatMap((mode) =>
    /** @type {const} */ (['disk', 'memory']).flatMap((spool) =>
      /** @type {const} */ (['tiny', 'default']).map((pool) => ({ title: `${mode}, ${pool} pool, spool ${spool === 'disk' ? 'on disk' : 'in /dev/shm'}`, mode, spool, pool })),
    ),
  ),
);

/** @param {number} seed @param {number} index @returns {Plan} */
function planRun(seed, index) {
  const random = randomFrom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));
  /** @template T @param {readonly T[]} items @returns {T} */
  const one = (items) => items[Math.floor(random() * items.length)];
  const configuration = CONFIGURATIONS[index % CONFIGURATIONS.length];
  // Appends all the time, segments that are used again all the time; and what a user has.
  const restless = random() < 0.75;
  /** @type {Record<string, string>} */
  const env = {
    CLAUDE_TRACE_ZERO_LATENCY: String(configuration.mode === 'zero-latency'),
    ...(configuration.pool === 'tiny' && { CLAUDE_TRACE_ZERO_LATENCY_MEMORY_POOL_SIZE: '65536' }),
    ...(restless && { CLAUDE_TRACE_ZERO_LATENCY_FLUSH_MS: one(['1', '20', '100']), CLAUDE_TRACE_ZERO_LATENCY_BUFFER_SIZE: one(['1', '4', '100']) }),
    CLAUDE_TRACE_ZERO_LATENCY_WORKERS: one(['1', '3']),
    ...(random() < 0.3 && { CLAUDE_TRACE_LOG_NAME: 'session' }),
  };
  const lives = [client(random, killOfClient(random))];
  while (random() < 0.4) lives.push(random() < 0.7 ? { kind: 'start', killed: killOfStart(random) } : client(random, killOfClient(random)));
  if (random() < 0.15) lives.push({ ...client(random, null), beside: 1 });
  lives.push({ kind: 'start', killed: null, beside: random() < 0.2 ? 1 : 0 });
  return { seed, index, configuration, env, lives };
}

/** @param {() => number} random @param {Moment | null} killed @returns {Life} */
function client(random, killed) {
  const endsItself = killed === null || killed.after === 'done';
  const load = {
    lanes: 1 + Math.floor(random() * 4),
    threads: random() < 0.3 ? 2 : 0,
    stalls: Math.floor(random() * 3),
    // A line of a hundred bytes is written faster than anybody can kill.
    large: killed?.after === 'appends' && random() < 0.8,
    limit: endsItself ? 3 : null,
  };
  return { kind: 'client', killed, load };
}

/** @param {() => number} random @returns {Moment} */
function killOfClient(random) {
  const kind = random();
  if (kind < 0.4) return { after: 'told', count: Math.floor(2 ** (random() * 9)), spinMicros: random() * 1000 };
  if (kind < 0.75) return { after: 'appends', count: Math.floor(2 ** (random() * 4)), spinMicros: random() < 0.5 ? 0 : random() * 100 };
  if (kind < 0.86) return { after: 'segments', count: 1 + Math.floor(random() * 20), spinMicros: random() * 100 };
  if (kind < 0.92) return { after: 'session', count: 1, spinMicros: random() * 500 };
  return { after: 'done', count: 1, spinMicros: random() * 3000 };
}

/** @param {() => number} random @returns {Moment} */
function killOfStart(random) {
  const kind = random();
  if (kind < 0.6) return { after: 'appends', count: Math.floor(2 ** (random() * 5)), spinMicros: random() < 0.5 ? 0 : random() * 100 };
  if (kind < 0.75) return { after: 'removal', count: 1 + Math.floor(random() * 3), spinMicros: random() * 50 };
  return { after: 'time', count: random() * 30, spinMicros: 0 };
}

module.exports = { CONFIGURATIONS, planRun };
