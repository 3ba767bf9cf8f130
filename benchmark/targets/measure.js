'use strict';

// Runs the benchmarks that the targets ask for, one after another, each as the program it is. One that fails costs its own
// figures: the others have taken half an hour.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { OVERHEAD_CASES } = require('./targets.js');

const BENCHMARKS = path.join(__dirname, '..');

/**
 * @typedef {object} Effort
 * @property {boolean} quick
 * @property {number} rounds of the overhead benchmark
 * @property {number} memorySeconds
 * @property {string | undefined} packageFolder
 */

/** @type {Record<string, (effort: Effort) => string[]>} */
const PROGRAMS = {
  overhead: ({ quick, rounds, packageFolder }) => [
    'overhead/run.js', '--case', OVERHEAD_CASES.join(','), '--variant', 'claude-trace,ours', '--rounds', String(quick ? 1 : rounds),
    ...(quick ? ['--quick'] : []), ...packageArgs(packageFolder),
  ],
  budget: ({ quick, packageFolder }) => ['budget/run.js', '--requests', quick ? '20' : '1000', '--rounds', quick ? '1' : '3', ...packageArgs(packageFolder)],
  memory: ({ quick, memorySeconds, packageFolder }) => ['memory/run.js', '--duration', String(quick ? 2 : memorySeconds), ...packageArgs(packageFolder)],
  pipeline: ({ quick }) => ['pipeline/run.js', ...(quick ? ['--quick'] : ['--rounds', '3'])],
};

/** @param {string | undefined} folder */
const packageArgs = (folder) => (folder === undefined ? [] : ['--package', folder]);

/**
 * @param {readonly string[]} groups keys of PROGRAMS
 * @param {Effort} effort
 * @returns {Promise<import('./targets.js').Results>}
 */
async function measure(groups, effort) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-targets-'));
  /** @type {Record<string, unknown>} */
  const results = {};
  try {
    for (const group of groups) {
      const [program, ...args] = PROGRAMS[group](effort);
      const file = path.join(folder, `${group}.json`);
      const child = spawn(process.execPath, [path.join(BENCHMARKS, program), ...args, '--json', file], { stdio: 'inherit' });
      const [code, signal] = await once(child, 'exit');
      if (code === 0) results[group] = JSON.parse(fs.readFileSync(file, 'utf8'));
      else console.error(`the benchmark ${group} ended with ${signal ?? code}: its targets are not measured`);
    }
    return results;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

const GROUPS = Object.keys(PROGRAMS);

module.exports = { GROUPS, measure };
