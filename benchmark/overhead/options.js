'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { CASES, tiny } = require('./cases.js');
const { BASELINE, NOISE, ROOT, variants } = require('./variants.js');

const USAGE = `node benchmark/overhead/run.js [options]
  --rounds N        samples of each kind (default 10; with --quick 1)
  --node 20,22      Node versions: this one, or node_modules/node<N> (default: this one)
  --case a,b        only these: ${CASES.map(({ id }) => id).join(', ')}
  --variant a,b     only these, beside untraced: ${variants('').map(({ id }) => id).slice(2).join(', ')}
  --json FILE       parameters, machine and all samples
  --package FOLDER  where the package under test lies (default: this checkout)
  --patience S      seconds to spend on waiting for a quiet machine, and on repeating what was disturbed (default 300)
  --seed N          of the order and the intervals (default 1)
  --quick           tiny sizes, several at a time: shows the shape of the output, says nothing of speed`;

/**
 * @typedef {{ version: string, binary: string }} NodeBinary
 *
 * @typedef {object} Options
 * @property {boolean} quick
 * @property {number} rounds
 * @property {number} seed
 * @property {number} patience s
 * @property {NodeBinary[]} nodes
 * @property {import('./cases.js').Case[]} cases
 * @property {import('./variants.js').Variant[]} variants
 * @property {string | undefined} json
 * @property {string} packageFolder
 */

/**
 * @param {string[]} args
 * @returns {Options | null} null: help was asked for
 */
function readOptions(args) {
  const text = /** @type {const} */ ({ type: 'string' });
  const flag = /** @type {const} */ ({ type: 'boolean' });
  const { values } = parseArgs({
    args,
    options: { rounds: text, node: text, case: text, variant: text, json: text, package: text, seed: text, patience: text, quick: flag, help: { ...flag, short: 'h' } },
  });
  if (values.help) return null;
  const quick = values.quick ?? false;
  const packageFolder = path.resolve(values.package ?? ROOT);
  const cases = chosen(CASES, values.case, 'case');
  const kinds = values.variant === undefined ? undefined : `${BASELINE},${NOISE},${values.variant}`;
  return {
    quick,
    rounds: positive(values.rounds ?? (quick ? '1' : '10'), 'rounds'),
    seed: positive(values.seed ?? '1', 'seed'),
    patience: quick ? 0 : positive(values.patience ?? '300', 'patience'),
    nodes: (values.node ?? 'this').split(',').map(findNode),
    cases: quick ? cases.map(tiny) : cases,
    variants: chosen(variants(packageFolder), kinds, 'variant'),
    json: values.json,
    packageFolder,
  };
}

/**
 * @template {{ id: string }} T
 * @param {readonly T[]} all
 * @param {string | undefined} ids
 * @param {string} name
 * @returns {T[]} in the order of `all`
 */
function chosen(all, ids, name) {
  if (ids === undefined) return [...all];
  const wanted = new Set(ids.split(','));
  const found = all.filter(({ id }) => wanted.delete(id));
  if (wanted.size > 0) throw new Error(`--${name} ${[...wanted].join(',')} is not one of ${all.map(({ id }) => id).join(', ')}`);
  return found;
}

/**
 * @param {string} text
 * @param {string} name
 */
function positive(text, name) {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} ${text} is not a whole number from 1 on`);
  return value;
}

/**
 * @param {string} major
 * @returns {NodeBinary}
 */
function findNode(major) {
  if (major === 'this' || major === process.versions.node.split('.')[0]) return { version: process.versions.node, binary: process.execPath };
  const binary = path.join(ROOT, 'node_modules', `node${major}`, 'bin', 'node');
  if (!fs.existsSync(binary)) throw new Error(`--node ${major}: there is no ${binary}`);
  return { version: execFileSync(binary, ['--version'], { encoding: 'utf8' }).trim().slice(1), binary };
}

module.exports = { USAGE, readOptions };
