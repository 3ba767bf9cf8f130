'use strict';

// Waits for the moment of a kill. Without the event loop, which would add its own pauses: a run has a thread to itself.

const fs = require('node:fs');
const path = require('node:path');
const { RECORD, TOLD } = require('./told.js');

/** @typedef {import('./run.js').Place} Place */
/** @typedef {import('./plan.js').Moment} Moment */

/** A moment may never come: fewer appends than that, nothing to remove. */
const PATIENCE_MS = 300;
/** Until the first news: how long Node takes to start says nothing of where a kill will fall. */
const FIRST_PATIENCE_MS = 5000;
const NAP_MS = 0.1;
const nothing = new Int32Array(new SharedArrayBuffer(4));

/**
 * Looks at what changes on disk until the moment has come, the process has ended by itself, or patience has.
 * @param {Moment} moment @param {Place} place
 */
function waitFor(moment, place) {
  const { account } = place;
  const before = sizeOf(account);
  if (moment.after === 'session') {
    until(() => filesIn(place.spool).length > 0, FIRST_PATIENCE_MS, true);
  } else {
    until(() => sizeOf(account) > before, FIRST_PATIENCE_MS, true);
    const has = CONDITIONS[moment.after](moment.count, place);
    // An append takes some microseconds: whoever waits for one does not sleep.
    const naps = moment.after !== 'appends' && moment.after !== 'removal';
    let looks = 0;
    until(() => has() || (looks++ % 16 === 0 && hasEnded(account)), moment.after === 'time' ? moment.count : PATIENCE_MS, naps);
  }
  const end = performance.now() + moment.spinMicros / 1000;
  while (performance.now() < end);
}

/** @param {() => boolean} has @param {number} patienceMs @param {boolean} naps */
function until(has, patienceMs, naps) {
  const deadline = performance.now() + patienceMs;
  while (performance.now() < deadline && !has()) {
    if (naps) Atomics.wait(nothing, 0, 0, NAP_MS);
  }
}

/** @type {Record<Exclude<Moment['after'], 'session'>, (count: number, place: Place) => () => boolean>} */
const CONDITIONS = {
  told(count, { account }) {
    const end = sizeOf(account) + (count - 1) * RECORD;
    return () => sizeOf(account) >= end;
  },
  appends(count, { logs }) {
    /** @type {string[]} */
    let known = [];
    let looks = 0;
    // New logs are rare, and looking for them takes longer than an append.
    const sizes = () => {
      if (looks++ % 16 === 0) known = filesIn(logs).map((name) => path.join(logs, name));
      return known.reduce((sum, file) => sum + sizeOf(file), 0);
    };
    return changes(sizes, count);
  },
  segments: (count, place) => changes(() => filesOfSpool(place), count),
  removal(count, place) {
    let before = filesOfSpool(place);
    let gone = 0;
    return () => {
      const now = filesOfSpool(place);
      gone += Math.max(0, before - now);
      before = now;
      return gone >= count;
    };
  },
  done: () => () => false,
  time: () => () => false,
};

/** @param {() => number} measure @param {number} count */
function changes(measure, count) {
  let before = measure();
  let left = count;
  return () => {
    const now = measure();
    if (now !== before) left--;
    before = now;
    return left <= 0;
  };
}

/** @param {string} account */
function hasEnded(account) {
  const last = Buffer.alloc(RECORD);
  const file = fs.openSync(account, 'r');
  fs.readSync(file, last, 0, RECORD, Math.max(0, fs.fstatSync(file).size - RECORD));
  fs.closeSync(file);
  return last.readUInt32LE(0) === TOLD.DONE;
}

/** Segments and records of sessions, overflow included. @param {Place} place */
function filesOfSpool({ spool, logs }) {
  const roots = [spool, path.join(logs, '.spool')];
  const folders = roots.flatMap((root) => filesIn(root).map((name) => path.join(root, name)));
  return folders.reduce((sum, folder) => sum + filesIn(folder).length, 0);
}

/** @param {string} folder */
function filesIn(folder) {
  try {
    return fs.readdirSync(folder);
  } catch {
    return []; // not yet, or no longer
  }
}

/** @param {string} file */
const sizeOf = (file) => fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;

module.exports = { waitFor, filesIn };
