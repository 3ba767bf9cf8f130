'use strict';

// Waits for the rest of the machine to be quiet, and takes a sample again that something else ran beside. What decides is
// the CPU time of the others and never the result, so that no variant gains by it.

const os = require('node:os');
const { setTimeout: sleep } = require('node:timers/promises');

/** Others may keep so many cores at work. */
const TOLERATED_CORES = 0.5;

/** How long a look at the machine takes. */
const LOOK_MS = 100;

const MAX_TRIES = 4;

/** CPU time of everything that runs, since the start of the machine. */
const machineBusyMs = () => os.cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);

/**
 * @template T
 * @param {() => Promise<T>} work
 * @param {(result: T) => number} ownCpuMs
 * @returns {Promise<T & { othersCores: number }>} cores that were kept at work by others meanwhile
 */
async function watched(work, ownCpuMs) {
  const busyMs = machineBusyMs();
  const at = performance.now();
  const result = await work();
  const others = machineBusyMs() - busyMs - ownCpuMs(result);
  // The kernel counts in ticks of up to 10 ms.
  return { ...result, othersCores: Math.max(0, others / (performance.now() - at)) };
}

class Patience {
  #leftMs;

  /** @param {number} seconds for all waiting and all repetitions of a run together */
  constructor(seconds) {
    this.#leftMs = seconds * 1e3;
  }

  /**
   * @template {{ othersCores: number }} T
   * @param {() => Promise<T>} take
   * @returns {Promise<T>} the first one that was not disturbed, or the last
   */
  async take(take) {
    for (let tries = 1; ; tries++) {
      await this.#untilQuiet();
      const at = performance.now();
      const sample = await take();
      if (sample.othersCores <= TOLERATED_CORES || tries === MAX_TRIES || this.#leftMs <= 0) return sample;
      this.#leftMs -= performance.now() - at;
    }
  }

  async #untilQuiet() {
    while (this.#leftMs > 0) {
      const look = await watched(() => sleep(LOOK_MS, {}), () => 0);
      if (look.othersCores <= TOLERATED_CORES) return;
      this.#leftMs -= LOOK_MS;
    }
  }
}

module.exports = { Patience, TOLERATED_CORES, watched };
