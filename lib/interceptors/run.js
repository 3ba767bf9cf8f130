'use strict';

// Calls handlers. What one delivery asks for is called in turn; only a promise makes the next one wait.

const { Draft, EventBatch, Packed } = require('./batch.js');
const { EndView, Notes, RequestView, ResponseView, parseHead } = require('./heads.js');
const { isThenable } = require('./legacy.js');
const { now } = require('../clock.js');

const REQUEST = 1;
const RESPONSE = 2;
const EVENTS = 3;
const END = 4;

/** Exchanges of which something is kept: one that an interceptor was late for is never ended here. */
const MAX_EXCHANGES = 4096;

/**
 * @typedef {import('../native.js').NativeDelivery} Delivery
 * @typedef {import('../native.js').NativeSaid} Said
 * @typedef {import('../../index.js').InterceptedExchange} Shown
 * @typedef {{ id: string, request: Shown['request'], response: Shown['response'] }} Exchange
 * @typedef {import('./options.js').Checked} Checked
 * @typedef {{ draft: { commit(said: Said): void }, value: any }} View what a handler is given, and what it says there
 */

class Runner {
  /** @type {Map<number, Checked>} by the addon's numbers */
  handlers = new Map();
  /** @type {Map<number, Exchange>} */
  #exchanges = new Map();
  #patienceMs;
  #debug;

  /**
   * @param {number} patienceMs how long a promise is waited for
   * @param {(text: string) => void} debug
   */
  constructor(patienceMs, debug) {
    this.#patienceMs = patienceMs;
    this.#debug = debug;
  }

  /**
   * @param {Delivery} delivery
   * @param {(said: Said[]) => void} done called before it returns, unless a handler has returned a promise
   */
  serve(delivery, done) {
    const exchange = this.#exchangeOf(delivery);
    const packed = delivery.kind === EVENTS ? new Packed(delivery.text ?? '', delivery.places ?? new Float64Array()) : null;
    /** @type {Said[]} */
    const all = [];
    /** @param {number} from */
    const run = (from) => {
      for (let at = from; at < delivery.interceptors.length; at++) {
        const number = delivery.interceptors[at];
        const one = this.handlers.get(number);
        // Taken out meanwhile.
        if (one === undefined) continue;
        const started = now();
        const view = viewOf(delivery, exchange, packed);
        // Those before it have left nothing.
        if (packed !== null && view.value.length === 0) break;
        const settle = (/** @type {Outcome} */ outcome) => {
          all.push(this.#said({ number, ms: now() - started }, view, outcome));
        };
        try {
          const leaves = delivery.kind === REQUEST && one.predicate !== null && !one.predicate(view.value);
          const pending = leaves ? undefined : call(one, delivery.kind, view.value);
          if (isThenable(pending)) {
            let isOver = false;
            const goOn = (/** @type {Outcome} */ outcome) => {
              if (isOver) return;
              isOver = true;
              clearTimeout(timer);
              settle(outcome);
              run(at + 1);
            };
            const timer = setTimeout(goOn, this.#patienceMs, { late: true });
            timer.unref();
            // Ours, whatever theirs does; and what goes wrong after it is no rejection of the host's.
            const ours = Promise.resolve(pending).then(() => goOn({}), (error) => goOn({ error }));
            ours.catch((error) => this.#debug(`interceptors failed: ${describe(error)}`));
            return;
          }
          settle({ leaves });
        } catch (error) {
          settle({ error });
        }
      }
      done(all);
    };
    run(0);
    if (delivery.kind === END) this.#exchanges.delete(delivery.exchange);
  }

  clear() {
    this.handlers.clear();
    this.#exchanges.clear();
  }

  /**
   * @param {Delivery} delivery
   * @returns {Exchange} the same for all hooks
   */
  #exchangeOf({ exchange: number, kind, head = '', at }) {
    let exchange = this.#exchanges.get(number);
    if (exchange === undefined) {
      if (this.#exchanges.size >= MAX_EXCHANGES) this.#exchanges.delete(/** @type {number} */ (this.#exchanges.keys().next().value));
      exchange = { id: String(number), request: { method: '', url: '', headers: {}, at: 0 }, response: null };
      this.#exchanges.set(number, exchange);
    }
    if (kind !== REQUEST && kind !== RESPONSE) return exchange;
    const { line, headers } = parseHead(head);
    if (kind === REQUEST) {
      const [, method = '', url = ''] = /^(\S*) (.*?)(?: HTTP\/\S+)?$/.exec(line) ?? [];
      exchange.request = { method, url, headers, at };
    } else {
      exchange.response = { status: Number(line.split(' ')[1]) || 0, headers, at };
    }
    return exchange;
  }

  /**
   * @param {Said} said
   * @param {View} view
   * @param {Outcome} outcome
   */
  #said(said, view, outcome) {
    if (outcome.leaves) said.leaves = true;
    else if (outcome.late) said.late = true;
    else if (!('error' in outcome)) view.draft.commit(said);
    else {
      said.failed = describe(outcome.error);
      this.#debug(`the interceptor ${this.handlers.get(said.number)?.native.name} failed: ${said.failed}`);
    }
    return said;
  }
}

/** @typedef {{ leaves?: boolean, late?: boolean, error?: unknown }} Outcome of a call; an error may be anything, `undefined` too */

/**
 * @param {Delivery} delivery
 * @param {Exchange} exchange
 * @param {Packed | null} packed
 * @returns {View} a new one for each handler
 */
function viewOf(delivery, exchange, packed) {
  if (packed !== null) {
    const draft = new Draft(packed);
    return { draft, value: new EventBatch(draft, exchange) };
  }
  const draft = new Notes();
  if (delivery.kind === REQUEST) return { draft, value: new RequestView(draft, exchange) };
  if (delivery.kind === RESPONSE) return { draft, value: new ResponseView(draft, exchange) };
  return { draft, value: new EndView(draft, exchange, delivery) };
}

/**
 * @param {Checked} one
 * @param {number} kind
 * @param {any} view
 * @returns {unknown} what the handler returned
 */
function call({ hooks }, kind, view) {
  if (kind === EVENTS) return hooks.onEvents?.(view);
  if (kind === REQUEST) return hooks.onRequest?.(view);
  return kind === RESPONSE ? hooks.onResponse?.(view) : hooks.onExchange?.(view);
}

/** @param {unknown} error */
function describe(error) {
  try {
    return (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).slice(0, 500);
  } catch {
    return 'an error that cannot be shown';
  }
}

exports.Runner = Runner;
