'use strict';

// Runs commands one after another with their output passed through, and keeps count of what failed.

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const root = path.join(__dirname, '..');

class Steps {
  /** @type {string[]} */
  failed = [];

  /**
   * @param {string} title
   * @param {string} command
   * @param {readonly string[]} args
   * @param {NodeJS.ProcessEnv} [env] on top of ours
   * @returns {boolean} whether it succeeded
   */
  run(title, command, args, env = {}) {
    console.log(`\n== ${title}`);
    const started = Date.now();
    const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } });
    const done = status === 0;
    if (!done) this.failed.push(title);
    const how = error?.message ?? signal ?? `exit code ${status}`;
    console.log(`== ${title}: ${done ? 'ok' : `FAILED (${how})`} after ${((Date.now() - started) / 1000).toFixed(1)} s`);
    return done;
  }

  /** Ends the process: with 1 if anything failed. */
  end() {
    if (this.failed.length > 0) console.error(`\nFAILED: ${this.failed.join(', ')}`);
    process.exit(this.failed.length > 0 ? 1 : 0);
  }
}

module.exports = { Steps, root };
