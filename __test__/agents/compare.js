'use strict';

// An agent without us and through the command, against the same stand-in.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { runCommand } = require('../support/command');
const { assertLogMatches, isPartial, readLog } = require('../support/log');
const { freshFolder } = require('../support/run-client');

const AGENTS = process.env.CLAUDE_TRACE_AGENTS ?? path.join(__dirname, '../../target/agents');

/**
 * @typedef {object} Agent
 * @property {string} program
 * @property {string[]} args
 * @property {Record<string, string>} [env]
 * @property {Record<string, string>} told how it is told of the stand-in without us
 * @property {string[]} ours options of `claude-trace run` that tell us of the stand-in
 * @property {(text: string) => string} [normalise] takes out what varies by itself
 */

/**
 * Runs both, holds what they print and return against each other and the log against the stand-in's account; returns what
 * the traced one printed and its records.
 * @param {import('../support/standin').Standin} standin @param {Agent} agent
 */
async function runBothWays(standin, { program, args, env, told, ours, normalise = (text) => text }) {
  await standin.reset();
  const direct = await runCommand(args, { program, env: { ...env, ...told } });
  assert.equal(direct.code, 0, `it fails without us\n${direct.stdout}\n${direct.stderr}`);
  const directAccount = await standin.account();
  await standin.reset();
  const traced = await runCommand(['run', ...ours, '--', program, ...args], { env });
  const account = await standin.account();
  assert.deepEqual([traced.code, traced.signal], [direct.code, direct.signal], traced.stderr);
  assert.deepEqual(normalise(traced.stdout).split('\n'), normalise(direct.stdout).split('\n'));
  const lines = traced.stderr.split('\n');
  const closing = lines.findIndex((line) => line.startsWith('claude-trace: '));
  assert.match(lines[closing], /^claude-trace: \d+ exchanges? recorded in /);
  assert.equal(normalise(lines.toSpliced(closing, 1).join('\n')), normalise(direct.stderr));
  const requests = (/** @type {import('../support/standin').Entry[]} */ entries) => entries.map(({ method, url, status }) => `${method} ${url} ${status}`);
  assert.deepEqual(requests(account).sort(), requests(directAccount).sort(), 'the same requests');
  const matches = assertLogMatches(account.filter(({ url }) => /\/v1\//.test(url)), readLog(traced.cwd));
  for (const { record } of matches) assert.ok(!isPartial(record));
  return { stdout: traced.stdout, records: matches.map(({ record }) => record.value) };
}

/** @param {string} agent @param {string} name of its program */
const npmProgram = (agent, name) => path.join(AGENTS, agent, 'node_modules/.bin', name);

/** A file in a folder of its own. @param {string} name @param {string} text */
function file(name, text) {
  const place = path.join(freshFolder(), name);
  fs.writeFileSync(place, text);
  return place;
}

module.exports = { AGENTS, file, npmProgram, runBothWays };
