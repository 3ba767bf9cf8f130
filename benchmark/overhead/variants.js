'use strict';

// Who records, if anyone. Each is the command line and the environment that a user of it would have.

const fs = require('node:fs');
const path = require('node:path');
const { ROOT, loaderOf } = require('../support/options.js');

/**
 * @typedef {object} Folders
 * @property {string} cwd where the logs go, on a disk
 * @property {string | null} memory a folder in memory, or null where there is none
 *
 * @typedef {object} Variant
 * @property {string} id
 * @property {string} title
 * @property {string | null} preload what goes behind `--require`; null: nobody records
 * @property {boolean} isOurs
 * @property {boolean} needsMemory
 * @property {number} every the rounds it takes part in: 1 for all
 * @property {(folders: Folders) => Record<string, string>} env
 */

const BASELINE = 'untraced';
const NOISE = 'untraced-again';

/**
 * @param {string} packageFolder where our package lies
 * @returns {Variant[]}
 */
function variants(packageFolder) {
  const ours = { preload: loaderOf(packageFolder), isOurs: true, needsMemory: false, every: 1 };
  const others = { isOurs: false, needsMemory: false, every: 1, env: () => ({}) };
  return [
    { id: BASELINE, title: 'untraced', preload: null, ...others },
    { id: NOISE, title: 'untraced again', preload: null, ...others },
    {
      // A sample takes fifty times as long as any other, and what it shows is seen from afar.
      id: 'claude-trace', title: 'claude-trace 1.0.9', ...others, every: 5,
      preload: path.join(ROOT, 'node_modules/@mariozechner/claude-trace/dist/interceptor-loader.js'),
    },
    { id: 'claude-trace-no-html', title: 'claude-trace, no HTML', preload: path.join(__dirname, 'claude-trace-without-html.cjs'), ...others },
    { id: 'tee', title: 'tee() recorder', preload: path.join(__dirname, 'tee-recorder.cjs'), ...others },
    {
      // The default, but said: inside a container (which many CI machines are) the default would be the disk.
      id: 'ours', title: 'ours', ...ours, needsMemory: true,
      env: ({ memory }) => ({ CLAUDE_TRACE_SPOOL_DIR: String(memory) }),
    },
    { id: 'ours-disk', title: 'ours, spool on disk', ...ours, env: ({ cwd }) => ({ CLAUDE_TRACE_SPOOL_DIR: path.join(cwd, 'spool') }) },
    { id: 'ours-standard', title: 'ours, standard mode', ...ours, env: ({ cwd }) => ({ CLAUDE_TRACE_ZERO_LATENCY: 'false', CLAUDE_TRACE_SPOOL_DIR: path.join(cwd, 'spool') }) },
  ];
}

/**
 * @returns {string | null} a private folder in memory, until this process exits; null where there is none
 */
function makeMemoryFolder() {
  try {
    const folder = fs.mkdtempSync('/dev/shm/claude-trace-benchmark-');
    process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1)); // memory outlives us
    return folder;
  } catch {
    return null;
  }
}

module.exports = { BASELINE, NOISE, makeMemoryFolder, variants };
