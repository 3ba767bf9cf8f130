'use strict';

// What the options of all benchmarks have in common. A bad one is an error that names it.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { unpacked } = require('../../scripts/unpack.js');

const ROOT = path.join(__dirname, '..', '..');

const text = /** @type {const} */ ({ type: 'string' });
const flag = /** @type {const} */ ({ type: 'boolean' });
const help = /** @type {const} */ ({ type: 'boolean', short: 'h' });

/** @param {string} value @param {string} name */
function whole(value, name) {
  const number = Number(value);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`--${name} ${value} is not a whole number from 1 on`);
  return number;
}

/** @param {string} value @param {string} name */
function positive(value, name) {
  const number = Number(value);
  if (!(number > 0) || !Number.isFinite(number)) throw new Error(`--${name} ${value} is not a number above 0`);
  return number;
}

/** @type {string | null} */
let packed = null;

/**
 * What users install is measured: a package starts faster than the checkout that it is made of.
 * @param {string | undefined} folder of `--package`
 * @returns {string} where the package under test lies
 */
function packageOf(folder) {
  if (folder !== undefined) return path.resolve(folder);
  if (packed !== null) return packed;
  const made = (packed = unpacked());
  process.once('exit', () => fs.rmSync(made, { recursive: true, force: true }));
  return made;
}

/** @param {string} packageFolder @returns {string} what goes behind `--require` */
const loaderOf = (packageFolder) => path.join(packageFolder, 'interceptor-loader.js');

/**
 * The Node that npm runs on. To a script of package.json `node` is another one: of those in node_modules/.bin, where npm looks first.
 * @returns {string | null} null: it is this one
 */
function nodeOfNpm() {
  const node = process.env.npm_node_execpath;
  return node !== undefined && node !== process.execPath && process.execPath.startsWith(path.join(ROOT, 'node_modules')) ? node : null;
}

/**
 * Runs a benchmark: on the Node that its user has, its options, its work, its errors as one line.
 * @template T
 * @param {string} usage
 * @param {(args: string[]) => T | null} readOptions null: help was asked for
 * @param {(options: T) => Promise<number | void>} main its exit code
 */
async function runProgram(usage, readOptions, main) {
  const node = nodeOfNpm();
  if (node !== null) {
    const { status } = spawnSync(node, process.argv.slice(1), { stdio: 'inherit' });
    process.exitCode = status ?? 1;
    return;
  }
  try {
    const options = readOptions(process.argv.slice(2));
    if (options === null) console.log(usage);
    else process.exitCode = (await main(options)) ?? 0;
  } catch (error) {
    console.error(/** @type {Error} */ (error).message);
    process.exitCode = 1;
  }
}

module.exports = { ROOT, flag, help, loaderOf, packageOf, positive, runProgram, text, whole };
