'use strict';

// Whether a process that died may have left a spool. Its lock tells for sure, and only the addon can ask that: this look
// saves loading it (1.2 ms) where there is nothing. Roots and names are those of crates/core/src/spool/{root,session}.rs.

const fs = require('node:fs');
const path = require('node:path');

/** When it began, in hexadecimal, the process, a counter; `new-` until its lock is held, which a kill may come before. */
const SESSION = /^(?:new-)?[0-9a-f]+-(\d+)-\d+$/;
const POINTERS = 'elsewhere';
const IN_LOG_FOLDER = '.spool';

/**
 * @param {{ logDirectory: string, spoolDir?: string, runtimeDir?: string }} folders absolute
 * @returns {boolean}
 */
function mayHaveOrphans({ logDirectory, spoolDir, runtimeDir = defaultRuntimeDir() }) {
  const pointers = path.join(runtimeDir, POINTERS);
  const roots = [runtimeDir, path.join(logDirectory, IN_LOG_FOLDER), ...namesIn(pointers).map((name) => path.join(pointers, name))];
  if (spoolDir !== undefined) roots.push(spoolDir);
  return roots.some((root) => namesIn(root).some(isDead));
}

/** As `runtime_dir` of crates/core/src/config.rs. */
function defaultRuntimeDir() {
  return `/dev/shm/claude-trace-${process.geteuid?.()}`;
}

/** @param {string} folder */
function namesIn(folder) {
  if (!fs.existsSync(folder)) return []; // as a rule; an exception would take 0.1 ms
  try {
    return fs.readdirSync(folder);
  } catch {
    return []; // not ours to read
  }
}

/**
 * A process of another container is taken for dead here, and one whose number was given out again for alive: the first is
 * cleared up by the lock, the second by the first exchange, for which the addon looks again.
 * @param {string} name
 */
function isDead(name) {
  const pid = Number(SESSION.exec(name)?.[1]);
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return /** @type {any} */ (error).code !== 'EPERM';
  }
}

module.exports = { mayHaveOrphans };
