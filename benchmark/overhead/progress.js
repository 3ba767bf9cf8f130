'use strict';

// How far a run has come, on stderr: one line that is written over on a terminal, else a line now and then.

const LINE_EVERY_MS = 30_000;

/** @param {number} ms */
const minutes = (ms) => `${Math.floor(ms / 60_000)}:${String(Math.floor(ms / 1e3) % 60).padStart(2, '0')}`;

class Progress {
  #total;
  #done = 0;
  #start = performance.now();
  #lastLine = this.#start;

  /** @param {number} total samples */
  constructor(total) {
    this.#total = total;
  }

  /** @param {string} what was done */
  step(what) {
    this.#done++;
    const now = performance.now();
    const text = `${this.#done} of ${this.#total} samples, ${minutes(now - this.#start)} min; ${what}`;
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
    else if (now - this.#lastLine >= LINE_EVERY_MS || this.#done === this.#total) {
      this.#lastLine = now;
      process.stderr.write(`${text}\n`);
    }
  }

  end() {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
  }
}

module.exports = { Progress };
