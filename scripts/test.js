'use strict';

// `npm test`: builds once, checks, and runs every test: the Rust ones, then those of __test__ against the packed package
// on this machine's Node and on the others that are supported.
//
//   npm test                      everything
//   npm test -- --node 24         __test__ on one Node alone (20, 22, 24, 26 or `this`)
//   npm test -- __test__/x.js     files of your choice, on every Node

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { Steps, root } = require('./run.js');
const { check } = require('./check.js');
const { unpacked } = require('./unpack.js');

/** npm puts node_modules/.bin first on the PATH, and `node` there is one of the others. */
const THIS = process.env.npm_node_execpath ?? process.execPath;
const OTHERS = ['node22', 'node24', 'node26'];
/** What does not depend on the Node it runs on is run once. */
const ONCE = ['architecture', 'bin', 'config-docs', 'disk', 'durability-docs', 'kill', 'launch-ends', 'mcp-relay', 'proxy', 'proxy-ends', 'types'];
const isOnce = (/** @type {string} */ test) => test.startsWith('benchmark-') || ONCE.includes(test);

/** Of the cases that properties are held against: the same each time. `cargo test` by itself tries others. */
const PROPTEST_RNG_SEED = process.env.PROPTEST_RNG_SEED ?? '1';

const args = process.argv.slice(2);
const only = args[0] === '--node' ? args.splice(0, 2)[1] : undefined;
const chosen = args.length > 0 || only !== undefined;

const steps = new Steps();
if (!steps.run('build', process.execPath, ['scripts/build-native.js'])) steps.end();
if (!chosen) {
  check(steps);
  steps.run('Rust tests', 'cargo', ['test', '--workspace', '--quiet', '--no-fail-fast'], { PROPTEST_RNG_SEED });
}

const folder = unpacked();
try {
  for (const [index, { name, binary }] of nodes().entries()) {
    const files = args.length > 0 ? args : testFiles(index === 0);
    const runner = ['--test', '--test-reporter=spec', '--test-timeout=300000', `--test-concurrency=${os.availableParallelism()}`];
    steps.run(`tests on ${name}`, binary, [...runner, ...files], { CLAUDE_TRACE_TEST_PACKAGE: folder });
  }
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
steps.end();

/** @param {boolean} all those that are run once too */
function testFiles(all) {
  const names = fs.readdirSync(path.join(root, '__test__')).filter((file) => file.endsWith('.test.js'));
  return names.filter((name) => all || !isOnce(name.slice(0, -8))).sort().map((name) => path.join('__test__', name));
}

/** The Nodes to test on, this one first. */
function nodes() {
  const all = [{ name: `Node ${versionOf(THIS)}`, binary: THIS }];
  for (const name of OTHERS) {
    const binary = path.join(root, 'node_modules', name, 'bin', 'node');
    // A missing Node is a failed step, not a skipped one.
    const version = fs.existsSync(binary) ? versionOf(binary) : `${name} (missing)`;
    all.push({ name: `Node ${version}`, binary });
  }
  if (only === undefined) return all;
  return all.filter(({ name }, index) => (only === 'this' ? index === 0 : name.startsWith(`Node ${only}.`))).slice(0, 1);
}

/** @param {string} binary */
function versionOf(binary) {
  return execFileSync(binary, ['--version'], { encoding: 'utf8' }).trim().slice(1);
}
