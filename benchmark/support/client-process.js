'use strict';

// A measured process that talks to us while it runs: in a folder of its own, with nothing of our environment.

const { fork } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/**
 * @param {object} client
 * @param {string} client.program
 * @param {object} client.plan its one argument, as JSON
 * @param {string} client.baseUrl the provider's, which tells a recorder what to record
 * @param {readonly string[]} [client.execArgv]
 * @param {string | null} client.loader null: untraced
 * @param {(message: any) => void} [onMessage]
 * @returns {Promise<any>} the last message, when the process has ended
 */
async function runClient({ program, plan, baseUrl, execArgv = [], loader }, onMessage = () => {}) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-benchmark-'));
  /** @type {any} */
  let last;
  try {
    const child = fork(program, [JSON.stringify(plan)], {
      cwd: folder,
      env: { PATH: process.env.PATH, HOME: folder, TMPDIR: os.tmpdir(), ANTHROPIC_BASE_URL: baseUrl },
      execArgv: [...execArgv, ...(loader === null ? [] : ['--require', loader])],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    child.on('message', (message) => onMessage((last = message)));
    // `close` comes after the last message, `exit` can come before it.
    const how = await new Promise((resolve, reject) => child.once('error', reject).once('close', (code, signal) => resolve(signal ?? code)));
    if (how !== 0 || last === undefined) throw new Error(`the ${loader === null ? 'untraced' : 'traced'} client ended with ${how}`);
    return last;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

module.exports = { runClient };
