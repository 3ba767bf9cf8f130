'use strict';

// The command `claude-trace`, as a process of its own.

const assert = require('node:assert/strict');
const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { readLog } = require('./log');
const { freshFolder } = require('./run-client');

/** The package under test: this checkout, or the unpacked one that CLAUDE_TRACE_TEST_PACKAGE names. */
const PACKAGE = process.env.CLAUDE_TRACE_TEST_PACKAGE ?? path.join(__dirname, '../..');
/** The command, as `npm run build` puts it. */
const COMMAND = path.join(PACKAGE, 'claude-trace');
/** An agent that is a Node program. */
const AGENT = path.join(__dirname, '../clients/agent.cjs');
const STUCK_MS = 60_000;

/**
 * @typedef {object} Options
 * @property {Record<string, string>} [env] beside PATH and a HOME of its own; nothing else is inherited
 * @property {string} [cwd] default: a fresh folder
 * @property {string} [home] default: a fresh folder
 * @property {string | true} [input] all of stdin, or a pipe that stays open; default: none
 * @property {string} [program] default: the command
 *
 * @typedef {{ code: number | null, signal: NodeJS.Signals | null, stdout: string, stderr: string }} End
 */

class Running {
  stdout = '';
  stderr = '';

  /** @param {string[]} args @param {Options} [options] */
  constructor(args, { env = {}, cwd = freshFolder(), home = freshFolder(), input, program = COMMAND } = {}) {
    this.cwd = cwd;
    this.home = home;
    const own = {
      PATH: process.env.PATH,
      TMPDIR: os.tmpdir(),
      HOME: home,
      CLAUDE_TRACE_SPOOL_DIR: path.join(home, 'spool'),
      CLAUDE_TRACE_RUNTIME_DIR: path.join(home, 'runtime'),
    };
    this.child = spawn(program, args, { cwd, env: { ...own, ...env }, stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
    if (typeof input === 'string') this.child.stdin?.end(input);
    this.child.stdout?.setEncoding('utf8').on('data', (text) => (this.stdout += text));
    this.child.stderr?.setEncoding('utf8').on('data', (text) => (this.stderr += text));
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STUCK_MS);
    /** @type {Promise<End>} */
    this.ended = once(this.child, 'close').then(([code, signal]) => {
      clearTimeout(timer);
      return { code, signal, stdout: this.stdout, stderr: this.stderr };
    });
  }

  /** Waits until that was said on stdout. @param {string} words */
  async saying(words) {
    while (!this.stdout.includes(words)) {
      const end = await Promise.race([once(/** @type {any} */ (this.child.stdout), 'data').then(() => null), this.ended]);
      if (end !== null) assert.ok(this.stdout.includes(words), `it ended without saying ${words}: ${JSON.stringify(end)}`);
    }
  }
}

/** Runs the command to its end. @param {string[]} args @param {Options} [options] */
async function runCommand(args, options) {
  const running = new Running(args, options);
  return { ...(await running.ended), cwd: running.cwd, home: running.home };
}

/** What is on record when nothing is left in the spool: a relay in a hurry leaves the rest to the next start. @param {{ cwd: string, home: string }} run */
async function recordsOf({ cwd, home }) {
  const { code, stderr } = await runCommand(['recover'], { cwd, home });
  assert.equal(code, 0, stderr);
  return readLog(cwd);
}

/** A proxy in front of `upstream`, and where it listens. @param {string} upstream @param {string[]} [args] @param {Options} [options] */
async function startProxy(upstream, args = [], options) {
  const proxy = new Running(['proxy', '--upstream', upstream, ...args], options);
  await proxy.saying('\n');
  return { proxy, url: proxy.stdout.trim() };
}

/** Ends a proxy as Ctrl-C does. @param {Running} proxy */
async function stopProxy(proxy) {
  proxy.child.kill('SIGINT');
  const end = await proxy.ended;
  assert.deepEqual([end.code, end.signal], [0, null], end.stderr);
  return end;
}

/** A program in a folder of its own, or in that one. @param {string} name @param {string} text @param {string} [folder] */
function script(name, text, folder = freshFolder()) {
  const file = path.join(folder, name);
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(file, text, { mode: 0o755 });
  return file;
}

/** A native executable that does what its first argument, a script of Node's, says: Node by another name. @param {string} [name] */
function nativeAgent(name = 'agent') {
  const file = path.join(freshFolder(), name);
  fs.symlinkSync(fs.realpathSync(process.execPath), file);
  return file;
}

/** Whether a program answers to `--version`, and how. @param {string} program */
function versionOf(program) {
  try {
    return execFileSync(program, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return null;
  }
}

/** The steps that clients/agent.cjs has printed. @param {string} stdout @returns {Record<string, any>} */
const stepsOf = (stdout) => Object.fromEntries(stdout.split(/\r?\n/).filter((line) => line.startsWith('{')).map((line) => JSON.parse(line)).map(({ step, value }) => [step, value]));

module.exports = { AGENT, COMMAND, PACKAGE, Running, nativeAgent, recordsOf, runCommand, script, startProxy, stepsOf, stopProxy, versionOf };
