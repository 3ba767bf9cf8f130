'use strict';

// The results as a picture (SVG), rendered without a browser: `node benchmark/overhead/plot.js results.json` makes it again.

const fs = require('node:fs');
const path = require('node:path');
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
  const vega = await import('vega');
  const { compile } = await import('vega-lite');
  const { nodes, cases, quick, rounds } = results.parameters;
  const base = path.join(path.dirname(jsonFile), path.basename(jsonFile, '.json'));
  const files = [];
  for (const node of nodes) {
    const suffix = nodes.length === 1 ? '' : `-node${node.split('.')[0]}`;
    const subtitle = [`Node ${node}, ${/** @type {any} */ (results.machine).cpu}, ${rounds} ${rounds === 1 ? 'round' : 'rounds'}${quick ? ' at tiny size: no measurement' : ''}`];
    const streams = cases.filter(({ suite }) => suite === 'streams');
    const others = cases.filter(({ suite }) => suite !== 'streams');
    for (const [name, spec] of [
      [`${base}${suffix}.svg`, others.length === 0 ? null : percentGrid(results, node, others, subtitle)],
      [`${base}-streams${suffix}.svg`, streams.length === 0 ? null : streamLines(results, node, streams, subtitle)],
    ]) {
      if (name === null || spec === null || typeof spec === 'string') continue;
      const view = new vega.View(vega.parse(compile(/** @type {any} */ (spec)).spec), { renderer: 'none' });
      fs.writeFileSync(String(name), await view.toSVG());
      view.finalize();
      files.push(String(name));
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
