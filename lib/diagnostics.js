'use strict';

// What we say, always on stderr and always one line. Written to the descriptor itself: `process.stderr` is the host's
// object (it may be patched, and its first use builds a stream), and in a worker thread it would pass through the main
// thread's loop. Nobody may depend on a line of ours: a full or closed pipe loses it.

const LEVELS = Object.freeze({ debug: 0, info: 1, warn: 2, error: 3, silent: 4 });

/** @typedef {keyof typeof LEVELS} LogLevel */

const SAID_KEY = 'claude-trace-native.said';

/** @type {Set<string>} lines of this JS environment */
const said = new Set();

class Diagnostics {
  #threshold;

  /** @param {LogLevel} level */
  constructor(level) {
    this.#threshold = LEVELS[level];
  }

  /** @param {Exclude<LogLevel, 'silent'>} level */
  shows(level) {
    return LEVELS[level] >= this.#threshold;
  }

  /**
   * @param {Exclude<LogLevel, 'silent'>} level
   * @param {string} text
   */
  say(level, text) {
    if (this.shows(level)) writeLine(text);
  }

  /**
   * For what concerns the process: said once in it. A worker thread runs the loader again and finds the same faults; it
   * keeps quiet about what the thread that started it has said.
   * @param {Exclude<LogLevel, 'silent'>} level
   * @param {string} text
   */
  sayOnce(level, text) {
    if (!this.shows(level) || said.has(text)) return;
    said.add(text);
    if (isFirstInProcess(text)) writeLine(text);
  }
}

/**
 * @param {string} text
 * @returns {boolean} and hands the knowledge down to the threads that this one starts from now on
 */
function isFirstInProcess(text) {
  try {
    // Loaded here and not above: it costs start-up time that only an unhappy start pays.
    const { getEnvironmentData, setEnvironmentData } = require('node:worker_threads');
    const inherited = getEnvironmentData(SAID_KEY);
    const lines = Array.isArray(inherited) ? inherited : [];
    if (lines.includes(text)) return false;
    setEnvironmentData(SAID_KEY, [...lines, text]);
  } catch {
    // Better twice than never.
  }
  return true;
}

/** @param {string} text */
function writeLine(text) {
  try {
    // A value from the environment may hold line breaks or terminal escapes.
    require('node:fs').writeSync(2, `claude-trace: ${text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')}\n`);
  } catch {
    // EAGAIN, EPIPE, EBADF: see above.
  }
}

exports.Diagnostics = Diagnostics;
exports.writeLine = writeLine;
