'use strict';

// What a start costs: the files that it reads. In the package they are one, and the modules in it are those of the files.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { freshFolder, loaderPath } = require('./support/run-client');

const LOADER = loaderPath();
const PACKAGE = path.dirname(LOADER);
/** A checkout starts from the files themselves. */
const skip = fs.existsSync(path.join(PACKAGE, 'lib', 'start.js')) ? false : 'only packages have lib/start.js';

/** Runs a program with the loader, and tells what it printed as JSON. @param {string} program @param {Record<string, string>} [env] */
function run(program, env = {}) {
  const cwd = freshFolder();
  const watch = path.join(cwd, 'watch.cjs');
  // What Node reads and compiles as CommonJS, in that order.
  fs.writeFileSync(watch, `
    const { Module } = require('node:module');
    const { '.js': load } = Module._extensions;
    globalThis.loaded = [];
    Module._extensions['.js'] = function (module, file) { loaded.push(file); return load.apply(this, arguments); };`);
  fs.writeFileSync(path.join(cwd, 'program.cjs'), program);
  const surroundings = { PATH: process.env.PATH, CLAUDE_TRACE_RUNTIME_DIR: path.join(cwd, 'run'), PACKAGE, ...env };
  return JSON.parse(execFileSync(process.execPath, ['--require', watch, '--require', LOADER, 'program.cjs'], { cwd, env: surroundings, encoding: 'utf8' }));
}

const FILES = `loaded.filter((file) => file.startsWith(process.env.PACKAGE)).map((file) => file.slice(process.env.PACKAGE.length + 1))`;

for (const [what, env] of /** @type {[string, Record<string, string>][]} */ ([
  ['by default', {}],
  ['with options', { CLAUDE_TRACE_LOG_DIR: 'elsewhere', CLAUDE_TRACE_HOSTS: 'llm.example', CLAUDE_TRACE_ZERO_LATENCY_WORKERS: '2' }],
])) {
  test(`a start ${what} reads two files`, { skip }, () => {
    assert.deepEqual(run(`console.log(JSON.stringify(${FILES}))`, env), ['interceptor-loader.js', 'lib/start.js']);
  });
}

test('what is required later are the same modules', { skip }, () => {
  const [same, isLogger, files] = run(`
    const { ClaudeTrafficLogger, getLogger } = require(process.env.PACKAGE);
    const hub = require(process.env.PACKAGE + '/lib/hub.js').existingHub();
    getLogger().getStats();
    console.log(JSON.stringify([hub.singleton.logger === getLogger(), getLogger() instanceof ClaudeTrafficLogger, ${FILES}]));`);
  assert.deepEqual([same, isLogger], [true, true]);
  for (const file of ['lib/logger.js', 'lib/hub.js', 'lib/config.js']) assert.ok(!files.includes(file), `${file} was read a second time`);
  assert.ok(files.includes('lib/recorder.js'), 'what only an exchange needs is read when it is needed');
});

test('each worker thread has its own', { skip }, () => {
  const there = run(`
    const { Worker, isMainThread, parentPort } = require('node:worker_threads');
    if (!isMainThread) parentPort.postMessage(globalThis[Symbol.for('claude-trace-native.hub.1')].singleton !== null);
    else new Worker(__filename).on('message', (there) => console.log(JSON.stringify(there)));`);
  assert.equal(there, true);
});

test('a checkout starts from its files', () => {
  const cwd = freshFolder();
  const checkout = path.join(__dirname, '..');
  const program = `console.log(Object.keys(require.cache).some((file) => file.endsWith('lib/logger.js')), globalThis[Symbol.for('claude-trace-native.hub.1')].singleton !== null)`;
  const args = ['--require', path.join(checkout, 'interceptor-loader.js'), '--eval', program];
  const env = { PATH: process.env.PATH, CLAUDE_TRACE_RUNTIME_DIR: path.join(cwd, 'run') };
  assert.equal(execFileSync(process.execPath, args, { cwd, env, encoding: 'utf8' }), 'true true\n');
});
