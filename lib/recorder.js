'use strict';

// The one way from the hooks into Rust. A recorder is a spool chain of this JS environment, opened by the first exchange.
// Its methods throw only if the addon does (a caught panic); the hooks count that and go on.

/** In place of the addon's handle: not opened yet, and closed, when everything becomes a no-op. */
const UNOPENED = -2;
const CLOSED = -1;

/** @typedef {import('./native.js').Native} Native */

class Recorder {
  #open;
  /** @type {Native} */
  #native = /** @type {any} */ (null);
  #handle = UNOPENED;
  #prepared = false;
  /** @type {ReturnType<Native['stats']>} the numbers as they stood when it was closed */
  #final = null;
  /** @type {ReturnType<Native['interceptorStats']>} the same of interceptors */
  #finalInterceptors = null;

  /** @param {() => { native: Native, handle: number } | null} open null: it cannot be had, and that was told */
  constructor(open) {
    this.#open = open;
  }

  /** A request is about to be made: what recording needs is loaded, and started on a thread, while the host connects. */
  prepare() {
    if (this.#prepared) return;
    this.#prepared = true;
    setImmediate(() => {
      if (this.opens()) this.#native.prepare(this.#handle);
    }).unref();
  }

  /** @returns {boolean} whether it is open: opens it if it was not yet */
  opens() {
    if (this.#handle !== UNOPENED) return this.#handle !== CLOSED;
    const opened = this.#open();
    this.#handle = opened?.handle ?? CLOSED;
    if (opened !== null) this.#native = opened.native;
    return opened !== null;
  }

  /**
   * A request goes out.
   * @param {number} source one of SOURCE
   * @param {string} origin
   * @param {string} head the request's wire head, not yet redacted
   * @param {number} t0 `now()` as it was when the hook was entered
   * @param {number} [asked] `now()` as it was when the request was made
   * @param {number} [bodyLength] adds a content-length to the head; -1: does not
   * @returns {number} the exchange's number; 0: not recorded, forget it
   */
  begin(source, origin, head, t0, asked = t0, bodyLength = -1) {
    return this.#handle < 0 && !this.opens() ? 0 : this.#native.begin(this.#handle, source, origin, head, bodyLength, t0, asked);
  }

  /**
   * A response's head, whose fields stand as bytes in `buffer`.
   * @param {number} id
   * @param {number} status
   * @param {string} reason
   * @param {ArrayBufferLike} buffer
   * @param {number} start of the first name
   * @param {number} length to the end of the last value
   * @param {number} t0
   */
  responseHead(id, status, reason, buffer, start, length, t0) {
    if (this.#handle !== CLOSED) this.#native.responseHead(this.#handle, id, status, reason, buffer, start, length, t0);
  }

  /**
   * Body bytes, copied in the call.
   * @param {number} id
   * @param {number} kind KIND.REQUEST_BODY or KIND.RESPONSE_BODY
   * @param {Uint8Array} bytes
   * @param {number} t0
   */
  chunk(id, kind, bytes, t0) {
    if (this.#handle !== CLOSED) this.#native.chunk(this.#handle, id, kind, bytes, t0);
  }

  /**
   * Anything else that happens to an exchange.
   * @param {number} id
   * @param {number} kind one of KIND
   * @param {string} text what belongs to the kind: a response head, trailers, `code\nmessage`, or ''
   * @param {number} t0
   */
  mark(id, kind, text, t0) {
    if (this.#handle !== CLOSED) this.#native.mark(this.#handle, id, kind, text, t0);
  }

  /** For interceptors, with which the addon talks by itself; null: it is not open. */
  get port() {
    return this.#handle < 0 ? null : { native: this.#native, handle: this.#handle };
  }

  /** What interceptors have done; after `close` the last numbers. */
  interceptorStats() {
    return this.#handle < 0 ? this.#finalInterceptors : this.#native.interceptorStats(this.#handle);
  }

  /** The addon's numbers; after `close` the last ones. null: it was never open. */
  stats() {
    return this.#handle < 0 ? this.#final : this.#native.stats(this.#handle);
  }

  /**
   * Writes open exchanges as cut off, waits for the log and lets go of the chain.
   * @param {boolean} atExit whether the process ends, for the records of what is cut off; else cleanup() was called
   * @param {number} deadlineMs
   * @returns {boolean} whether everything is in the log; if not, the next start completes it from the spool
   */
  close(atExit, deadlineMs) {
    const handle = this.#handle;
    this.#handle = CLOSED;
    if (handle < 0) return true;
    this.#final = this.#native.stats(handle);
    const complete = this.#native.close(handle, atExit, deadlineMs);
    this.#final = this.#native.stats(handle) ?? this.#final;
    this.#finalInterceptors = this.#native.interceptorStats(handle);
    return complete;
  }
}

exports.Recorder = Recorder;
