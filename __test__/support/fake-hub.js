'use strict';

// A hub and a recorder that keep every call in memory and check the order that a recorder may rely on.

const assert = require('node:assert/strict');
const { EventEmitter, once } = require('node:events');
const { KIND, SOURCE } = require('../../lib/kinds.js');

const FINAL = new Map([[KIND.RESPONSE_END, 'end'], [KIND.ERROR, 'error'], [KIND.ABANDON, 'abandon']]);

/** One exchange as the recorder was told of it. */
class FakeExchange {
  constructor(id, source, origin, head, t0) {
    this.id = id;
    this.source = source;
    this.origin = origin;
    this.head = head;
    this.startedAt = t0;
    /** @type {Buffer[]} */
    this.requestChunks = [];
    this.requestEnded = false;
    /** @type {string | null} */
    this.responseHead = null;
    /** @type {Buffer[]} */
    this.responseChunks = [];
    this.trailers = '';
    /** @type {'end' | 'error' | 'abandon' | null} */
    this.outcome = null;
    /** @type {{ code: string, message: string } | null} */
    this.error = null;
  }

  /** After a 101 the request goes on, in another protocol. */
  get mayGoOn() { return !this.requestEnded || this.status === 101; }
  get requestLine() { return this.head.slice(0, this.head.indexOf('\r\n')); }
  get requestHeaders() { return headerPairs(this.head); }
  get requestBody() { return Buffer.concat(this.requestChunks); }
  get status() { return this.responseHead === null ? 0 : Number(this.responseHead.split(' ', 2)[1]); }
  get responseHeaders() { return headerPairs(this.responseHead ?? ''); }
  get responseBody() { return Buffer.concat(this.responseChunks); }
}

/** `[[name, value], …]` of a wire head, names as written. */
function headerPairs(head) {
  return head.split('\r\n').slice(1).filter((line) => line !== '').map((line) => {
    const colon = line.indexOf(': ');
    assert.notEqual(colon, -1, `a header line has a colon: ${JSON.stringify(line)}`);
    return [line.slice(0, colon), line.slice(colon + 2)];
  });
}

class FakeHub extends EventEmitter {
  /**
   * @param {{ match?: (origin: string, path: string, method: string) => boolean, throwIn?: string }} [options]
   *   throwIn: the method ('match', 'begin', 'chunk', 'mark' or 'all') whose every call throws
   */
  constructor({ match = () => true, throwIn = '' } = {}) {
    super();
    /** @type {FakeExchange[]} */
    this.exchanges = [];
    /** What must never happen, whatever the host does. @type {string[]} */
    this.violations = [];
    /** @type {unknown[]} */
    this.faults = [];
    /** @type {{ origin: string, path: string, method: string }[]} */
    this.lookups = [];
    /** @type {(() => void) | null} */
    this.onWire = null;
    const fail = (method) => {
      if (throwIn === method || throwIn === 'all') throw new Error(`the recorder fails in ${method}`);
    };
    this.match = (origin, path, method) => {
      this.lookups.push({ origin, path, method });
      fail('match');
      return match(origin, path, method) ? this.recorder : null;
    };
    this.fault = (hook, error) => { this.faults.push(error); this.emit('fault', hook, error); };
    this.recorder = {
      prepare: () => {},
      begin: (source, origin, head, t0, asked = t0, bodyLength = -1) => {
        fail('begin');
        return this.#begin(source, origin, bodyLength < 0 ? head : `${head}content-length: ${bodyLength}\r\n`, t0);
      },
      responseHead: (id, status, reason, buffer, start, length, t0) => {
        fail('mark');
        const fields = Buffer.from(buffer, start, length).toString('latin1');
        this.#mark(id, KIND.RESPONSE_HEAD, `HTTP/1.1 ${status} ${reason}\r\n${fields}\r\n`, t0);
      },
      chunk: (id, kind, bytes, t0) => { fail('chunk'); this.#chunk(id, kind, bytes, t0); },
      mark: (id, kind, text, t0) => { fail('mark'); this.#mark(id, kind, text, t0); },
    };
  }

  #begin(source, origin, head, t0) {
    this.#expect(Object.values(SOURCE).includes(source), `a known source, not ${source}`);
    this.#expect(/^[a-z]+:\/\/[^/]+$/.test(origin), `an origin without a path, not ${origin}`);
    this.#expect(/^[^ ]+ [^ ]+ HTTP\/(?:1\.[01]|2)\r\n/.test(head), `a request line, not ${JSON.stringify(head)}`);
    this.#expect(head.endsWith('\r\n'), 'a head of whole lines');
    this.#time(t0);
    const exchange = new FakeExchange(this.exchanges.length + 1, source, origin, head, t0);
    this.exchanges.push(exchange);
    this.emit('begin', exchange);
    return exchange.id;
  }

  #chunk(id, kind, bytes, t0) {
    const exchange = this.#open(id, `chunk of kind ${kind}`);
    this.#time(t0);
    this.#expect(bytes instanceof Uint8Array, `bytes, not ${Object.prototype.toString.call(bytes)}`);
    if (exchange === null) return;
    if (kind === KIND.REQUEST_BODY) {
      this.#expect(exchange.mayGoOn, 'no request body after its end');
      exchange.requestChunks.push(Buffer.from(bytes));
    } else if (kind === KIND.RESPONSE_BODY) {
      this.#expect(exchange.responseHead !== null, 'a response head before its body');
      exchange.responseChunks.push(Buffer.from(bytes));
    } else {
      this.violations.push(`chunk of kind ${kind}`);
    }
    this.emit('chunk', exchange, kind);
  }

