'use strict';

// From settings to a recorder. Loaded with the addon, when the first exchange that is to be recorded begins or when someone
// asks for the numbers: most processes that run with us talk to no LLM.

const { loadNative } = require('./native.js');
const { Recorder } = require('./recorder.js');

/**
 * @param {import('./config.js').Settings} settings with absolute paths
 * @returns {Recorder}
 * @throws {Error} with a code TRACE_ERR_*
 */
function openRecorder({ zeroLatency, retry, ...settings }) {
  return new Recorder(loadNative(), {
    logDirectory: settings.logDirectory,
    logBaseName: settings.logBaseName,
    logLevel: settings.logLevel,
    zeroLatency: zeroLatency.enabled,
    backgroundWorkers: zeroLatency.backgroundWorkers,
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
}

module.exports = { openRecorder };
