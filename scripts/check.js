'use strict';

// `npm run check`: what can be said of the code without running it. Part of `npm test`.

const { execFileSync } = require('node:child_process');
const path = require('node:path');
const { Steps, root } = require('./run.js');

/** @param {Steps} steps */
function check(steps) {
  const tsc = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin', 'tsc');
  steps.run('format', 'cargo', ['fmt', '--all', '--check']);
  steps.run('clippy', 'cargo', ['clippy', '--workspace', '--all-targets', '--quiet', '--', '-D', 'warnings']);
  steps.run('types', process.execPath, [tsc, '--project', 'tsconfig.json']);
  // The build has just written them: a difference means that a change of src/ was committed without them.
  if (isCheckout()) steps.run('generated files are committed', 'git', ['diff', '--exit-code', '--stat', '--', 'native.js', 'native.d.ts']);
}

function isCheckout() {
  try {
    return execFileSync('git', ['rev-parse', '--is-inside-work-tree'], { cwd: root, stdio: 'pipe', encoding: 'utf8' }).trim() === 'true';
  } catch {
    return false;
  }
}

module.exports = { check };

if (require.main === module) {
  const steps = new Steps();
  if (steps.run('build', process.execPath, ['scripts/build-native.js'])) check(steps);
  steps.end();
}
