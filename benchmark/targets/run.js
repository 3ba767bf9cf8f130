'use strict';

// `npm run validate:targets`: the gate. Measures, holds what was found against the targets, and fails on a miss.

const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { machine } = require('../support/machine.js');
const { ROOT, flag, help, packageOf, runProgram, text, whole } = require('../support/options.js');
const { head, writeResults } = require('../support/results.js');
const { judge, report } = require('./judge.js');
const { GROUPS, measure } = require('./measure.js');
const { TARGETS } = require('./targets.js');

const DEFAULT_FILE = path.join(ROOT, 'benchmark-results.json');

const USAGE = `npm run validate:targets -- [options]
  --from FILE           judge results that were written before, and measure nothing
  --only a,b            only these benchmarks and their targets: ${GROUPS.join(', ')}
  --id TEXT             only targets whose id contains this
  --rounds N            of the overhead benchmark (default 5)
  --memory-seconds N    of the run in search of leaks (default 60)
  --json FILE           results and lines (default benchmark-results.json)
  --package FOLDER      where the package under test lies (default: this checkout, packed)
  --quick               tiny sizes: shows the shape of the output, says nothing of speed
The exit code is 1 when a target is missed or was not measured.`;

/** @param {string[]} args */
function readOptions(args) {
  const { values } = parseArgs({
    args,
    options: { from: text, only: text, id: text, rounds: text, 'memory-seconds': text, json: text, package: text, quick: flag, help },
  });
  if (values.help) return null;
  const groups = values.only?.split(',') ?? GROUPS;
  const wrong = groups.find((group) => !GROUPS.includes(group));
  if (wrong !== undefined) throw new Error(`--only ${wrong} is not one of ${GROUPS.join(', ')}`);
  const targets = TARGETS.filter(({ group, id }) => groups.includes(group) && id.includes(values.id ?? ''));
  if (targets.length === 0) throw new Error(`--id ${values.id}: there is no such target`);
  return {
    targets,
    groups: groups.filter((group) => targets.some((target) => target.group === group)),
    from: values.from,
    json: values.json ?? DEFAULT_FILE,
    effort: {
      quick: values.quick ?? false,
      rounds: whole(values.rounds ?? '5', 'rounds'),
      memorySeconds: whole(values['memory-seconds'] ?? '60', 'memory-seconds'),
      packageFolder: values.package,
    },
  };
}

/** @param {string} file as this program or, with `summaries`, the overhead benchmark has written it */
function read(file) {
  const content = JSON.parse(fs.readFileSync(file, 'utf8'));
  return content.results ?? (content.summaries === undefined ? {} : { overhead: content });
}

/** @param {NonNullable<ReturnType<typeof readOptions>>} options @returns {Promise<number>} the exit code */
async function main({ targets, groups, from, json, effort }) {
  if (from === undefined) effort.packageFolder = packageOf(effort.packageFolder);
  const about = machine(effort.packageFolder);
  const results = from === undefined ? await measure(groups, effort) : read(from);
  const lines = judge(targets, results);
  console.log(`\n${report(lines)}${effort.quick ? '\n--quick: no measurement' : ''}`);
  const { packageFolder: _, ...parameters } = effort;
  writeResults(json, { ...head(about, parameters), lines, results });
  return lines.every(({ isMet }) => isMet) ? 0 : 1;
}

runProgram(USAGE, readOptions, main);
