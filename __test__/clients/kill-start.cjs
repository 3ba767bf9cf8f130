'use strict';

// Loaded before the recorder into a process that does nothing but recover, and that is to be killed meanwhile: says when it
// begins and when it is through.

const fs = require('node:fs');
const { TOLD, encode } = require('../../scripts/kill-test/told.js');

const file = fs.openSync(String(process.env.KILL_TEST_ACCOUNT), 'a');
fs.writeSync(file, encode(TOLD.STARTED, 0, 0));
// Listeners are called in the order in which they came: this one after the recorder's, which waits for the recovery.
setImmediate(() => process.on('exit', () => fs.writeSync(file, encode(TOLD.DONE, 0, 0))));
