'use strict';

// Builds for this machine, beside package.json: the addon claude-trace-native.<platform>.node with native.js/native.d.ts,
// which are committed, and the command `claude-trace`. Cargo does nothing when nothing has changed.

const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { compileCommand } = require('./install-native.js');

const root = path.join(__dirname, '..');
const cli = path.join(path.dirname(require.resolve('@napi-rs/cli/package.json')), 'dist', 'cli.js');

const args = [cli, 'build', '--platform', '--release', '--js', 'native.js', '--dts', 'native.d.ts'];
const built = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 'inherit'] });
if (built.error) console.error(`cannot build the addon: ${built.error.message}`);
if (built.status !== 0) process.exit(built.status ?? 1);

const problem = compileCommand();
if (problem !== null) {
  console.error(`cannot build the command: ${problem}`);
  process.exit(1);
}
