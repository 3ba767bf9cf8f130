'use strict';

// docs/configuration.md against the table. UPDATE=1 writes the generated part.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { OPTIONS } = require('../lib/config.js');
const { BASE_URL_VARIABLES } = require('../lib/match.js');

const FILE = path.join(__dirname, '..', 'docs', 'configuration.md');

const TYPES = { directory: 'path', name: 'file name', hosts: 'list', choice: 'word', integer: 'integer', boolean: 'boolean' };

/** @param {number} n as a reader takes it in */
function quantity(n) {
  for (const [unit, size] of /** @type {const} */ ([['GiB', 2 ** 30], ['MiB', 2 ** 20], ['KiB', 2 ** 10]])) {
    if (n >= size && n % size === 0) return `${n} (${n / size} ${unit})`;
  }
  return String(n);
}

/** @param {(typeof OPTIONS)[number]} option */
function row(option) {
  const { name, env, type, default: value, min, max, choices, doc } = option;
  const numbers = type === 'integer' ? [`${quantity(/** @type {number} */ (min))} to ${quantity(/** @type {number} */ (max))}`] : [];
  const range = [...numbers, ...(choices ?? []).map((word) => `\`${word}\``)].join(', ');
  let shown = value === undefined ? '' : `\`${JSON.stringify(value)}\``;
  if (type === 'integer') shown = quantity(/** @type {number} */ (value));
  return `| ${[name === null ? '(variable only)' : `\`${name}\``, `\`${env}\``, TYPES[type], shown, range, doc].join(' | ')} |`;
}

const generated = ['| Option | Variable | Type | Default | Allowed | Effect |', '|---|---|---|---|---|---|', ...OPTIONS.map(row)].join('\n');

test('the table of options is the one in lib/config.js', () => {
  const text = fs.readFileSync(FILE, 'utf8');
  const region = /(<!-- options: .*-->\n)([^]*?)(<!-- \/options -->)/;
  if (process.env.UPDATE) fs.writeFileSync(FILE, text.replace(region, (_, head, __, tail) => `${head}${generated}\n${tail}`));
  assert.equal(region.exec(fs.readFileSync(FILE, 'utf8'))?.[2].trim(), generated);
});

test('every option says what it does, in one line that a table can hold', () => {
  for (const { env, doc } of OPTIONS) assert.match(doc, /^[^|\n]{20,}\.$/, env);
});

test('the base URL variables are those that are read', () => {
  const region = /<!-- base-urls -->([^]*?)<!-- \/base-urls -->/.exec(fs.readFileSync(FILE, 'utf8'))?.[1] ?? '';
  assert.deepEqual([...region.matchAll(/`(\w+)`/g)].map(([, name]) => name), [...BASE_URL_VARIABLES]);
});
