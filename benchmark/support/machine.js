'use strict';

// On what the figures were measured: without it they are no figures.

const { execFileSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { ROOT } = require('./options.js');

/** @param {string} [packageFolder] of what a traced process loads, if one was measured */
function machine(packageFolder) {
  return {
    cpu: os.cpus()[0]?.model,
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    kernel: `${os.type()} ${os.release()} ${os.arch()}`,
    isContainer: fs.existsSync('/.dockerenv'),
    load: os.loadavg()[0],
    commit: git('rev-parse', 'HEAD'),
    isClean: git('status', '--porcelain') === '',
    package: packageFolder === undefined ? null : digest(packageFolder),
    packages: Object.fromEntries(['@anthropic-ai/sdk', '@mariozechner/claude-trace'].map((name) => [name, versionOf(name)])),
  };
}

/** @param {string[]} args */
function git(...args) {
  try {
    return execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return null;
  }
}

/**
 * What was measured, even where the checkout has moved on from it.
 * @param {string} folder
 * @returns {string} of all that a traced process loads
 */
function digest(folder) {
  const own = fs.readdirSync(folder).filter((name) => name === 'index.js' || name === 'interceptor-loader.js' || name.endsWith('.node'));
  const lib = fs.readdirSync(path.join(folder, 'lib'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'));
  const hash = createHash('sha256');
  for (const name of [...own, ...lib.map((file) => path.join('lib', file))].sort()) hash.update(name).update(fs.readFileSync(path.join(folder, name)));
  return hash.digest('hex').slice(0, 16);
}

/** @param {string} name */
function versionOf(name) {
  return JSON.parse(fs.readFileSync(path.join(ROOT, 'node_modules', name, 'package.json'), 'utf8')).version;
}

module.exports = { machine };
