'use strict';

// From settings to a chain of the addon's. Loaded when the first exchange that is to be recorded is on its way or when someone
// asks for the numbers: most processes that run with us talk to no LLM.

const { now } = require('./clock.js');
const { loadNative } = require('./native.js');

const CLOCK_SAMPLES = 16;

/**
 * @param {import('./config.js').Settings} settings with absolute paths
 * @returns {{ native: import('./native.js').Native, handle: number }}
 * @throws {Error} with a code TRACE_ERR_*
 */
function openChain({ zeroLatency, retry, ...settings }) {
  const native = loadNative();
  native.clockSync(clockOffset(), now());
  const handle = native.open({
    logDirectory: settings.logDirectory,
    logBaseName: settings.logBaseName,
    logLevel: settings.logLevel,
    zeroLatency: zeroLatency.enabled,
    backgroundWorkers: zeroLatency.backgroundWorkers === 'auto' ? undefined : zeroLatency.backgroundWorkers,
    writeBufferSize: zeroLatency.writeBufferSize,
    writeBufferFlushMs: zeroLatency.writeBufferFlushMs,
    deferredParsing: zeroLatency.deferredParsing,
    memoryPoolSize: zeroLatency.memoryPoolSize,
    maxSpoolBytes: settings.maxSpoolBytes,
    maxDecodedBytes: settings.maxDecodedBytes,
    whenFull: settings.whenFull,
    durability: settings.durability,
    fsyncIntervalMs: settings.fsyncIntervalMs,
    retryMaxAttempts: retry.maxAttempts,
    retryBaseDelayMs: retry.baseDelayMs,
    retryMaxDelayMs: retry.maxDelayMs,
    spoolDir: settings.spoolDir,
    runtimeDir: settings.runtimeDir,
  });
  return { native, handle };
}

/**
 * `process.hrtime()` minus `performance.now()`, nanoseconds. The two are read in turn; the closest three readings are right
 * to half the time between them, some 50 ns.
 */
function clockOffset() {
  let offset = 0;
  let closest = Infinity;
  for (let i = 0; i < CLOCK_SAMPLES; i++) {
    const before = process.hrtime.bigint();
    const middle = now();
    const between = Number(process.hrtime.bigint() - before);
    if (between >= closest) continue;
    closest = between;
    offset = Number(before) + between / 2 - middle * 1e6;
  }
  return offset;
}

module.exports = { openChain };
