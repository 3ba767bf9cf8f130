'use strict';

// Every option in one table: index.d.ts and docs/configuration.md are tested against it. A bad value in code is an error
// of the programmer and throws; a bad variable belongs to the environment of a host that is not ours to bring down, so
// it becomes one warning and the default.
//
// What judges, reads and refuses values is loaded when there is a value: most processes start with none.

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/**
 * @typedef {object} Option
 * @property {string | null} name key in code (`group.key` for the nested ones); null: variable only
 * @property {string} env
 * @property {'boolean' | 'integer' | 'choice' | 'directory' | 'name' | 'hosts'} type
 * @property {boolean | number | string | readonly string[] | undefined} default
 * @property {number} [min]
 * @property {number} [max]
 * @property {readonly string[]} [choices] of an integer: the words that may stand in its place
 * @property {string} doc its effect
 */

/** @type {readonly Option[]} */
const OPTIONS = [
  {
    name: 'logDirectory', env: 'CLAUDE_TRACE_LOG_DIR', type: 'directory', default: '.claude-trace',
    doc: 'Folder of the logs, created when needed. Relative to the working directory when the logger is made; a later `chdir` changes nothing.',
  },
  {
    name: 'logBaseName', env: 'CLAUDE_TRACE_LOG_NAME', type: 'name', default: undefined,
    doc: 'Name of the log file without its `.jsonl` (which is taken off if given). A plain file name: it cannot lead out of the folder. When unset: `log-YYYY-MM-DD-HH-MM-SS` in UTC.',
  },
  {
    name: 'enableRealTimeHTML', env: 'CLAUDE_TRACE_REAL_TIME_HTML', type: 'boolean', default: true,
    doc: 'Accepted for compatibility. No HTML is written yet, whatever it says.',
  },
  {
    name: 'logLevel', env: 'CLAUDE_TRACE_LOG_LEVEL', type: 'choice', default: 'info', choices: ['debug', 'info', 'warn', 'error', 'silent'],
    doc: 'What is said on stderr. `error`: that nothing can be recorded. `warn`: also values that were ignored, standard mode that took over, a log that is incomplete. `info`: nothing more yet. `debug`: also the log file, what was recovered from processes that had died, the hooks and their faults. An undisturbed run prints nothing, except at `debug`.',
  },
  {
    name: 'includeAllRequests', env: 'CLAUDE_TRACE_INCLUDE_ALL_REQUESTS', type: 'boolean', default: false,
    doc: 'Record every path on the hosts that are recorded at all, not only the LLM calls.',
  },
  {
    name: 'hosts', env: 'CLAUDE_TRACE_HOSTS', type: 'hosts', default: [],
    doc: 'Further hosts, of which every path is recorded. In the variable: separated by commas.',
  },
  {
    name: 'spoolDir', env: 'CLAUDE_TRACE_SPOOL_DIR', type: 'directory', default: undefined,
    doc: 'Folder of the crash-proof buffer. When unset: `runtimeDir`, or the log folder in a container and where there is no room.',
  },
  {
    name: 'runtimeDir', env: 'CLAUDE_TRACE_RUNTIME_DIR', type: 'directory', default: undefined,
    doc: 'Private folder in shared memory where buffers live, or are registered so that any start by the same user finds them. When unset: `/dev/shm/claude-trace-<uid>`.',
  },
  {
    name: 'maxSpoolBytes', env: 'CLAUDE_TRACE_MAX_SPOOL_BYTES', type: 'integer', default: 512 * MIB, min: MIB, max: 1024 * GIB,
    doc: 'Upper bound of the buffer, in bytes, when the log cannot be written as fast as the traffic comes. What does not fit is dropped and counted. No less than `memoryPoolSize`; the one of the two that is not given follows the other.',
  },
  {
    name: 'maxDecodedBytes', env: 'CLAUDE_TRACE_MAX_DECODED_BYTES', type: 'integer', default: 256 * MIB, min: MIB, max: 4 * GIB,
    doc: 'Largest body, in bytes, that is decompressed for the log. A larger one (a decompression bomb) is kept as it was received.',
  },
  {
    name: 'whenFull', env: 'CLAUDE_TRACE_WHEN_FULL', type: 'choice', default: 'spill', choices: ['spill', 'drop-newest'],
    doc: 'What happens when the pool is full because the log cannot be written as fast as the traffic comes. `spill`: further segments on the disk of the log folder, up to `maxSpoolBytes`. `drop-newest`: what does not fit is dropped and counted. Nothing ever waits.',
  },
  {
    name: 'durability', env: 'CLAUDE_TRACE_DURABILITY', type: 'choice', default: 'os', choices: ['os', 'interval', 'always'],
    doc: 'When the log is forced to the disk, for the case of a power loss: when the system does it, `fsyncIntervalMs` after a write at the latest, or with each write. The death of the process costs nothing in any case.',
  },
  {
    name: 'fsyncIntervalMs', env: 'CLAUDE_TRACE_FSYNC_INTERVAL_MS', type: 'integer', default: 1000, min: 1, max: 3_600_000,
    doc: 'Milliseconds for `durability: "interval"`.',
  },
  {
    name: 'retry.maxAttempts', env: 'CLAUDE_TRACE_RETRY_MAX_ATTEMPTS', type: 'integer', default: 0, min: 0, max: 1_000_000,
    doc: 'Attempts at a write after which its records go to `<log>.dead-letters.jsonl` with the reason. 0: no limit, since the buffer holds them and the next start tries again.',
  },
  {
    name: 'retry.baseDelayMs', env: 'CLAUDE_TRACE_RETRY_BASE_DELAY_MS', type: 'integer', default: 50, min: 1, max: 3_600_000,
    doc: 'Milliseconds before a failed write is tried again; doubles with each failure, and each delay is shortened by up to half at random.',
  },
  {
    name: 'retry.maxDelayMs', env: 'CLAUDE_TRACE_RETRY_MAX_DELAY_MS', type: 'integer', default: 5000, min: 1, max: 3_600_000,
    doc: 'The longest of these delays, in milliseconds.',
  },
  {
    name: 'exitDrainMs', env: 'CLAUDE_TRACE_EXIT_DRAIN_MS', type: 'integer', default: 2000, min: 0, max: 60_000,
    doc: 'How long the exit of the process, or `cleanup()`, waits for the log at most, in milliseconds. What is not written by then is completed by the next start.',
  },
  {
    name: 'interceptorTimeoutMs', env: 'CLAUDE_TRACE_INTERCEPTOR_TIMEOUT_MS', type: 'integer', default: 1000, min: 1, max: 60_000,
    doc: 'How long a record waits for the answer of an interceptor (`logger.use`), in milliseconds. One that has not answered by then is left out of that exchange. The exit of the process waits no longer than `exitDrainMs` for both.',
  },
  {
    name: 'zeroLatency.enabled', env: 'CLAUDE_TRACE_ZERO_LATENCY', type: 'boolean', default: true,
    doc: 'Zero-latency mode: records are made and written in the background. `false` is standard mode: the same capture, each record written through at once. `zeroLatency: false` in code is short for it.',
  },
  {
    name: 'zeroLatency.backgroundWorkers', env: 'CLAUDE_TRACE_ZERO_LATENCY_WORKERS', type: 'integer', default: 1, min: 1, max: 64, choices: ['auto'],
    doc: 'Threads that decode bodies and make records. `auto`: one, and more while the queue of finished exchanges does not empty, up to half the cores and four.',
  },
  {
    name: 'zeroLatency.writeBufferSize', env: 'CLAUDE_TRACE_ZERO_LATENCY_BUFFER_SIZE', type: 'integer', default: 100, min: 1, max: 1_000_000,
    doc: 'Records after which the buffered lines are written at the latest.',
  },
  {
    name: 'zeroLatency.writeBufferFlushMs', env: 'CLAUDE_TRACE_ZERO_LATENCY_FLUSH_MS', type: 'integer', default: 100, min: 1, max: 60_000,
    doc: 'Milliseconds after which the buffered lines are written at the latest.',
  },
  {
    name: 'zeroLatency.deferredParsing', env: 'CLAUDE_TRACE_ZERO_LATENCY_DEFERRED_PARSING', type: 'boolean', default: true,
    doc: 'Keep server-sent events (and the streams of Bedrock and Gemini) verbatim and leave their parsing to the reader of the log. `false` also writes what a stream came to into its record: the message, its tokens and times (`derived` in format.md).',
  },
  {
    name: 'zeroLatency.memoryPoolSize', env: 'CLAUDE_TRACE_ZERO_LATENCY_MEMORY_POOL_SIZE', type: 'integer', default: 10 * MIB, min: 65_536, max: 64 * GIB,
    doc: 'Bytes of the buffer that stay mapped for reuse.',
  },
  {
    name: null, env: 'CLAUDE_TRACE_OPEN_BROWSER', type: 'boolean', default: false,
    doc: 'Accepted for compatibility. Nothing is opened yet, whatever it says.',
  },
];