  #mark(id, kind, text, t0) {
    const exchange = this.#open(id, `mark of kind ${kind}`);
    this.#time(t0);
    this.#expect(typeof text === 'string', 'a text');
    if (exchange === null) return;
    if (kind === KIND.REQUEST_END) {
      this.#expect(exchange.mayGoOn, 'one end of the request');
      exchange.requestEnded = true;
    } else if (kind === KIND.RESPONSE_HEAD) {
      this.#expect(exchange.responseHead === null, 'one response head');
      this.#expect(/^HTTP\/(?:1\.[01]|2) \d{3} .*\r\n/.test(text), `a status line, not ${JSON.stringify(text)}`);
      exchange.responseHead = text;
    } else if (FINAL.has(kind)) {
      exchange.outcome = FINAL.get(kind) ?? null;
      if (kind === KIND.RESPONSE_END) exchange.trailers = text;
      if (kind === KIND.ERROR) {
        const newline = text.indexOf('\n');
        this.#expect(newline !== -1, `an error text of two lines, not ${JSON.stringify(text)}`);
        exchange.error = { code: text.slice(0, newline), message: text.slice(newline + 1) };
      }
    } else {
      this.violations.push(`mark of kind ${kind}`);
    }
    this.emit('mark', exchange, kind);
  }

  #open(id, what) {
    const exchange = this.exchanges[id - 1] ?? null;
    this.#expect(exchange !== null, `${what} for a begun exchange, not ${id}`);
    // Later calls are ignored by a recorder; a hook that makes them has lost count all the same.
    if (exchange !== null) this.#expect(exchange.outcome === null, `no ${what} after the end of exchange ${id}`);
    return exchange;
  }

  #time(t0) {
    const age = performance.now() - t0;
    this.#expect(age >= 0 && age < 1000, `a time stamp of this hook, not ${age} ms ago`);
  }

  #expect(condition, what) {
    if (!condition) this.violations.push(`expected ${what}`);
  }

  /** Exchanges that count: those no better hook has taken over. */
  get recorded() {
    return this.exchanges.filter((exchange) => exchange.outcome !== 'abandon');
  }

  /** Resolves when `count` exchanges have come to their end. Not the test's result: that is for its asserts. */
  async settled(count) {
    while (this.recorded.filter((exchange) => exchange.outcome !== null).length < count) await once(this, 'mark');
    return this.recorded;
  }

  /** Resolves once `predicate` holds, looked at after each call of the hooks. */
  async until(predicate) {
    while (!predicate(this)) {
      await new Promise((resolve) => {
        const next = () => {
          for (const event of ['begin', 'chunk', 'mark', 'fault']) this.off(event, next);
          resolve(undefined);
        };
        for (const event of ['begin', 'chunk', 'mark', 'fault']) this.on(event, next);
      });
    }
  }
}

module.exports = { FakeHub, headerPairs };
