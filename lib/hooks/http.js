'use strict';

// The way in for node:http and node:https: nothing of them, nor of what watches them, is loaded before the program makes
// its first request. Then http-requests.js takes over, in time to see that request whole.

const diagnostics = require('node:diagnostics_channel');
const { PUBLISHES_CREATION, isLoaded, onFirst } = require('./http-taps.js');

/** @typedef {import('./types').Hub} Hub */

const CREATED = 'http.client.request.created';
/** Loaded by node:http, and by node:https, which does without the former. */
const CLIENT = '_http_client';
/** Set by claude-trace's interceptors on what they have instrumented, so that none does it twice. */
const MARKER = '__claudeTraceInstrumented';

/** @type {Hub | null} null: not installed */
let hub = null;
/** What uninstall undoes. @type {(() => void)[]} */
let undo = [];
/** Modules whose functions carry our marker. @type {Set<string>} */
const marked = new Set();

/** @param {string} id 'http' or 'https' */
function mark(id) {
  if (marked.has(id) || !isLoaded(id)) return;
  marked.add(id);
  const module = require(`node:${id}`);
  for (const method of [module.request, module.get]) method[MARKER] = true;
  undo.push(() => {
    marked.delete(id);
    for (const method of [module.request, module.get]) delete method[MARKER];
  });
}

function onLoaded() {
  if (hub === null) return;
  const { ClientRequest } = require('node:http');
  const { tapRequests } = require('./http-requests.js');
  undo.push(tapRequests(ClientRequest.prototype, hub, () => mark('https')));
  mark('http');
  mark('https');
}

/**
 * The first request's constructor has run: the taps come in time for all but what that has sent.
 * @param {any} message
 */
function onCreated({ request }) {
  try {
    diagnostics.unsubscribe(CREATED, onCreated);
    onLoaded();
    require('./http-requests.js').onConnecting(request);
  } catch (error) {
    hub?.fault('http', error);
  }
}

/** @returns {() => void} */
function watchForFirst() {
  if (PUBLISHES_CREATION) {
    diagnostics.subscribe(CREATED, onCreated);
    return () => diagnostics.unsubscribe(CREATED, onCreated);
  }
  return onFirst('ClientRequest', (prototype) => {
    // Other classes are called so too, http2-wrapper's for one.
    if (!isLoaded(CLIENT) || prototype !== require('node:http').ClientRequest.prototype) return false;
    try {
      onLoaded();
    } catch (error) {
      hub?.fault('http', error);
    }
    return true;
  });
}

/**
 * @param {Hub} target
 * @returns {false | import('./types').Uninstall} false: another recorder has instrumented node:http
 */
function install(target) {
  if (hub !== null) return uninstall;
  if (isLoaded(CLIENT) && MARKER in require('node:http').request) return false;
  hub = target;
  if (isLoaded(CLIENT)) onLoaded();
  else undo.push(watchForFirst());
  return uninstall;
}

function uninstall() {
  hub = null;
  for (const step of undo.splice(0)) step();
}

module.exports = { install };
