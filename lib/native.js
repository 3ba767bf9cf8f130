'use strict';

// Finds the addon. The generated ../native.js knows every platform's package names and takes 1.4 ms; what `npm install`
// or a build has put beside package.json is found here in a tenth of that, and the generated loader stays the fallback
// that serves the optional platform packages.

const fs = require('node:fs');
const path = require('node:path');

const DISABLED = 'ERR_DLOPEN_DISABLED';
const UNUSABLE = 'TRACE_ERR_ADDON';

/** The functions that lib/recorder.js calls: a stale build that lacks one is refused as a whole. */
const FUNCTIONS = Object.freeze([
  'open', 'clockSync', 'prepare', 'begin', 'responseHead', 'chunk', 'mark', 'stats', 'drain', 'close',
  'intercept', 'unintercept', 'take', 'awaitDelivery', 'watched', 'answer', 'endOpen', 'interceptorStats',
]);

/**
 * What is used of the addon; native.d.ts, generated, describes it all and is tested against this.
 *
 * @typedef {object} OpenOptions
 * @property {string} logDirectory absolute
 * @property {string} [logBaseName]
 * @property {string} [logLevel]
 * @property {boolean} zeroLatency
 * @property {number} [backgroundWorkers] as many as the queue needs
 * @property {number} writeBufferSize
 * @property {number} writeBufferFlushMs
 * @property {boolean} deferredParsing
 * @property {number} memoryPoolSize
 * @property {number} maxSpoolBytes
 * @property {number} maxDecodedBytes
 * @property {string} whenFull
 * @property {string} durability
 * @property {number} fsyncIntervalMs
 * @property {number} retryMaxAttempts
 * @property {number} retryBaseDelayMs
 * @property {number} retryMaxDelayMs
 * @property {string} [spoolDir] absolute
 * @property {string} [runtimeDir] absolute
 *
 * @typedef {{ count: number, mean: number, min: number, p50: number, p95: number, p99: number, max: number, withinTarget: number }} Latency ms
 *
 * @typedef {object} NativeStats
 * @property {number} totalPairs
 * @property {number} pendingRequests
 * @property {string} logFile
 * @property {string} mode 'zero-latency' or 'standard'
 * @property {string} [fallback] why standard mode took over
 * @property {Latency} latency
 * @property {Latency} chunkLatency
 * @property {number} queueSize
 * @property {boolean} isProcessing
 * @property {number} tasksProcessed
 * @property {number} workers
 * @property {number} bufferedLines
 * @property {number} bufferUtilization
 * @property {number} memoryBytes
 * @property {number} spoolBytes
 * @property {number} spoolSegments
 * @property {number} poolReused
 * @property {number} poolMapped
 * @property {number} flushes
 * @property {number} flushesPerSecond
 * @property {number} bytesWritten
 * @property {number} drops
 * @property {number} spills
 * @property {number} retries
 * @property {number} deadLetters
 * @property {number} failed
 * @property {number} abandoned
 * @property {number} recovered
 * @property {number} damaged
 * @property {import('../index.js').SseStats} sse
 * @property {number} lastMeasurement
 *
 * @typedef {{ change: string, name: string, value?: string }} NativeHeaderChange
 * @typedef {{ count: number, mean: number, min: number, p50: number, p95: number, p99: number, max: number }} Spread
 *
 * @typedef {object} NativeInterceptor
 * @property {string} name
 * @property {number} order
 * @property {string[]} hosts
 * @property {string[]} paths
 * @property {string[]} methods
 * @property {number} maxEvents
 * @property {number} maxDelayMs
 * @property {number} timeoutMs
 * @property {boolean} hasHandlers
 * @property {boolean} wantsEvents
 * @property {NativeHeaderChange[]} requestHeaders
 * @property {NativeHeaderChange[]} responseHeaders
 * @property {boolean} dedupe
 *
 * @typedef {object} NativeDelivery a hook to be called
 * @property {number} ticket
 * @property {number} exchange
 * @property {number[]} interceptors
 * @property {number} kind 1 request, 2 response, 3 events, 4 end
 * @property {string} [head]
 * @property {number} at epoch ms
 * @property {number} began
 * @property {string} [text]
 * @property {Float64Array} [places]
 * @property {string} [outcome]
 * @property {string} [code]
 * @property {string} [message]
 * @property {number} events
 * @property {number} passed
 *
 * @typedef {{ number?: number, value: string }} NativeNote value: JSON
 *
 * @typedef {object} NativeSaid what one interceptor said
 * @property {number} number
 * @property {number} ms
 * @property {string} [failed]
 * @property {boolean} [leaves]
 * @property {boolean} [late]
 * @property {number[]} [dropped]
 * @property {{ number: number, data?: string, type?: string, id?: string }[]} [replaced]
 * @property {NativeNote[]} [notes]
 * @property {NativeHeaderChange[]} [headers]
 * @property {boolean} [discards]
 *
 * @typedef {{ ticket: number, exchange: number, said: NativeSaid[] }} NativeAnswer
 *
 * @typedef {object} NativeInterceptorStats
 * @property {number} exchanges
 * @property {number} batches
 * @property {number} events
 * @property {number} dropped
 * @property {number} replaced
 * @property {number} annotated
 * @property {number} passed
 * @property {number} overruns
 * @property {number} late
 * @property {number} duplicates
 * @property {number} errors
 * @property {number} discarded
 * @property {Spread} batchSize
 * @property {Spread} delay
 * @property {{ name: string, order: number, batches: number, events: number, errors: number, late: number, totalMs: number, call: Spread }[]} interceptors
 *
 * @typedef {object} Native
 * @property {(options: OpenOptions) => number} open
 * @property {(offsetNs: number, nowMs: number) => void} clockSync
 * @property {(handle: number) => void} prepare
 * @property {(handle: number, source: number, origin: string, head: string, bodyLength: number, t0: number, asked: number) => number} begin
 * @property {(handle: number, id: number, status: number, reason: string, fields: ArrayBufferLike, start: number, length: number, t0: number) => void} responseHead
 * @property {(handle: number, id: number, kind: number, bytes: Uint8Array, t0: number) => void} chunk
 * @property {(handle: number, id: number, kind: number, text: string, t0: number) => void} mark
 * @property {(handle: number) => NativeStats | null} stats null: not a handle, or no longer
 * @property {(handle: number, deadlineMs: number) => boolean} drain
 * @property {(handle: number, atExit: boolean, deadlineMs: number) => boolean} close
 * @property {(handle: number, interceptor: NativeInterceptor, wake: () => void) => number} intercept
 * @property {(handle: number, number: number) => void} unintercept
 * @property {(handle: number, most: number) => NativeDelivery[]} take
 * @property {(handle: number, deadlineMs: number) => boolean} awaitDelivery blocks
 * @property {(handle: number) => number} watched
 * @property {(handle: number, answers: NativeAnswer[]) => void} answer
 * @property {(handle: number, atExit: boolean, deadlineMs: number) => void} endOpen
 * @property {(handle: number) => NativeInterceptorStats | null} interceptorStats
 */

