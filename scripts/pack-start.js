'use strict';

// `npm pack` puts what every start loads into one file as well, lib/start.js: to find, read and compile a file takes Node 0.1
// to 0.3 ms, whatever stands in it, and there are a dozen. The parts enter `require.cache` under the names of the files they
// come from, so whatever is loaded later, or from outside, finds the same modules. A checkout has no such file: there the
// files themselves are loaded, as they are.

const fs = require('node:fs');
const path = require('node:path');

const LIB = path.join(__dirname, '..', 'lib');
const TARGET = path.join(LIB, 'start.js');
const FIRST = '/logger.js';
/** Also what only a start with options loads, and a start after a crash: the rest is a few microseconds of parsing. */
const PARTS = Object.freeze([
  FIRST, '/config.js', '/env.js', '/option-types.js', '/config-errors.js', '/host-rule.js', '/hub.js', '/orphans.js',
  '/hooks/undici.js', '/hooks/fetch.js', '/hooks/http.js', '/hooks/http2.js', '/hooks/http-taps.js',
]);

/** @param {string} part */
function partText(part) {
  const text = fs.readFileSync(path.join(LIB, part), 'utf8');
  /** What it names by a path of its own → the same from lib. @type {Record<string, string>} */
  const links = {};
  for (const [, id] of text.matchAll(/\brequire\('(\.[^']+)'\)/g)) links[id] = path.posix.join(path.posix.dirname(part), id);
  return `${JSON.stringify(part)}: [${JSON.stringify(links)}, function (exports, require, module, __filename, __dirname) {\n${text}}],\n`;
}

const text = () => `'use strict';

// Made of the files named below by scripts/pack-start.js of the repository.

const { constructor: Module } = module;
const { cache } = require;
const parts = {
__proto__: null,
${PARTS.map(partText).join('')}};

function load(part) {
  const file = __dirname + part;
  const known = cache[file];
  if (known !== undefined) return known.exports;
  const own = cache[file] = new Module(file, module);
  own.filename = file;
  own.paths = module.paths;
  const [links, run] = parts[part];
  const find = (id) => {
    const link = links[id];
    if (link === undefined) return require(id);
    return link in parts ? load(link) : require(__dirname + link);
  };
  try {
    run(own.exports, find, own, file, file.slice(0, file.lastIndexOf('/')));
    own.loaded = true;
  } finally {
    if (!own.loaded) delete cache[file];
  }
  return own.exports;
}

module.exports = load(${JSON.stringify(FIRST)});
`;

if (process.argv[2] === '--remove') fs.rmSync(TARGET, { force: true });
else fs.writeFileSync(TARGET, text());
