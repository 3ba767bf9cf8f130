'use strict';

// A picture of a Vega-Lite specification, rendered without a browser.

const fs = require('node:fs');

const SCHEMA = 'https://vega.github.io/schema/vega-lite/v6.json';

/** What all pictures have in common. */
const CONFIG = {
  font: 'DejaVu Sans, Helvetica, Arial, sans-serif',
  background: 'white',
  title: { anchor: 'start', fontSize: 18, subtitleFontSize: 12, subtitleColor: '#555', offset: 16 },
  axis: { labelFontSize: 10, titleFontSize: 11, titleFontWeight: 'normal', gridColor: '#e8eaed', domainColor: '#b5b9bf', tickColor: '#b5b9bf' },
  header: { labelFontSize: 12, labelFontWeight: 'bold' },
  legend: { labelFontSize: 12, titleFontSize: 12, orient: 'top', columns: 4, symbolSize: 90, labelLimit: 300 },
  view: { stroke: '#d5d8dd' },
};

/**
 * @param {string} file
 * @param {object} spec
 */
async function writeSvg(file, spec) {
  const vega = await import('vega');
  const { compile } = await import('vega-lite');
  const view = new vega.View(vega.parse(compile(/** @type {any} */ ({ $schema: SCHEMA, config: CONFIG, ...spec })).spec), { renderer: 'none' });
  fs.writeFileSync(file, await view.toSVG());
  view.finalize();
}

/** @param {string} jsonFile @param {string} [suffix] @returns {string} the picture beside it */
const besides = (jsonFile, suffix = '') => `${jsonFile.replace(/\.json$/, '')}${suffix}.svg`;

module.exports = { besides, writeSvg };
