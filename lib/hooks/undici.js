'use strict';

// The way in for undici, so for Node's fetch too: what records its requests is loaded when the first one is created.

const diagnostics = require('node:diagnostics_channel');

/** @typedef {import('./types').Hub} Hub */

const CREATED = 'undici:request:create';

/** @type {Hub | null} null: not installed, or what records the requests has taken over */
let hub = null;
/** @type {(() => void) | null} null: not installed */
let undo = null;
/** A channel that nobody holds may be collected with its subscribers: nodejs/node#42170. @type {unknown} */
let channel = null;

/** @param {any} message */
function onFirst(message) {
  if (hub === null) return;
  try {
    const before = process.hrtime();
    const requests = require('./undici-requests.js');
    unwatch();
    const [seconds, nanoseconds] = process.hrtime(before);
    undo = requests.watch(hub, seconds * 1e3 + nanoseconds / 1e6);
    hub = null;
    requests.onCreate(message);
  } catch (error) {
    hub?.fault('undici', error);
  }
}

function unwatch() {
  diagnostics.unsubscribe(CREATED, onFirst);
  channel = null;
}

/**
 * @param {Hub} target
 * @returns {import('./types').Uninstall}
 */
function install(target) {
  if (undo !== null) return uninstall;
  hub = target;
  channel = diagnostics.channel(CREATED);
  diagnostics.subscribe(CREATED, onFirst);
  undo = unwatch;
  return uninstall;
}

function uninstall() {
  hub = null;
  undo?.();
  undo = null;
}

module.exports = { install };
