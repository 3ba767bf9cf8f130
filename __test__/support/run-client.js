'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { readLog } = require('./log');

/**
 * @typedef {object} Options
 * @property {string[]} [args]
 * @property {Record<string, string>} [env] beside PATH and a HOME of its own; nothing else is inherited
 * @property {Record<string, string>} [home] files to find in HOME, by relative path
 * @property {boolean} [traced]
 * @property {string} [loader] another loader than ours
 * @property {number} [deadlineMs]
 *
 * @typedef {object} Outcome
 * @property {string} stdout
 * @property {string} stderr
 * @property {number | null} code
 * @property {NodeJS.Signals | null} signal
 * @property {string} cwd a fresh folder; the log is under it
 * @property {string} spool where a traced run has its crash-proof buffer
 */

const CLIENTS = path.join(__dirname, '../clients');
/** All folders of this test process; gone when it ends, unless someone wants to look. */
const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-test-')));
process.on('exit', () => {
  if (!process.env.CLAUDE_TRACE_TEST_KEEP) fs.rmSync(root, { recursive: true, force: true, maxRetries: 3 });
});

/** The package under test: this checkout, or the unpacked one that CLAUDE_TRACE_TEST_PACKAGE names. */
function loaderPath() {
  return path.join(process.env.CLAUDE_TRACE_TEST_PACKAGE ?? path.join(__dirname, '../..'), 'interceptor-loader.js');
}

function freshFolder() {
  return fs.mkdtempSync(path.join(root, 'run-'));
}

/**
 * Runs a client script (a name in __test__/clients, or an absolute path) in a process of its own, to its end.
 * @param {string} script @param {Options} [options] @returns {Promise<Outcome>}
 */
async function runClient(script, { args = [], env = {}, home: homeFiles = {}, traced = false, loader = loaderPath(), deadlineMs = 60_000 } = {}) {
  const cwd = freshFolder();
  const home = freshFolder();
  const spool = path.join(home, 'spool');
  // With the user's own runtime folder it would meet what other programs on this machine have left.
  const folders = { CLAUDE_TRACE_SPOOL_DIR: spool, CLAUDE_TRACE_RUNTIME_DIR: path.join(home, 'run') };
  for (const [name, text] of Object.entries(homeFiles)) {
    fs.mkdirSync(path.dirname(path.join(home, name)), { recursive: true });
    fs.writeFileSync(path.join(home, name), text);
  }
  const child = spawn(process.execPath, [...(traced ? ['--require', loader] : []), path.resolve(CLIENTS, script), ...args], {
    cwd,
    env: { PATH: process.env.PATH, TMPDIR: os.tmpdir(), HOME: home, ...(traced && folders), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${script} did not end within ${deadlineMs} ms\nstdout: ${stdout.slice(-2000)}\nstderr: ${stderr.slice(-2000)}`));
    }, deadlineMs);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ stdout, stderr, code, signal, cwd, spool });
    });
  });
}

/**
 * Runs a client without us and with us against the same server, and holds the two against each other: what it printed, how
 * it ended. Returns the traced run's account and log, for the caller to hold those against each other.
 * @param {import('./standin').Standin} standin @param {string} script
 * @param {Options & { normalise?: (text: string) => string }} [options] `normalise` takes out what varies by itself
 */
async function runBothWays(standin, script, { normalise = (text) => text, ...options } = {}) {
  const untraced = await counted(standin, script, { ...options, traced: false });
  assert.equal(untraced.run.code, 0, `the client fails without us\n${untraced.run.stdout}\n${untraced.run.stderr}`);
  const traced = await counted(standin, script, { ...options, traced: true });
  assert.equal(normalise(traced.run.stderr), normalise(untraced.run.stderr), 'the same on stderr');
  assert.deepEqual(normalise(traced.run.stdout).split('\n'), normalise(untraced.run.stdout).split('\n'), 'the same on stdout');
  assert.deepEqual([traced.run.code, traced.run.signal], [untraced.run.code, untraced.run.signal], 'the same end');
  assert.deepEqual(filesUnder(traced.run.spool), [], 'a program that ended well leaves no spool');
  return { untraced: untraced.run, traced: traced.run, account: traced.account, records: readLog(traced.run.cwd) };
}

/** @param {string} folder */
function filesUnder(folder) {
  if (!fs.existsSync(folder)) return [];
  return fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter((file) => file.isFile()).map(({ name }) => name);
}

/** @param {import('./standin').Standin} standin @param {string} script @param {Options} options */
async function counted(standin, script, options) {
  await standin.reset();
  const run = await runClient(script, { ...options, env: { ...standin.env, ...options.env } });
  return { run, account: await standin.account() };
}

module.exports = { loaderPath, freshFolder, runClient, runBothWays };
