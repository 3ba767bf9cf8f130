'use strict';

// One sample: one client process from its start to its end, in folders of its own.

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { ANSWERS, MODEL } = require('../support/answers.js');
const { agentAnswer } = require('../support/agent-answers.js');
const { isSession } = require('../session/cases.js');
const { isStream } = require('./cases.js');
const { watched } = require('./quiet.js');
const { countPairs } = require('./recorded.js');

/**
 * @typedef {{ count: number, mean: number, min: number, p50: number, p95: number, p99: number, max: number }} Latency ms
 *
 * @typedef {object} Hooks what our recorder measured of itself in that process
 * @property {'zero-latency' | 'standard' | 'off'} mode
 * @property {number | null} firstMs hook time of the first request; null where there was no warm-up to take it from
 * @property {Latency} request hook time of a request without its body chunks, warm-up and first one included
 * @property {Latency} chunk hook time of a body chunk, of the request's body too
 * @property {number} drops
 * @property {number} spills
 * @property {number} faults
 *
 * @typedef {object} Sample
 * @property {Record<string, number | null>} metrics
 * @property {Hooks | null} hooks
 * @property {number} requests all that were made, warm-up included
 * @property {number | null} pairs in the log; null when nobody records
 * @property {number} serverBusyPerRequestMs meaningless when samples run side by side
 * @property {number} othersCores cores that neither the client nor the server kept at work; meaningless likewise
 */

/** claude-trace rewriting its HTML takes tens of seconds. */
const DEADLINE_MS = 300_000;

/**
 * @param {string} node the binary
 * @param {import('./cases.js').Case} c
 * @param {import('./variants.js').Variant} variant
 * @param {import('../support/server-process.js').Server} server
 * @param {string | null} memory
 * @returns {Promise<Sample>}
 */
async function takeSample(node, c, variant, server, memory) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-benchmark-'));
  const spool = memory === null ? null : fs.mkdtempSync(path.join(memory, 'spool-'));
  try {
    const before = await server.account();
    const { result, hooks, after, othersCores } = await watched(async () => {
      const outcome = await runClient(node, c, variant, server.origin, { cwd: folder, memory: spool });
      return { ...outcome, after: await server.account() };
    }, (outcome) => outcome.totalCpuMs + outcome.after.cpuMs - before.cpuMs);
    return {
      metrics: result,
      hooks,
      requests: c.warmUp + c.requests,
      pairs: variant.preload === null ? null : countPairs(folder, c),
      serverBusyPerRequestMs: (after.busyMs - before.busyMs) / (after.requests - before.requests),
      othersCores,
    };
  } finally {
    for (const each of [folder, spool]) if (each !== null) fs.rmSync(each, { recursive: true, force: true });
  }
}

/**
 * @param {string} node
 * @param {import('./cases.js').Case} c
 * @param {import('./variants.js').Variant} variant
 * @param {string} origin
 * @param {import('./variants.js').Folders} folders
 * @returns {Promise<{ result: Record<string, number | null>, hooks: Hooks | null, totalCpuMs: number }>}
 */
async function runClient(node, c, variant, origin, folders) {
  const resultFile = path.join(folders.cwd, 'result.json');
  const plan = {
    requests: c.requests, warmUp: c.warmUp, atOnce: c.atOnce, everyMs: c.everyMs, promptChars: c.promptChars,
    isStream: isStream(c), events: eventsOf(c), model: MODEL, resultFile,
  };
  const preload = variant.preload === null ? [] : ['--require', variant.preload];
  const program = path.join(__dirname, isSession(c) ? '../session/agent.cjs' : 'client.cjs');
  const start = performance.now();
  const child = spawn(node, [...preload, program, JSON.stringify(plan)], {
    cwd: folders.cwd,
    // Nothing else is inherited: a variable of the caller's must not configure one of the recorders.
    env: {
      PATH: process.env.PATH, HOME: folders.cwd, TMPDIR: os.tmpdir(),
      ANTHROPIC_BASE_URL: `${origin}/${c.answer}${isSession(c) ? `/${c.requests}` : ''}`, ANTHROPIC_API_KEY: 'sk-ant-api03-benchmark-benchmark-benchmark',
      ...variant.env(folders),
    },
    stdio: ['ignore', 'ignore', 'pipe'], // claude-trace prints on stdout
  });
  const ended = await end(child);
  const processMs = performance.now() - start;
  // A client that has something to say at every request would measure its own printing.
  if (ended.how !== 0 || ended.stderr !== '') throw new Error(`${variant.id}, ${c.id}: the client ended with ${ended.how}\n${ended.stderr.slice(0, 2000)}`);
  const outcome = JSON.parse(fs.readFileSync(resultFile, 'utf8'));
  return { ...outcome, result: { ...outcome.result, processMs } };
}

/** @param {import('./cases.js').Case} c @returns {number} events of a stream; of a session, those of all turns together */
function eventsOf(c) {
  if (!isSession(c)) return ANSWERS[c.answer].chunks.length;
  return Array.from({ length: c.requests }, (_, turn) => agentAnswer(c.answer, turn, c.requests).chunks.length).reduce((sum, count) => sum + count, 0);
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @returns {Promise<{ how: number | string | null, stderr: string }>}
 */
function end(child) {
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text) => (stderr += text));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ how: signal ?? code, stderr });
    });
  });
}

module.exports = { takeSample };