const ZERO_LATENCY = 'zeroLatency';
/** Options that are objects in code. */
const GROUPS = [ZERO_LATENCY, 'retry'];

/**
 * The options with their values. Paths are as given, not yet absolute.
 * @typedef {object} Settings
 * @property {string} logDirectory
 * @property {string | undefined} logBaseName
 * @property {boolean} enableRealTimeHTML
 * @property {'debug' | 'info' | 'warn' | 'error' | 'silent'} logLevel
 * @property {boolean} includeAllRequests
 * @property {readonly string[]} hosts
 * @property {string | undefined} spoolDir
 * @property {string | undefined} runtimeDir
 * @property {number} maxSpoolBytes
 * @property {number} maxDecodedBytes
 * @property {number} exitDrainMs
 * @property {number} interceptorTimeoutMs
 * @property {'spill' | 'drop-newest'} whenFull
 * @property {'os' | 'interval' | 'always'} durability
 * @property {number} fsyncIntervalMs
 * @property {{ maxAttempts: number, baseDelayMs: number, maxDelayMs: number }} retry
 * @property {{ enabled: boolean, backgroundWorkers: number | 'auto', writeBufferSize: number, writeBufferFlushMs: number, deferredParsing: boolean, memoryPoolSize: number }} zeroLatency
 */

