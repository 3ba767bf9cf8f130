'use strict';

// Where hooks and recorders meet: one hub in each JS environment, whatever the number of copies of this package that are
// loaded there (the loader's own and the program's dependency, say). The second copy joins the first one's hub, so that
// no exchange is seen twice.

/**
 * The number is raised when copies before and after a change could no longer share a hub. They then meet only at the
 * hooks' `__claudeTraceInstrumented` marks, where the first one wins.
 */
const KEY = Symbol.for('claude-trace-native.hub.1');

/**
 * Loaded when first asked for.
 * @type {Readonly<Record<string, () => Hook>>}
 */
const HOOKS = Object.freeze({
  undici: () => require('./hooks/undici.js'),
  http: () => require('./hooks/http.js'),
  http2: () => require('./hooks/http2.js'),
  fetch: () => require('./hooks/fetch.js'),
});

/**
 * @typedef {{ install(hub: HookPort): false | (() => void) }} Hook install: false when another recorder is there already
 * @typedef {import('./recorder.js').Recorder} Recorder
 * @typedef {object} Member a logger as the hub knows it
 * @property {(origin: string, target: string, method: string) => Recorder | null} recorderFor null: not for this exchange
 * @property {(text: string) => void} debug
 * @property {() => void} finish ends it with the process
 *
 * @typedef {object} Singleton
 * @property {import('./logger.js').ClaudeTrafficLogger} logger
 * @property {(text: string) => void} warn
 * @property {boolean} finished after its cleanup() the next `initializeInterceptor` makes another one
 */

/** What one hook sees of the hub: the loggers that asked for this hook. */
class HookPort {
  #hub;
  /** @type {Member[]} in the order in which they asked; the first whose rules match gets the exchange */
  #members = [];
  /** The last exchange that was to be recorded, and who records it; most programs ask for the same again. */
  #lastOrigin = '';
  #lastTarget = '';
  #lastMethod = '';
  /** @type {Recorder | null} null: all is to be asked anew */
  #lastRecorder = null;

  /** @param {Hub} hub */
  constructor(hub) {
    this.#hub = hub;
  }

  /**
   * @param {string} origin like `https://api.anthropic.com`
   * @param {string} target the request's
   * @param {string} method
   * @returns {Recorder | null} who records this exchange
   */
  match(origin, target, method) {
    const isLast = target === this.#lastTarget && origin === this.#lastOrigin && method === this.#lastMethod;
    if (isLast && this.#lastRecorder !== null) return this.#lastRecorder;
    try {
      for (const member of this.#members) {
        const recorder = member.recorderFor(origin, target, method);
        if (recorder === null) continue;
        this.#lastOrigin = origin;
        this.#lastTarget = target;
        this.#lastMethod = method;
        this.#lastRecorder = recorder;
        return recorder;
      }
    } catch (error) {
      this.#hub.fault('match', error);
    }
    return null;
  }

  /**
   * A hook's own code failed.
   * @param {string} hookName
   * @param {unknown} error
   */
  fault(hookName, error) {
    this.#hub.fault(hookName, error);
  }

  /** Set by the fetch hook, called by the hooks below it: an exchange is seen on the wire. Shared by all hooks. */
  get onWire() {
    return this.#hub.onWire;
  }

  set onWire(callback) {
    this.#hub.onWire = callback;
  }

  /** @param {Member} member */
  add(member) {
    if (!this.#members.includes(member)) this.#members.push(member);
  }

  /**
   * @param {Member} member
   * @returns {boolean} whether that was the last one
   */
  remove(member) {
    this.#members = this.#members.filter((other) => other !== member);
    this.#lastRecorder = null;
    return this.#members.length === 0;
  }
}

class Hub {
  /** @type {Singleton | null} what `initializeInterceptor` has made in this environment */
  singleton = null;
  /** @type {any} see HookPort */
  onWire = null;
  /** How often a hook's own code failed. */
  faults = 0;
  /** @type {Set<string>} hooks whose first fault was told */
  #faulty = new Set();
  /** @type {Set<Member>} */
  #members = new Set();
  /** @type {Map<string, { port: HookPort, uninstall: () => void }>} the hooks that are in place */
  #installed = new Map();
  /** One function for `on` and `off`. */
  #onExit = () => {
    for (const member of [...this.#members]) member.finish();
  };

  /**
   * @param {Member} member
   * @param {readonly string[]} hookNames
   * @returns {string[]} the hooks in whose place another recorder is
   */
  attach(member, hookNames) {
    if (this.#members.size === 0) process.on('exit', this.#onExit);
    this.#members.add(member);
    return hookNames.filter((name) => !this.#connect(name, member));
  }

  /** @param {Member} member */
  detach(member) {
    if (!this.#members.delete(member)) return;
    for (const [name, { port, uninstall }] of this.#installed) {
      if (!port.remove(member)) continue;
      this.#installed.delete(name);
      this.#guard(name, uninstall);
    }
    if (this.#members.size === 0) process.off('exit', this.#onExit);
  }

  /**
   * @param {string} hookName
   * @param {unknown} error
   */
  fault(hookName, error) {
    this.faults++;
    if (this.#faulty.has(hookName)) return;
    this.#faulty.add(hookName);
    for (const member of this.#members) member.debug(`the ${hookName} hook failed: ${describe(error)}`);
  }

  /**
   * @param {string} name
   * @param {Member} member
   */
  #connect(name, member) {
    const installed = this.#installed.get(name);
    if (installed !== undefined) {
      installed.port.add(member);
      return true;
    }
    const port = new HookPort(this);
    port.add(member);
    const uninstall = this.#guard(name, () => HOOKS[name]().install(port));
    // A hook that cannot install itself is a fault and was counted as one; `false` alone says that it is taken.
    if (typeof uninstall === 'function') this.#installed.set(name, { port, uninstall });
    return uninstall !== false;
  }

  /**
   * @template T
   * @param {string} name
   * @param {() => T} action
   * @returns {T | undefined} undefined if it threw
   */
  #guard(name, action) {
    try {
      return action();
    } catch (error) {
      this.fault(name, error);
      return undefined;
    }
  }
}

/** @param {unknown} error */
function describe(error) {
  try {
    return error instanceof Error ? String(error.stack ?? error) : String(error);
  } catch {
    return 'an error that cannot be shown';
  }
}

/** @returns {Hub | null} null if nothing was instrumented here yet */
function existingHub() {
  return /** @type {any} */ (globalThis)[KEY] ?? null;
}

/** @returns {Hub} */
function sharedHub() {
  const existing = existingHub();
  if (existing !== null) return existing;
  const hub = new Hub();
  // Not enumerable: a host that copies or prints its globals does not meet it.
  Object.defineProperty(globalThis, KEY, { value: hub, configurable: true });
  return hub;
}

exports.Hub = Hub;
exports.HookPort = HookPort;
exports.existingHub = existingHub;
exports.sharedHub = sharedHub;
