'use strict';

// Runs at `npm install`. A published package brings its addon and command along; from source (a checkout, a git dependency)
// they are built here if there is a Rust toolchain. Never fails an installation: without the addon the recorder says so in
// one line and the host runs untraced.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const root = path.join(__dirname, '..');

function isBuilt() {
  try {
    require('../lib/native.js').loadNative();
    return true;
  } catch {
    return false;
  }
}

/** @returns {string | null} what is missing for a build */
function missing() {
  const hasSource = fs.existsSync(path.join(root, 'src', 'lib.rs'));
  const hasCargo = hasSource && spawnSync('cargo', ['--version'], { stdio: 'ignore' }).status === 0;
  return hasCargo ? null : 'there is no prebuilt addon for this platform and no Rust toolchain (https://rustup.rs) to build one';
}

/**
 * Builds one crate and puts what it makes beside package.json.
 * @param {string} crate
 * @param {string} kind of cargo's target
 * @param {string} name of the file
 * @returns {string | null} what went wrong
 */
function compile(crate, kind, name) {
  // A call of its own for each crate, so that the features that one needs do not get into the other.
  const args = ['build', '--release', '--locked', '--package', crate, '--message-format=json-render-diagnostics'];
  const built = spawnSync('cargo', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 64 * 1024 * 1024 });
  if (built.status !== 0) return `cargo failed at ${crate}`;
  const messages = built.stdout.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  const artifact = messages.findLast(({ reason, target }) => reason === 'compiler-artifact' && target.kind.includes(kind) && target.name.startsWith('claude'));
  if (artifact === undefined) return `cargo made nothing of ${crate}`;
  const file = path.join(root, name);
  // Renamed into place: a running program keeps the file that it has.
  fs.copyFileSync(artifact.executable ?? artifact.filenames[0], `${file}.new`);
  fs.renameSync(`${file}.new`, file);
  return null;
}

function compileAddon() {
  const suffix = process.platform === 'linux' ? (isMusl() ? '-musl' : '-gnu') : '';
  return compile('claude-trace-native', 'cdylib', `claude-trace-native.${process.platform}-${process.arch}${suffix}.node`);
}

function compileCommand() {
  return compile('claude-trace-cli', 'bin', 'claude-trace');
}

function isMusl() {
  const report = /** @type {any} */ (process.report?.getReport());
  return !report?.header?.glibcVersionRuntime;
}

module.exports = { compileCommand };

if (require.main === module && !isBuilt()) {
  const problem = missing() ?? compileAddon() ?? compileCommand();
  if (problem !== null) console.error(`claude-trace-native: ${problem}; programs will run untraced`);
}
