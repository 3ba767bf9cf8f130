'use strict';

// A promise without its test is none: docs/durability.md names for each line the test that proves it, and this looks
// whether it is there.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const root = path.join(__dirname, '..');

test('every line of the promise names tests that exist, or says that it is not proven', () => {
  const page = fs.readFileSync(path.join(root, 'docs/durability.md'), 'utf8');
  const promise = page.split('## The promise')[1].split('\n## ')[0];
  const rows = promise.split('\n').filter((line) => line.startsWith('|')).slice(2);
  assert.ok(rows.length > 10, 'the table has its rows');
  for (const row of rows) {
    const proof = String(row.split('|').at(-2));
    // Text, file, what follows it, file, what follows it, …
    const parts = proof.split(/`([^`]+\.(?:js|rs))`/);
    assert.ok(parts.length > 1 || proof.includes('not yet proven'), `no proof: ${row}`);
    for (let i = 1; i < parts.length; i += 2) {
      const source = fs.readFileSync(path.join(root, parts[i]), 'utf8');
      const names = [...parts[i + 1].matchAll(/\*([^*]+)\*/g)].map(([, name]) => name);
      for (const name of names) assert.ok(name === 'not yet proven' || source.includes(name), `${parts[i]} has no test '${name}'`);
    }
  }
});
