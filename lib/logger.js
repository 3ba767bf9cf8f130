'use strict';

// The public facade: what claude-trace's ClaudeTrafficLogger was, over the hooks and the addon. Two kinds of failure are
// kept apart. A bad option in code throws, as any misuse of an API does. Whatever else keeps us from recording (a missing
// addon, a folder that cannot be written, a full disk) is none of the host's business: one line on stderr, and it runs on.

//
// Until there is something to record nothing is loaded that is needed only then: the addon, the rules, the recorder.

const path = require('node:path');
const { resolveConfig } = require('./config.js');
const { existingHub, sharedHub } = require('./hub.js');

const FETCH_HOOKS = Object.freeze(['undici', 'fetch']);
const NODE_HTTP_HOOKS = Object.freeze(['http', 'http2']);

/**
 * @typedef {import('./config.js').Settings} Settings
 * @typedef {import('./native.js').NativeStats} NativeStats
 * @typedef {import('./recorder.js').Recorder} Recorder
 */

/**
 * Says something in the name of a logger, which has no public method for it.
 * @type {(logger: ClaudeTrafficLogger, text: string) => void}
 */
let warnAs;

class ClaudeTrafficLogger {
  static {
    warnAs = (logger, text) => logger.#diagnostics.say('warn', text);
  }

  /** @type {Settings} */
  #settings;
  /** @type {import('./diagnostics.js').Diagnostics | null} made when there is something to say: as a rule never */
  #lazyDiagnostics = null;
  /** @type {import('./match.js').Matcher | null} made for the first request of the host */
  #matcher = null;
  /** @type {Recorder | null} made for the first exchange that is to be recorded */
  #recorder = null;
  /** @type {string | null} why nothing can be recorded */
  #reason = null;
  /** @type {import('./hub.js').Member | null} us in the hub, from the first instrument call on */
  #member = null;
  /** @type {import('./interceptors/index.js').Interceptors | null} from the first `use` on */
  #interceptors = null;
  #finished = false;
  /** After #finished, once interceptors have answered. */
  #isClosed = false;
  /** What `cleanup` returns. */
  #closed = Promise.resolve();

  /** @param {import('../index.js').InterceptorConfig} [config] */
  constructor(config) {
    const { settings, problems } = resolveConfig(config);
    // Here, so that a later chdir does not move them.
    settings.logDirectory = path.resolve(settings.logDirectory);
    if (settings.spoolDir !== undefined) settings.spoolDir = path.resolve(settings.spoolDir);
    if (settings.runtimeDir !== undefined) settings.runtimeDir = path.resolve(settings.runtimeDir);
    this.#settings = settings;
    if (problems.length > 0) this.#diagnostics.sayOnce('warn', problems.join('; '));
  }

  get #diagnostics() {
    return (this.#lazyDiagnostics ??= new (require('./diagnostics.js').Diagnostics)(this.#settings.logLevel));
  }

