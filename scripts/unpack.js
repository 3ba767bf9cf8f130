'use strict';

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

/**
 * Packs the package and unpacks it where nothing of the checkout is near: what is tested and measured is what users install.
 * @returns {string} a folder that the caller removes
 */
function unpacked() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-native-pack-'));
  const packed = execFileSync('npm', ['pack', '--json', '--foreground-scripts=false', '--pack-destination', folder], {
    cwd: path.join(__dirname, '..'),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const entries = JSON.parse(packed);
  const { filename } = Array.isArray(entries) ? entries[0] : Object.values(entries)[0];
  const tarball = path.join(folder, filename);
  execFileSync('tar', ['-xzf', tarball, '--strip-components=1', '-C', folder]);
  fs.rmSync(tarball);
  return folder;
}

module.exports = { unpacked };
