'use strict';

// Heads and ends as handlers see them.

const { noteOf } = require('./batch.js');
const { headerChange } = require('./options.js');

/**
 * @typedef {import('../native.js').NativeSaid} NativeSaid
 * @typedef {import('../native.js').NativeDelivery} NativeDelivery
 * @typedef {import('../../index.js').InterceptedExchange} Exchange
 */

/**
 * @param {string} head as HTTP/1.1 would write it
 * @returns {{ line: string, headers: Record<string, string | string[]> }} headers as a record has them
 */
function parseHead(head) {
  const [line, ...fields] = head.split('\r\n');
  /** @type {Record<string, string | string[]>} */
  const headers = {};
  for (const field of fields) {
    const colon = field.indexOf(':');
    if (colon <= 0) continue;
    const name = field.slice(0, colon).trim().toLowerCase();
    const value = field.slice(colon + 1).trim();
    const known = Object.hasOwn(headers, name) ? headers[name] : undefined;
    const joined = known === undefined ? value : name === 'set-cookie' ? [known, value].flat() : `${known}, ${value}`;
    // Not by assignment: a name from the wire may be `__proto__`.
    Object.defineProperty(headers, name, { value: joined, enumerable: true, configurable: true, writable: true });
  }
  return { line, headers };
}

/** What one handler says of a head or an end. */
class Notes {
  /** @type {import('../native.js').NativeNote[]} */
  notes = [];
  /** @type {import('../native.js').NativeHeaderChange[]} */
  headers = [];
  discards = false;

  /** @param {NativeSaid} said is added to */
  commit(said) {
    if (this.notes.length > 0) said.notes = this.notes;
    if (this.headers.length > 0) said.headers = this.headers;
    if (this.discards) said.discards = true;
  }
}

/** What all three have. */
class View {
  #draft;

  /**
   * @param {Notes} draft
   * @param {Exchange} exchange
   */
  constructor(draft, exchange) {
    this.#draft = draft;
    this.exchange = exchange;
  }

  /** @param {unknown} value */
  annotate(value) {
    this.#draft.notes.push({ value: noteOf(value) });
  }
}

/** A head whose recorded copy can be changed. */
class Head extends View {
  #draft;

  /**
   * @param {Notes} draft
   * @param {Exchange} exchange
   */
  constructor(draft, exchange) {
    super(draft, exchange);
    this.#draft = draft;
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  setHeader(name, value) {
    this.#draft.headers.push(headerChange('set', name, value, 'setHeader()'));
  }

  /** @param {string} name */
  removeHeader(name) {
    this.#draft.headers.push(headerChange('remove', name, undefined, 'removeHeader()'));
  }

  /**
   * @param {string} from
   * @param {string} to
   */
  renameHeader(from, to) {
    this.#draft.headers.push(headerChange('rename', from, to, 'renameHeader()'));
  }
}

class RequestView extends Head {
  get method() {
    return this.exchange.request.method;
  }

  get url() {
    return this.exchange.request.url;
  }

  get headers() {
    return this.exchange.request.headers;
  }

  get at() {
    return this.exchange.request.at;
  }
}

class ResponseView extends Head {
  get status() {
    return this.exchange.response?.status ?? 0;
  }

  get headers() {
    return this.exchange.response?.headers ?? {};
  }

  get at() {
    return this.exchange.response?.at ?? 0;
  }
}

class EndView extends View {
  #draft;
  #delivery;

  /**
   * @param {Notes} draft
   * @param {Exchange} exchange
   * @param {NativeDelivery} delivery
   */
  constructor(draft, exchange, delivery) {
    super(draft, exchange);
    this.#draft = draft;
    this.#delivery = delivery;
  }

  get outcome() {
    return /** @type {'complete' | 'error' | 'cut'} */ (this.#delivery.outcome);
  }

  get error() {
    const { outcome, code, message } = this.#delivery;
    return outcome === 'error' ? { code: code ?? '', message: message ?? '' } : null;
  }

  get reason() {
    return this.#delivery.outcome === 'cut' ? (this.#delivery.message ?? '') : null;
  }

  get events() {
    return this.#delivery.events;
  }

  get passed() {
    return this.#delivery.passed;
  }

  get durationMs() {
    return Math.max(0, this.#delivery.at - this.#delivery.began);
  }

  discard() {
    this.#draft.discards = true;
  }
}

module.exports = { parseHead, Notes, RequestView, ResponseView, EndView };
