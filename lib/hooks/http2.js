'use strict';

// The way in for node:http2's client. A stream is met when it is made: on `http2.client.stream.created`, or where Node does
// not publish that, in `request` of the first session's prototype. Neither class is exported, and nothing of node:http2 is
// loaded by us, nor is what watches its streams, before there is one.

const diagnostics = require('node:diagnostics_channel');
const { PUBLISHES_CREATION, onFirst, tap } = require('./http-taps.js');

/** @typedef {import('./types').Hub} Hub */

const CREATED = 'http2.client.stream.created';

/** @type {Hub | null} null: not installed */
let hub = null;
/** What uninstall undoes. @type {(() => void)[]} */
let undo = [];
/** @type {typeof import('./http-streams.js') | null} */
let streams = null;

/** @param {any} stream */
function onStream(stream) {
  if (hub === null) return;
  try {
    if (streams === null) {
      streams = require('./http-streams.js');
      undo.push(streams.untapStreams);
    }
    streams.onStream(stream, hub);
  } catch (error) {
    hub.fault('http2', error);
  }
}

/** @param {any} message */
function onCreated({ stream }) {
  onStream(stream);
}

/** @returns {() => void} */
function watchForStreams() {
  if (PUBLISHES_CREATION) {
    diagnostics.subscribe(CREATED, onCreated);
    return () => diagnostics.unsubscribe(CREATED, onCreated);
  }
  return onFirst('ClientHttp2Session', (prototype) => {
    if (Object.getPrototypeOf(prototype).constructor.name !== 'Http2Session') return false;
    undo.push(tap(prototype, 'request', (below) => function () {
      const stream = Reflect.apply(below.request, this, arguments);
      onStream(stream);
      return stream;
    }));
    return true;
  });
}

/**
 * @param {Hub} target
 * @returns {import('./types').Uninstall}
 */
function install(target) {
  if (hub !== null) return uninstall;
  hub = target;
  undo.push(watchForStreams());
  return uninstall;
}

function uninstall() {
  hub = null;
  streams = null;
  for (const step of undo.splice(0)) step();
}

module.exports = { install };
