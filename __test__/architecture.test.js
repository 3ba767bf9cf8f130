'use strict';

// Keeps the picture in docs/architecture.md true: arrows run one way.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const root = path.join(__dirname, '..');

/** Modules of crates/core from the bottom up: each may use those before it. */
const CORE = [
  ['frames', 'sse'],
  ['exchange'],
  ['civil', 'clock', 'disk', 'error', 'head', 'jsonrpc', 'notice', 'stats'],
  ['config', 'decode', 'message', 'redact'],
  ['interceptor'],
  ['record', 'spool'],
  ['writer'],
  ['assembly'],
  ['recover'],
  ['pipeline'],
];
/** Bytes in, values out. */
const PURE = ['civil', 'head', 'jsonrpc', 'decode', 'frames', 'message', 'redact', 'record', 'sse'];
const NOT_PURE = /\b(std::(fs|net|thread|process|env|time)|SystemTime|Instant)\b/;

/** JS from the bottom up, by folder or file. */
const JS = [
  ['native.js', 'lib/kinds.js', 'lib/clock.js'],
  ['lib/wire-head.js', 'lib/config-errors.js', 'lib/diagnostics.js', 'lib/host-rule.js', 'lib/native.js'],
  ['lib/option-types.js'],
  ['lib/env.js', 'lib/match.js'],
  ['lib/config.js', 'lib/hooks/', 'lib/interceptors/', 'lib/orphans.js', 'lib/recorder.js', 'lib/report.js'],
  ['lib/open.js'],
  ['lib/hub.js'],
  ['lib/logger.js', 'lib/start.js'],
  ['index.js'],
  ['interceptor-loader.js'],
];

/** @param {string} dir @param {string} ending @returns {string[]} */
function filesBelow(dir, ending) {
  return fs
    .readdirSync(path.join(root, dir), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending))
    .map((file) => path.posix.join(dir, file));
}

/** @param {readonly (readonly string[])[]} layers @param {string} name */
function layerOf(layers, name) {
  return layers.findIndex((layer) => layer.some((member) => member === name || (member.endsWith('/') && name.startsWith(member))));
}

test('modules of the core use only those below them', () => {
  const wrong = [];
  let uses = 0;
  for (const file of filesBelow('crates/core/src', '.rs')) {
    const module = path.posix.relative('crates/core/src', file).split(/[/.]/)[0];
    if (module === 'lib') continue;
    const here = layerOf(CORE, module);
    assert.notEqual(here, -1, `${file} is in no layer: name it in CORE and in docs/architecture.md`);
    for (const [, used] of fs.readFileSync(path.join(root, file), 'utf8').matchAll(/\bcrate::(\w+)/g)) {
      uses++;
      if (used !== module && layerOf(CORE, used) >= here) wrong.push(`${file}: ${module} uses ${used}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(uses > 50, `only ${uses} uses were found: does the pattern still fit?`);
});

test('what is pure touches no file, clock or thread', () => {
  const wrong = [];
  for (const file of filesBelow('crates/core/src', '.rs')) {
    const module = path.posix.relative('crates/core/src', file).split(/[/.]/)[0];
    if (!PURE.includes(module)) continue;
    const code = fs.readFileSync(path.join(root, file), 'utf8').split('#[cfg(test)]')[0];
    if (!/tests?(\/|\.rs)/.test(file) && NOT_PURE.test(code)) wrong.push(file);
  }
  assert.deepEqual(wrong, []);
});

/** What each crate may use of the others. */
const CRATES = { core: [], query: ['core'], net: ['core'], cli: ['core', 'net', 'query'] };

test('crates use only those below them', () => {
  const uses = (/** @type {string} */ manifest) => [...fs.readFileSync(path.join(root, manifest), 'utf8').matchAll(/path = "(?:\.\.|crates)\/(\w+)"/g)].map(([, name]) => name).sort();
  for (const name of fs.readdirSync(path.join(root, 'crates'))) assert.deepEqual(uses(`crates/${name}/Cargo.toml`), CRATES[/** @type {keyof typeof CRATES} */ (name)], name);
  assert.deepEqual(uses('Cargo.toml'), ['core'], 'the addon has no sockets of its own');
});

test('the core knows neither Node nor sockets', () => {
  const manifest = fs.readFileSync(path.join(root, 'crates/core/Cargo.toml'), 'utf8');
  assert.doesNotMatch(manifest, /^(napi|tokio|hyper|axum|rustls)/m);
});

test('unsafe stands in two files', () => {
  const files = [...filesBelow('crates', '.rs'), ...filesBelow('src', '.rs')].filter((file) => !file.includes('/tests/'));
  const with_unsafe = files.filter((file) => /\bunsafe\s*(\{|fn|impl)/.test(fs.readFileSync(path.join(root, file), 'utf8')));
  assert.deepEqual(with_unsafe, ['crates/core/src/spool/segment.rs', 'src/text.rs']);
});

test('JS modules require only those below them', () => {
  const wrong = [];
  let requires = 0;
  for (const file of [...filesBelow('lib', '.js'), 'index.js', 'interceptor-loader.js']) {
    const here = layerOf(JS, file);
    assert.notEqual(here, -1, `${file} is in no layer: name it in JS and in docs/architecture.md`);
    for (const [, wanted] of fs.readFileSync(path.join(root, file), 'utf8').matchAll(/\brequire\('(\.[^']+)'\)/g)) {
      requires++;
      const target = path.posix.join(path.posix.dirname(file), wanted);
      const there = layerOf(JS, target);
      const neighbours = here === there && path.posix.dirname(file) === path.posix.dirname(target) && file.split('/').length > 2;
      if (there === -1 || (there >= here && !neighbours)) wrong.push(`${file} requires ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(requires > 15, `only ${requires} requires were found: does the pattern still fit?`);
});
