'use strict';

// Builds the addon for this machine: claude-trace-native.<platform>.node beside package.json, and native.js/native.d.ts,
// which are committed. Cargo does nothing when nothing has changed.

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const root = path.join(__dirname, '..');
const cli = path.join(path.dirname(require.resolve('@napi-rs/cli/package.json')), 'dist', 'cli.js');

const args = [cli, 'build', '--platform', '--release', '--js', 'native.js', '--dts', 'native.d.ts'];
const built = spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 'inherit'] });
if (built.error) {
  console.error(`cannot build the addon: ${built.error.message}`);
}
process.exit(built.status ?? 1);
