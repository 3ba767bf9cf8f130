'use strict';

// `npm run agents-test`: gets the agents of __test__/agents from their registries into target/agents (1.5 GB), and runs them
// with and without us against the stand-in. Not part of `npm test`: too large, and what is the latest release changes.
//
//   npm run agents-test -- claude-code opencode      some of them

const fs = require('node:fs');
const path = require('node:path');
const { Steps, root } = require('./run.js');

const FOLDER = path.join(root, 'target', 'agents');

/** @type {Record<string, (steps: Steps, folder: string) => boolean>} */
const AGENTS = {
  'claude-code': (steps, folder) => npm(steps, folder, '@anthropic-ai/claude-code@latest'),
  opencode: (steps, folder) => npm(steps, folder, 'opencode-ai@latest'),
  codex: (steps, folder) => npm(steps, folder, '@openai/codex@latest'),
  python: (steps, folder) =>
    steps.run('venv', 'python3', ['-m', 'venv', folder]) && steps.run('pip', path.join(folder, 'bin/pip'), ['install', '--quiet', '--upgrade', 'openai', 'anthropic']),
};

/** @param {Steps} steps @param {string} folder @param {string} name */
function npm(steps, folder, name) {
  fs.mkdirSync(folder, { recursive: true });
  return steps.run(`npm install ${name}`, 'npm', ['install', '--prefix', folder, '--no-save', '--no-package-lock', '--no-audit', '--no-fund', name]);
}

const steps = new Steps();
const chosen = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(AGENTS);
if (!steps.run('build', process.execPath, ['scripts/build-native.js'])) steps.end();
for (const name of chosen) {
  // One that cannot be had is a failed step; the others are tried.
  if (AGENTS[name](steps, path.join(FOLDER, name))) {
    steps.run(`tests of ${name}`, process.execPath, ['--test', '--test-reporter=spec', '--test-timeout=300000', `__test__/agents/${name}.test.js`], { CLAUDE_TRACE_AGENTS: FOLDER });
  }
}
steps.end();
