'use strict';

// A thread that does one run after another, with a server of its own: it waits for moments without an event loop, and
// starts to judge while others kill.

const { parentPort, workerData } = require('node:worker_threads');
const { Standin } = require('../../__test__/support/standin.js');
const { run } = require('./run.js');

async function main() {
  const port = /** @type {import('node:worker_threads').MessagePort} */ (parentPort);
  const standin = await Standin.start();
  port.on('message', async (index) => {
    if (index === null) {
      await standin.stop();
      port.close();
      return;
    }
    port.postMessage(await run(workerData.seed, index, { ...workerData, standin }));
  });
  port.postMessage('ready');
}

main();
