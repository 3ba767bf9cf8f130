'use strict';

// Stands in for lib/hooks/*.js: keeps the port that each hook was given, so that a test can act as the hook.

const path = require('node:path');

const NAMES = ['undici', 'http', 'http2', 'fetch'];

/** @param {Record<string, () => false | (() => void)>} [install] what `install` of a hook does instead */
function installFakeHooks(install = {}) {
  /** Ports of the hooks that are in place. @type {Record<string, any>} */
  const ports = {};
  /** @type {string[]} */
  const log = [];
  for (const name of NAMES) {
    const file = path.join(__dirname, '..', '..', 'lib', 'hooks', `${name}.js`);
    const exports = {
      install(port) {
        log.push(`+${name}`);
        if (install[name] !== undefined) return install[name]();
        ports[name] = port;
        return () => {
          log.push(`-${name}`);
          delete ports[name];
        };
      },
    };
    require.cache[file] = /** @type {any} */ ({ id: file, filename: file, loaded: true, exports });
  }
  return { ports, log };
}

module.exports = { installFakeHooks };