/**
 * @param {unknown} config what the program gave; undefined: nothing
 * @param {Record<string, string | undefined>} [env]
 * @returns {{ settings: Settings, problems: string[] }} problems: variables that were ignored, one text each
 * @throws {TypeError | RangeError} with code TRACE_ERR_CONFIG
 */
function resolveConfig(config, env = process.env) {
  const given = flatten(config);
  /** @type {string[]} */
  const problems = [];
  /** @type {Record<string, any>} */
  const settings = Object.fromEntries(GROUPS.map((group) => [group, {}]));
  for (const option of OPTIONS) {
    const fromCode = option.name === null ? undefined : given.get(option.name);
    const text = env[option.env];
    let value;
    if (fromCode !== undefined) value = checked(option, fromCode);
    // An empty variable counts as unset, as it does upstream.
    else if (text) value = require('./env.js').fromEnv(option, text, problems);
    else value = option.default;
    if (option.name === null) continue;
    const dot = option.name.indexOf('.');
    if (dot < 0) settings[option.name] = value;
    else settings[option.name.slice(0, dot)][option.name.slice(dot + 1)] = value;
  }
  if (settings.maxSpoolBytes < settings.zeroLatency.memoryPoolSize) reconcile(/** @type {any} */ (settings), given, problems);
  return { settings: /** @type {any} */ (settings), problems };
}

/**
 * The pool is a part of the spool. Where only one of their sizes was chosen, the other follows it.
 * @param {Settings} settings in which the pool is the larger
 * @param {Map<string, unknown>} given
 * @param {string[]} problems
 */
function reconcile(settings, given, problems) {
  const whole = OPTIONS.find(({ name }) => name === 'maxSpoolBytes');
  const part = OPTIONS.find(({ name }) => name === 'zeroLatency.memoryPoolSize');
  if (settings.zeroLatency.memoryPoolSize === part?.default) settings.zeroLatency.memoryPoolSize = settings.maxSpoolBytes;
  else if (settings.maxSpoolBytes === whole?.default) settings.maxSpoolBytes = settings.zeroLatency.memoryPoolSize;
  else {
    const { notAllowed, show } = messages();
    const allowed = `at least memoryPoolSize (${settings.zeroLatency.memoryPoolSize})`;
    if (given.get('maxSpoolBytes') !== undefined || given.get('zeroLatency.memoryPoolSize') !== undefined) {
      throw notAllowed(RangeError, 'maxSpoolBytes', settings.maxSpoolBytes, allowed);
    }
    problems.push(`${whole?.env}=${show(settings.maxSpoolBytes)} is not ${allowed}: using that`);
    settings.maxSpoolBytes = settings.zeroLatency.memoryPoolSize;
  }
}

/**
 * @param {unknown} config
 * @returns {Map<string, unknown>} by the names of OPTIONS
 */
function flatten(config) {
  const flat = new Map();
  if (config === undefined) return flat;
  for (const [key, value] of entries(config, '')) {
    if (!GROUPS.includes(key)) flat.set(known(key, ''), value);
    else if (key === ZERO_LATENCY && typeof value === 'boolean') flat.set('zeroLatency.enabled', value);
    else if (value !== undefined) {
      for (const [inner, innerValue] of entries(value, key)) flat.set(known(inner, key), innerValue);
    }
  }
  return flat;
}

/**
 * @param {unknown} value
 * @param {string} field
 */
function entries(value, field) {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return Object.entries(value);
  throw messages().notAllowed(TypeError, field || 'config', value, field === ZERO_LATENCY ? 'an object, true or false' : 'an object');
}

/**
 * @param {string} key
 * @param {string} parent
 * @returns {string} the option's name
 */
function known(key, parent) {
  const prefix = parent === '' ? '' : `${parent}.`;
  if (!key.includes('.') && OPTIONS.some((option) => option.name === prefix + key)) return prefix + key;
  throw messages().unknownKey(key, prefix, OPTIONS);
}

/**
 * @param {Option} option
 * @param {unknown} value
 */
function checked(option, value) {
  const { faultOf, normalised, allowed } = require('./option-types.js');
  const fault = faultOf(option, value);
  if (fault === null) return normalised(option, value);
  throw messages().notAllowed(fault, option.name ?? option.env, value, allowed(option));
}

const messages = () => require('./config-errors.js');

module.exports = { resolveConfig, OPTIONS };
