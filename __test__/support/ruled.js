'use strict';

// A proxy with rules, in front of an upstream whose every step is a test's.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { setTimeout } = require('node:timers/promises');
const { startProxy } = require('./command');
const { readLog } = require('./log');
const { freshFolder } = require('./run-client');

/** A file of rules. @param {string} text */
function rulesFile(text) {
  const file = path.join(freshFolder(), 'rules.toml');
  fs.writeFileSync(file, text);
  return file;
}

/** A proxy with these rules in front of an upstream. @param {string} upstream @param {string} rules */
const ruled = (upstream, rules) => startProxy(upstream, ['--rules', rulesFile(rules)]);

/**
 * The records of a proxy, as the requests were made: in the log they stand as the exchanges ended, and a client can have its
 * answer and ask again before the proxy has come to the end of the first.
 * @param {{ cwd: string }} proxy @returns {any[]}
 */
const values = (proxy) => readLog(proxy.cwd).map(({ value }) => value).sort((a, b) => a.request.timestamp - b.request.timestamp);

/** Waits until something is so, which nobody but another process can say. @param {() => boolean} isSo @param {string} words */
async function until(isSo, words) {
  for (let tries = 0; tries < 600; tries++) {
    if (isSo()) return;
    await setTimeout(50);
  }
  assert.fail(words);
}

/** Waits until an exchange has ended and is in the log. @param {{ cwd: string }} proxy @param {string} pathname */
const recorded = (proxy, pathname) =>
  until(() => values(proxy).some(({ request }) => new URL(request.url).pathname === pathname), `${pathname} is not on record`);

/** Waits until a text is in the spool. @param {{ home: string }} proxy @param {string} text */
const spooled = ({ home }, text) =>
  until(() => {
    const files = fs.readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    return files.some((file) => fs.readFileSync(path.join(file.parentPath, file.name)).includes(text));
  }, `${text} is not in the spool`);

module.exports = { recorded, ruled, rulesFile, spooled, until, values };
