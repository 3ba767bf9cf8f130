'use strict';

const { fork } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');

/**
 * @typedef {object} Server
 * @property {string} origin
 * @property {() => Promise<{ requests: number, busyMs: number, cpuMs: number }>} account since its start; busyMs: its JS
 *   thread was not idle
 * @property {() => Promise<void>} close
 */

/**
 * @param {string} [execPath] the Node it runs on
 * @returns {Promise<Server>}
 */
async function startServer(execPath = process.execPath) {
  const child = fork(path.join(__dirname, 'server.js'), { execPath, stdio: ['ignore', 'ignore', 'inherit', 'ipc'], execArgv: [] });
  const [{ port }] = await once(child, 'message');
  /** Questions are put one after another, since answers carry no number. @type {Promise<any>} */
  let last = Promise.resolve();
  const ask = async () => {
    const answer = once(child, 'message');
    child.send('account');
    return (await answer)[0];
  };
  return {
    origin: `http://127.0.0.1:${port}`,
    account: () => (last = last.then(ask)),
    async close() {
      const exit = once(child, 'exit');
      child.disconnect();
      await exit;
    },
  };
}

module.exports = { startServer };