/**
 * C libraries are tried in turn instead of being detected: `process.report` takes longer than a failed dlopen, and as a
 * rule only one file is there.
 */
function candidates() {
  const stem = `claude-trace-native.${process.platform}-${process.arch}`;
  const suffixes = process.platform === 'linux' ? ['-gnu', '-musl'] : process.platform === 'win32' ? ['-msvc'] : [''];
  return suffixes.map((suffix) => path.join(__dirname, '..', `${stem}${suffix}.node`)).filter((file) => fs.existsSync(file));
}

/**
 * @returns {Native}
 * @throws {Error} with code TRACE_ERR_ADDON, naming the reason and what to do
 */
function loadNative() {
  /** @type {any} */
  let reason = null;
  for (const file of candidates()) {
    try {
      return complete(require(file), file);
    } catch (error) {
      reason ??= error;
    }
  }
  try {
    return complete(require('../native.js'), 'native.js');
  } catch (error) {
    // Of a file that is missing it speaks at length, and that is known already.
    const { code } = /** @type {any} */ (error);
    if (code === DISABLED || code === UNUSABLE) reason ??= error;
  }
  throw Object.assign(new Error(explain(reason)), { code: UNUSABLE, cause: reason });
}

/**
 * @param {any} native
 * @param {string} file
 * @returns {Native}
 */
function complete(native, file) {
  const missing = FUNCTIONS.filter((name) => typeof native[name] !== 'function');
  if (missing.length > 0) {
    throw Object.assign(new Error(`${file} is of another version: it lacks ${missing.join(', ')}`), { code: UNUSABLE });
  }
  return native;
}

/** @param {any} reason null: there is no file */
function explain(reason) {
  if (reason?.code === DISABLED) return 'addons are disabled in this process: start node with --allow-addons, or without --no-addons';
  const platform = `${process.platform}-${process.arch}`;
  const what = reason === null ? `there is no addon for ${platform}` : `the addon for ${platform} cannot be loaded (${firstLine(reason)})`;
  return `${what}: run "npm rebuild claude-trace-native", or "npm run build" in a checkout`;
}

/** @param {any} reason */
const firstLine = (reason) => String(reason?.message ?? reason).split('\n', 1)[0];

module.exports = { loadNative };
