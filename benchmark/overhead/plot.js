'use strict';

// The results as a picture (SVG), rendered without a browser: `node benchmark/overhead/plot.js results.json` makes it again.

const fs = require('node:fs');
const { besides, writeSvg } = require('../support/svg.js');
const { percentGrid, streamLines } = require('./plot-spec.js');

/**
 * @typedef {Pick<ReturnType<typeof import('./results.js').resultsOf>, 'parameters' | 'machine' | 'summaries'>} Results
 */

/**
 * @param {string} jsonFile of the results; the pictures go beside it, one for each Node and kind
 * @param {Results} results
 * @returns {Promise<string[]>} their files
 */
async function writePlot(jsonFile, results) {
  const { nodes, cases, quick, rounds } = results.parameters;
  const files = [];
  for (const node of nodes) {
    const suffix = nodes.length === 1 ? '' : `-node${node.split('.')[0]}`;
    const subtitle = [`Node ${node}, ${/** @type {any} */ (results.machine).cpu}, ${rounds} ${rounds === 1 ? 'round' : 'rounds'}${quick ? ' at tiny size: no measurement' : ''}`];
    const streams = cases.filter(({ suite }) => suite === 'streams');
    const others = cases.filter(({ suite }) => suite !== 'streams');
    for (const { name, own, draw } of [{ name: suffix, own: others, draw: percentGrid }, { name: `-streams${suffix}`, own: streams, draw: streamLines }]) {
      if (own.length === 0) continue;
      const file = besides(jsonFile, name);
      await writeSvg(file, draw(results, node, own, subtitle));
      files.push(file);
    }
  }
  return files;
}

module.exports = { writePlot };

if (require.main === module) {
  const [file] = process.argv.slice(2);
  if (file === undefined) throw new Error('usage: node benchmark/overhead/plot.js results.json');
  writePlot(file, JSON.parse(fs.readFileSync(file, 'utf8'))).then((files) => console.log(files.join('\n')));
}
