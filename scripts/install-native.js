'use strict';

// Runs at `npm install`. A published package brings its addon along; from source (a checkout, a git dependency) it is built
// here if there is a Rust toolchain. Never fails an installation: without the addon the recorder says so in one line and the
// host runs untraced.

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

function build() {
  const source = fs.existsSync(path.join(root, 'src', 'lib.rs'));
  const cargo = source && spawnSync('cargo', ['--version'], { stdio: 'ignore' }).status === 0;
  if (!cargo) return 'there is no prebuilt addon for this platform and no Rust toolchain (https://rustup.rs) to build one';
  return compile();
}

/** Without the development tools, which a dependency does not get: cargo makes the library, and it is put where it is looked for. */
function compile() {
  const built = spawnSync('cargo', ['build', '--release', '--locked', '--message-format=json-render-diagnostics'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 64 * 1024 * 1024,
  });
  if (built.status !== 0) return 'the build failed';
  const artifacts = built.stdout.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  const addon = artifacts.find((a) => a.reason === 'compiler-artifact' && a.target?.kind?.includes('cdylib'));
  if (addon === undefined) return 'cargo made no library';
  const suffix = process.platform === 'linux' ? (isMusl() ? '-musl' : '-gnu') : '';
  fs.copyFileSync(addon.filenames[0], path.join(root, `claude-trace-native.${process.platform}-${process.arch}${suffix}.node`));
  return null;
}

function isMusl() {
  const report = /** @type {any} */ (process.report?.getReport());
  return process.platform === 'linux' && !report?.header?.glibcVersionRuntime;
}

if (!isBuilt()) {
  const problem = build();
  if (problem !== null) console.error(`claude-trace-native: ${problem}; programs will run untraced`);
}
