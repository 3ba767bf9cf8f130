'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { ROOT, flag, help, packageOf, text, whole } = require('../support/options.js');
const { CASES, SUITES, openFiles, tiny } = require('./cases.js');
const { BASELINE, NOISE, variants } = require('./variants.js');

/** @param {readonly string[]} ids @param {string} indent */
const wrapped = (ids, indent) => ids.join(', ').replace(/(.{60,}?, )/g, `$1\n${indent}`);
const INDENT = ' '.repeat(22);
/** Not committed, unlike its neighbours. */
const DEFAULT_FILE = path.join(ROOT, 'benchmark', 'results', 'latest.json');

const USAGE = `node benchmark/overhead/run.js [options]
  --suite a,b         ${SUITES.join(', ')} or all (default: requests)
  --case a,b          only these, of whatever suite:
${INDENT}${wrapped(CASES.map(({ id }) => id), INDENT)}
  --variant a,b       only these, beside untraced:
${INDENT}${wrapped(variants('').map(({ id }) => id).slice(2), INDENT)}
  --rounds N          samples of each kind (default 4; with --full 10, with --quick 1)
  --node 20,22        Node versions: this one, or node_modules/node<N> (default: this one)
  --full              all suites on Node 20, 22, 24 and 26, 10 rounds: hours
  --json FILE         parameters, machine and all samples; beside them plots (.svg)
                      (default benchmark/results/latest.json)
  --details           differences pair by pair, hook times and start-up too
  --package FOLDER    where the package under test lies (default: this checkout, packed)
  --patience S        seconds to spend on waiting for a quiet machine, and on repeating what was disturbed (default 120)
  --seed N            of the order and the intervals (default 1)
  --quick             tiny sizes, several at a time: shows the shape of the output, says nothing of speed`;

/**
 * @typedef {{ version: string, binary: string }} NodeBinary
 *
 * @typedef {object} Options
 * @property {boolean} quick
 * @property {boolean} details
 * @property {number} rounds
 * @property {number} seed
 * @property {number} patience s
 * @property {NodeBinary[]} nodes
 * @property {import('./cases.js').Case[]} cases
 * @property {import('./variants.js').Variant[]} variants
 * @property {string} json
 * @property {string} packageFolder
 */

/**
 * @param {string[]} args
 * @returns {Options | null} null: help was asked for
 */
function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: {
      suite: text, case: text, variant: text, rounds: text, node: text, json: text, package: text, seed: text, patience: text,
      full: flag, details: flag, quick: flag, help,
    },
  });
  if (values.help) return null;
  const { quick = false, full = false, details = false } = values;
  const packageFolder = packageOf(values.package);
  const kinds = values.variant === undefined ? undefined : `${BASELINE},${NOISE},${values.variant}`;
  const found = casesOf(values.suite ?? (full ? 'all' : undefined), values.case);
  const cases = quick ? found.map(tiny) : found;
  checkOpenFiles(cases);
  return {
    quick,
    details,
    rounds: whole(values.rounds ?? (quick ? '1' : full ? '10' : '4'), 'rounds'),
    seed: whole(values.seed ?? '1', 'seed'),
    patience: quick ? 0 : whole(values.patience ?? '120', 'patience'),
    nodes: (values.node ?? (full ? '20,22,24,26' : 'this')).split(',').map(findNode),
    cases,
    variants: chosen(variants(packageFolder), kinds, 'variant'),
    json: values.json ?? DEFAULT_FILE,
    packageFolder,
  };
}

/**
 * @param {string | undefined} suite
 * @param {string | undefined} ids
 */
function casesOf(suite, ids) {
  if (suite === undefined && ids !== undefined) return chosen(CASES, ids, 'case');
  const suites = chosen(SUITES.map((id) => ({ id })), suite === 'all' ? undefined : (suite ?? 'requests'), 'suite').map(({ id }) => id);
  return chosen(CASES.filter((c) => suites.includes(c.suite)), ids, 'case');
}

/**
 * Node raises its own limit as far as the system lets it; further is for the user to do.
 * @param {readonly import('./cases.js').Case[]} cases
 */
function checkOpenFiles(cases) {
  const { soft } = /** @type {any} */ (process.report.getReport()).userLimits.open_files;
  const tooMany = cases.find((c) => soft !== 'unlimited' && openFiles(c) > soft);
  if (tooMany !== undefined) throw new Error(`--case ${tooMany.id} has ${openFiles(tooMany)} files open, and the limit is ${soft}: raise it (ulimit -n 4096), or leave the case out`);
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