  /** @returns {Recorder} */
  #made() {
    return (this.#recorder ??= new (require('./recorder.js').Recorder)(() => {
      try {
        const opened = require('./open.js').openChain(this.#settings);
        if (!this.#isClosed) this.#interceptors?.connect(opened);
        return opened;
      } catch (error) {
        this.#reason = messageOf(error);
        this.#diagnostics.sayOnce('error', `nothing is recorded: ${this.#reason}`);
        return null;
      }
    }));
  }

  /** @type {import('./hub.js').Member['recorderFor']} */
  #recorderFor(origin, target, method) {
    this.#matcher ??= new (require('./match.js').Matcher)(this.#settings, (text) => this.#diagnostics.sayOnce('warn', text));
    return this.#matcher.matches(origin, target, method) && this.#reason === null ? this.#made() : null;
  }

  instrumentAll() {
    this.#instrument([...FETCH_HOOKS, ...NODE_HTTP_HOOKS]);
  }

  instrumentFetch() {
    this.#instrument(FETCH_HOOKS);
  }

  instrumentNodeHTTP() {
    this.#instrument(NODE_HTTP_HOOKS);
  }

  /**
   * @param {import('../index.js').Interceptor | import('../index.js').LegacyInterceptor} interceptor
   * @param {import('../index.js').LegacyInterceptorOptions} [options]
   * @returns {() => void}
   */
  use(interceptor, options) {
    if (this.#interceptors === null) {
      const { Interceptors } = require('./interceptors/index.js');
      this.#interceptors = new Interceptors(this.#settings.interceptorTimeoutMs, (text) => this.#diagnostics.say('debug', text));
      this.#interceptors.connect(this.#recorder?.port ?? null);
    }
    return this.#interceptors.add(interceptor, options);
  }

  cleanup() {
    return this.#finish(false);
  }

  getStats() {
    const hookFaults = existingHub()?.faults ?? 0;
    return require('./report.js').toStats(this.#numbers(), this.#reason, hookFaults, this.#interceptorNumbers());
  }

  getZeroLatencyReport() {
    return require('./report.js').toReport(this.getStats().zeroLatency);
  }

  /** @param {readonly string[]} hooks */
  #instrument(hooks) {
    if (this.#finished) return;
    const isFirst = this.#member === null;
    this.#member ??= {
      recorderFor: (origin, target, method) => this.#recorderFor(origin, target, method),
      debug: (text) => this.#diagnostics.say('debug', text),
      finish: () => this.#finish(true),
    };
    const taken = sharedHub().attach(this.#member, hooks);
    if (isFirst && require('./orphans.js').mayHaveOrphans(this.#settings)) this.#made().opens();
    if (taken.length > 0) {
      const where = taken.join(', ');
      this.#diagnostics.sayOnce('warn', `another recorder is in place at ${where}: what passes there may be in its log alone`);
    }
    if (this.#settings.logLevel === 'debug') this.#describe(hooks.filter((name) => !taken.includes(name)));
  }

  /** @param {readonly string[]} hooks */
  #describe(hooks) {
    const native = this.#numbers();
    this.#diagnostics.say('debug', `recording ${hooks.join(', ')} in ${native?.mode} mode to ${native?.logFile}`);
    if (this.#settings.enableRealTimeHTML) {
      this.#diagnostics.say('debug', 'enableRealTimeHTML has no effect yet: HTML comes with a later version');
    }
  }

  /**
   * @param {boolean} atExit
   * @returns {Promise<void>} waits only for interceptors that answer later
   */
  #finish(atExit) {
    if (this.#finished) return this.#closed;
    this.#finished = true;
    const hub = existingHub();
    if (this.#member !== null) hub?.detach(this.#member);
    if (hub?.singleton?.logger === this) hub.singleton.finished = true;
    const later = this.#finishInterceptors(atExit);
    if (later === null) this.#close(atExit);
    else {
      const close = () => this.#close(false);
      process.once('exit', close);
      this.#closed = later.then(() => {
        process.off('exit', close);
        close();
      });
    }
    return this.#closed;
  }

  /** @param {boolean} atExit */
  #finishInterceptors(atExit) {
    try {
      return this.#interceptors?.finish(atExit, this.#settings.exitDrainMs) ?? null;
    } catch (error) {
      this.#diagnostics.say('debug', `interceptors failed: ${messageOf(error)}`);
      return null;
    }
  }

  /** @param {boolean} atExit */
  #close(atExit) {
    this.#isClosed = true;
    const recorder = this.#recorder;
    if (recorder === null) return;
    this.#interceptors?.close();
    try {
      const { exitDrainMs } = this.#settings;
      // A log that cannot be written was told of by the addon, when that began.
      if (!recorder.close(atExit, exitDrainMs) && recorder.stats()?.retries === 0) {
        this.#diagnostics.say('warn', `the log was not complete after ${exitDrainMs} ms: the next start completes it from the spool`);
      }
    } catch (error) {
      this.#diagnostics.say('error', `the log could not be completed: ${messageOf(error)}`);
    }
  }

  #interceptorNumbers() {
    try {
      return this.#recorder?.interceptorStats() ?? null;
    } catch {
      return null;
    }
  }

  /** @returns {NativeStats | null} */
  #numbers() {
    try {
      const recorder = this.#made();
      recorder.opens();
      if (this.#isClosed) recorder.close(false, 0);
      return recorder.stats();
    } catch {
      return null;
    }
  }
}

/** @param {unknown} error */
const messageOf = (error) => (error instanceof Error ? error.message : String(error));

/**
 * @param {import('../index.js').InterceptorConfig} [config]
 * @returns {ClaudeTrafficLogger}
 */
function initializeInterceptor(config) {
  const first = existingHub()?.singleton;
  if (first && !first.finished) {
    first.warn('initializeInterceptor() was called again: the first logger goes on, the new config is ignored');
    return first.logger;
  }
  const logger = new ClaudeTrafficLogger(config);
  sharedHub().singleton = { logger, warn: (text) => warnAs(logger, text), finished: false };
  logger.instrumentAll();
  return logger;
}

/** @returns {ClaudeTrafficLogger | null} */
function getLogger() {
  return existingHub()?.singleton?.logger ?? null;
}

exports.ClaudeTrafficLogger = ClaudeTrafficLogger;
exports.initializeInterceptor = initializeInterceptor;
exports.getLogger = getLogger;
