'use strict';

// The program that replays exchanges from Rust: builds it, and runs it once per question.

const { execFile, execFileSync } = require('node:child_process');
const { promisify } = require('node:util');
const { ROOT } = require('../support/options.js');

const DEADLINE_MS = 600_000;

/**
 * @typedef {object} Question
 * @property {import('./questions.js').Kind} kind
 * @property {number} megabytes
 * @property {number | 'auto'} workers
 * @property {number} producers
 * @property {string} logDir
 * @property {string} spoolDir
 * @property {boolean} [isControlled] between tenths a fresh process makes as many records
 *
 * @typedef {object} Answer
 * @property {string} kind
 * @property {number | 'auto'} workers
 * @property {number} workersAtEnd
 * @property {number} producers
 * @property {number} records
 * @property {number} chunks
 * @property {number} responseMegabytes
 * @property {number} seconds from the first push until everything is in the log
 * @property {number} recordsPerSecond
 * @property {number} megabytesPerSecond of response bodies
 * @property {{ megabytes: number, writes: number, megabytesPerSecond: number, plainMegabytesPerSecond: number, shareOfPlain: number }} log
 * @property {number} cpuSeconds
 * @property {Record<string, number>} cpuSecondsByThread
 * @property {number} peakMegabytes
 * @property {number} spilledSegments
 * @property {{ records: number, seconds: number, cpuSeconds: number, userSeconds: number,
 *   residentMegabytes: number, stolenSeconds: number, control: { records: number, cpuSeconds: number, userSeconds: number } | null }[]} marks
 *   at tenths
 */

/**
 * @param {boolean} isRelease false: as `cargo test` builds it, which says nothing of speed
 * @returns {string} the program
 */
function buildReplay(isRelease) {
  const args = ['build', '--quiet', '-p', 'claude-trace-core', '--example', 'replay', '--message-format=json', ...(isRelease ? ['--release'] : [])];
  const said = execFileSync('cargo', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 26 });
  const built = said.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  const program = built.find(({ target, executable }) => target?.name === 'replay' && executable);
  if (program === undefined) throw new Error('cargo has not built the example `replay`');
  return program.executable;
}

/**
 * @param {string} program
 * @param {Question} question
 * @returns {Promise<Answer>}
 */
async function replay(program, { kind, megabytes, workers, producers, logDir, spoolDir, isControlled = false }) {
  const args = { '--kind': kind, '--control': Number(isControlled), '--megabytes': megabytes, '--workers': workers, '--producers': producers, '--log-dir': logDir, '--spool-dir': spoolDir };
  const { stdout } = await promisify(execFile)(program, Object.entries(args).flat().map(String), { timeout: DEADLINE_MS });
  return JSON.parse(stdout);
}

module.exports = { buildReplay, replay };
