'use strict';

// index.d.ts against what it describes: tsc compiles a program that uses it, and statements made here of what the package
// has at run time.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { OPTIONS } = require('../lib/config.js');

const ROOT = path.join(__dirname, '..');

/** @type {string} */
let folder;
before(() => (folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'claude-trace-types-')))));
after(() => fs.rmSync(folder, { recursive: true, force: true }));

/** @param {string[]} files */
function compile(...files) {
  const options = ['--noEmit', '--strict', '--skipLibCheck', 'false', '--target', 'es2022', '--module', 'node20', '--types', '', '--allowJs', '--checkJs', 'false', '--maxNodeModuleJsDepth', '0'];
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), ...options, ...files], { cwd: folder, encoding: 'utf8' });
  assert.equal(`${stdout}${stderr}`, '');
  assert.equal(status, 0);
}

const union = (names) => names.map((name) => JSON.stringify(name)).join(' | ');

test('a program that uses everything compiles, and its mistakes do not', () => {
  compile(path.join(__dirname, 'types', 'usage.ts'));
});

test('the names are those of the package, its class and its options, no more and no less', () => {
  const api = require('../index.js');
  const methods = Object.getOwnPropertyNames(api.ClaudeTrafficLogger.prototype).filter((name) => name !== 'constructor');
  const names = OPTIONS.flatMap(({ name }) => name ?? []);
  const outer = new Set(names.map((name) => name.split('.')[0]));
  const inner = names.filter((name) => name.startsWith('zeroLatency.')).map((name) => name.slice('zeroLatency.'.length));
  const file = path.join(folder, 'names.ts');
  fs.writeFileSync(file, `
    import * as api from ${JSON.stringify(path.join(ROOT, 'index.js'))};
    type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
    export const exported: Same<keyof typeof api, ${union(Object.keys(api))}> = true;
    export const methods: Same<keyof api.ClaudeTrafficLogger, ${union(methods)}> = true;
    export const options: Same<keyof api.InterceptorConfig, ${union([...outer])}> = true;
    export const inner: Same<keyof api.ZeroLatencyConfig, ${union(inner)}> = true;
  `);
  compile(file);
});

test('the defaults that the comments state are those of the table', () => {
  const source = fs.readFileSync(path.join(ROOT, 'index.d.ts'), 'utf8');
  for (const { name, default: value } of OPTIONS) {
    if (name === null || value === undefined) continue;
    const key = name.split('.').pop();
    const stated = new RegExp(`@default (.*)\\n +\\*/\\n +${key}\\?:`).exec(source)?.[1];
    assert.equal(stated, JSON.stringify(value), name);
  }
});

test('the implementation has the declared types', () => {
  const file = path.join(folder, 'implementation.cts');
  fs.writeFileSync(file, `
    import type * as declared from ${JSON.stringify(path.join(ROOT, 'index.js'))};
    import implementation = require(${JSON.stringify(path.join(ROOT, 'lib', 'logger.js'))});
    export const checked: typeof declared = implementation;
  `);
  compile(file);
});

test('the addon has the functions that lib/native.js expects', { skip: !fs.existsSync(path.join(ROOT, 'native.d.ts')) }, () => {
  const file = path.join(folder, 'addon.cts');
  fs.writeFileSync(file, `
    import type * as addon from ${JSON.stringify(path.join(ROOT, 'native.js'))};
    import type { Native } from ${JSON.stringify(path.join(ROOT, 'lib', 'native.js'))};
    declare const real: typeof addon;
    export const expected: Native = real;
  `);
  compile(file);
});
