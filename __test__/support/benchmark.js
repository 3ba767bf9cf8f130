'use strict';

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { promisify } = require('node:util');

const ROOT = path.join(__dirname, '..', '..');
/** On the Node of the test, and not on npm's. */
const ENV = { ...process.env, npm_node_execpath: undefined };

/**
 * @param {string} program below benchmark/
 * @param {string[]} args
 * @returns {Promise<{ code: number, stdout: string, stderr: string }>}
 */
async function run(program, ...args) {
  try {
    return { code: 0, ...(await promisify(execFile)(process.execPath, [path.join(ROOT, 'benchmark', program), ...args], { cwd: ROOT, env: ENV })) };
  } catch (error) {
    const { code, stdout, stderr } = /** @type {any} */ (error);
    return { code, stdout, stderr };
  }
}

/**
 * Runs it, and reads what it has written.
 * @param {string} folder
 * @param {string} program
 * @param {string[]} args
 */
async function measured(folder, program, ...args) {
  const json = path.join(folder, `${program.split('/')[0]}.json`);
  const { code, stdout, stderr } = await run(program, ...args, '--json', json);
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, stdout);
  const results = JSON.parse(fs.readFileSync(json, 'utf8'));
  assert.ok(results.format === 1 && results.node === process.versions.node && results.machine.cores > 0 && results.parameters, 'says what was measured on what');
  return { stdout, results };
}

module.exports = { ENV, ROOT, measured, run };
