'use strict';

// One run: lives of processes in folders of their own, each ended as planned, and the verdict on what they have left.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { judge } = require('./judge.js');
const { filesIn, waitFor } = require('./moment.js');
const { planRun } = require('./plan.js');

/**
 * @typedef {import('./plan.js').Plan} Plan
 * @typedef {import('./plan.js').Life} Life
 * @typedef {object} Place where a run's processes have everything
 * @property {string} folder
 * @property {string} logs
 * @property {string} spool
 * @property {string} runtime
 * @property {string} account what the clients say of themselves
 *
 * @typedef {object} Surroundings
 * @property {string} loader of the package under test
 * @property {import('../../__test__/support/standin').Standin} standin
 * @property {{ disk: string, memory: string }} folders
 * @property {boolean} [snapshots] keep what each killed process has left
 *
 * @typedef {object} Outcome
 * @property {Plan} plan
 * @property {number} kills
 * @property {number} recoveriesKilled
 * @property {number} halfLines kills that fell into a write: they left half a line, for the next start to cut off
 * @property {import('./judge.js').Verdict} verdict
 * @property {Place} place kept if the verdict has problems
 */

const CLIENT = path.join(__dirname, '../../__test__/clients/kill.cjs');
/** Between the numbers of exchanges of two lives. */
const PER_LIFE = 10_000_000;
const RECOVERER = ['--require', path.join(__dirname, '../../__test__/clients/kill-start.cjs')];
/** A process that nobody kills and that is still there by then hangs. */
const LIFE_DEADLINE_MS = 30_000;

/** @param {number} seed @param {number} index @param {Surroundings} surroundings @returns {Promise<Outcome>} */
async function run(seed, index, { loader, standin, folders, snapshots = false }) {
  const plan = planRun(seed, index);
  const place = makePlace(folders[plan.configuration.spool]);
  const env = {
    PATH: process.env.PATH,
    ...standin.env,
    CLAUDE_TRACE_SPOOL_DIR: place.spool,
    CLAUDE_TRACE_RUNTIME_DIR: place.runtime,
    // What a loaded machine delays is not lost.
    CLAUDE_TRACE_EXIT_DRAIN_MS: '20000',
    KILL_TEST_ACCOUNT: place.account,
    ...plan.env,
  };
  await standin.reset();
  let kills = 0;
  let recoveriesKilled = 0;
  const halfLines = new Set();
  const problems = [];
  const stderr = fs.openSync(path.join(place.folder, 'stderr.txt'), 'a');
  for (const [number, life] of plan.lives.entries()) {
    const ends = await live(life, { loader, place, env, stderr, seed: seed + index, first: number * PER_LIFE });
    for (const { code, signal } of ends) {
      if (signal === null && code === 0) continue;
      if (signal !== 'SIGKILL' || life.killed === null) problems.push(`life ${number} (${life.kind}) ended with ${signal ?? code}: see stderr.txt`);
      else if (life.kind === 'client') kills++;
      else recoveriesKilled++;
    }
    for (const half of halfLinesIn(place.logs)) halfLines.add(half);
    if (snapshots) fs.cpSync(place.folder, `${place.folder}-after-${number}`, { recursive: true, verbatimSymlinks: true });
  }
  fs.closeSync(stderr);
  const said = fs.readFileSync(path.join(place.folder, 'stderr.txt'), 'utf8');
  if (said !== '') problems.push(`on stderr: ${said.slice(0, 500)}`);
  const verdict = judge(place, await standin.account());
  verdict.problems.unshift(...problems);
  if (verdict.problems.length > 0) fs.writeFileSync(path.join(place.folder, 'plan.json'), JSON.stringify({ ...plan, problems: verdict.problems }, null, 2));
  else if (!snapshots) fs.rmSync(place.folder, { recursive: true, force: true });
  return { plan, kills, recoveriesKilled, halfLines: halfLines.size, verdict, place };
}

/** Logs that end in half a line, with its end: one that a second kill has left there is the same one. @param {string} logs */
function halfLinesIn(logs) {
  return filesIn(logs).flatMap((name) => {
    if (!name.endsWith('.jsonl')) return [];
    const file = fs.openSync(path.join(logs, name), 'r');
    const { size } = fs.fstatSync(file);
    const last = Buffer.from('\n');
    fs.readSync(file, last, 0, 1, Math.max(0, size - 1));
    fs.closeSync(file);
    return last[0] === 10 ? [] : [`${name} ${size}`];
  });
}

/** @param {string} root @returns {Place} */
function makePlace(root) {
  const folder = fs.mkdtempSync(path.join(root, 'run-'));
  const place = { folder, logs: path.join(folder, '.claude-trace'), spool: path.join(folder, 'spool'), runtime: path.join(folder, 'runtime'), account: path.join(folder, 'account') };
  fs.writeFileSync(place.account, '');
  return place;
}

/**
 * @typedef {{ loader: string, place: Place, env: NodeJS.ProcessEnv, stderr: number, seed: number, first: number }} World
 * @param {Life} life @param {World} world
 */
async function live(life, world) {
  const { place } = world;
  const task = { account: place.account, seed: world.seed + world.first, first: world.first, ...life.load };
  const first = life.kind === 'client' ? start([CLIENT, JSON.stringify(task)], world) : start(['--eval', '0'], world, life.killed === null ? [] : RECOVERER);
  const started = [first];
  for (let i = 0; i < (life.beside ?? 0); i++) started.push(start(['--eval', '0'], world));
  if (life.killed !== null) {
    waitFor(life.killed, place);
    first.child.kill('SIGKILL');
  }
  return Promise.all(started.map(({ ended }) => ended));
}

/** @param {string[]} args @param {World} world @param {string[]} [before] */
function start(args, { loader, place, env, stderr }, before = []) {
  const child = spawn(process.execPath, [...before, '--require', loader, ...args], { cwd: place.folder, env, stdio: ['ignore', 'ignore', stderr] });
  const timer = setTimeout(() => child.kill('SIGABRT'), LIFE_DEADLINE_MS);
  const ended = once(child, 'exit').then(([code, signal]) => {
    clearTimeout(timer);
    return { code: /** @type {number | null} */ (code), signal: /** @type {NodeJS.Signals | null} */ (signal) };
  });
  return { child, ended };
}

module.exports = { run };
