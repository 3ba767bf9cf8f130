'use strict';

// One call of a wrapped fetch as it is told to the recorder: in order, one end, nothing after it. No method throws.

const { now } = require('../clock.js');
const { KIND, SOURCE } = require('../kinds.js');
const { errorText } = require('../wire-head.js');

const HOOK = 'fetch';

/** @typedef {import('./types').Hub} Hub */
/** @typedef {import('./types').Recorder} Recorder */

class Call {
  #hub;
  #recorder;
  #id;
  /** Nothing more is told. */
  #over = false;
  /** The request's body is on record, or will never be whole. */
  #requestOver = false;
  /** The response has ended; that is told once the request is over too: a body may still be read on the side. */
  #complete = false;
  /** Bytes of the response's body on record. Clones and both sides of a tee read the same ones. */
  #received = 0;
  /** Bodies that may still be read. */
  #branches = 0;

  /**
   * @param {Hub} hub
   * @param {Recorder} recorder
   * @param {number} id
   */
  constructor(hub, recorder, id) {
    this.#hub = hub;
    this.#recorder = recorder;
    this.#id = id;
  }

  /** @param {unknown} chunk what a body's stream yields */
  requestBody(chunk) {
    const t0 = now();
    const bytes = bytesOf(chunk);
    if (!this.#over && !this.#requestOver && bytes !== null) this.#chunk(KIND.REQUEST_BODY, bytes, t0);
  }

  requestEnd() {
    const t0 = now();
    if (this.#over || this.#requestOver) return;
    this.#mark(KIND.REQUEST_END, '', t0);
    this.requestLost();
  }

  /** No more of its body will be seen. */
  requestLost() {
    this.#requestOver = true;
    if (this.#complete) this.#end(KIND.RESPONSE_END, '', now());
  }

  /** @param {string} head */
  responseHead(head) {
    const t0 = now();
    if (!this.#over) this.#mark(KIND.RESPONSE_HEAD, head, t0);
  }

  responseEnd() {
    const t0 = now();
    this.#complete = true;
    if (this.#requestOver) this.#end(KIND.RESPONSE_END, '', t0);
  }

  /** @param {unknown} error an Error, a reason, or the text of one */
  fail(error) {
    const t0 = now();
    if (this.#complete) this.#end(KIND.RESPONSE_END, '', t0);
    else this.#end(KIND.ERROR, error instanceof ErrorText ? error.text : errorText(error), t0);
  }

  /** A hook below sees this call on the wire, and more exactly. */
  abandon() {
    this.#end(KIND.ABANDON, '', now());
  }

  /** The response's body as one of possibly several readers meets it. */
  branch(position = 0) {
    this.#branches++;
    return new Branch(this, position);
  }

  /**
   * @param {Uint8Array} bytes
   * @param {number} position where they end in the body
   * @param {number} t0
   */
  responseBody(bytes, position, t0) {
    const fresh = position - this.#received;
    if (this.#over || this.#complete || fresh <= 0) return;
    this.#received = position;
    this.#chunk(KIND.RESPONSE_BODY, fresh < bytes.length ? bytes.subarray(bytes.length - fresh) : bytes, t0);
  }

  /** @param {unknown} reason */
  leave(reason) {
    if (--this.#branches === 0) this.fail(reason);
  }

  /**
   * @param {() => void} action code of ours in the middle of the host's
   * @returns {boolean} whether it came through
   */
  attempt(action) {
    try {
      action();
      return true;
    } catch (error) {
      this.#hub.fault(HOOK, error);
      return false;
    }
  }

  /**
   * @param {number} kind
   * @param {string} text
   * @param {number} t0
   */
  #end(kind, text, t0) {
    if (this.#over) return;
    this.#over = true;
    this.#mark(kind, text, t0);
  }

  /**
   * @param {number} kind
   * @param {Uint8Array} bytes
   * @param {number} t0
   */
  #chunk(kind, bytes, t0) {
    this.attempt(() => this.#recorder.chunk(this.#id, kind, bytes, t0));
  }

  /**
   * @param {number} kind
   * @param {string} text
   * @param {number} t0
   */
  #mark(kind, text, t0) {
    this.attempt(() => this.#recorder.mark(this.#id, kind, text, t0));
  }
}

/** An error of ours, that no host has thrown. */
class ErrorText {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

const UNSEEN = new ErrorText('ERR_BODY_NOT_SEEN\nthe body was dropped unread, or read in a way that cannot be followed');

/** A body that can be read once: a response's, its clone's, one side of a tee. */
class Branch {
  /** How far the reader has got that got furthest. */
  offset;
  #left = false;

  /**
   * @param {Call} call
   * @param {number} position
   */
  constructor(call, position) {
    this.call = call;
    this.offset = position;
  }

  /** For a reader that starts now. Readers may follow each other, or one may be built on another. */
  reader() {
    return new Reader(this);
  }

  /** @param {() => void} action */
  attempt(action) {
    this.call.attempt(action);
  }

  /** For another body that will have the rest of the same bytes. */
  fork() {
    return this.call.branch(this.offset);
  }

  /**
   * This body will not be read any further.
   * @param {unknown} reason
   */
  leave(reason) {
    if (this.#left) return;
    this.#left = true;
    this.call.leave(reason);
  }
}

class Reader {
  /** @param {Branch} branch */
  constructor(branch) {
    this.branch = branch;
    this.position = branch.offset;
  }

  /** @param {unknown} chunk */
  chunk(chunk) {
    const t0 = now();
    const bytes = bytesOf(chunk);
    if (bytes === null) return;
    this.position += bytes.length;
    if (this.position > this.branch.offset) this.branch.offset = this.position;
    this.branch.call.responseBody(bytes, this.position, t0);
  }
}

/**
 * @param {unknown} chunk
 * @returns {Uint8Array | null} null: nothing that could be a body's bytes
 */
function bytesOf(chunk) {
  if (chunk instanceof Uint8Array) return chunk.length === 0 ? null : chunk;
  if (typeof chunk === 'string') return chunk === '' ? null : Buffer.from(chunk);
  if (ArrayBuffer.isView(chunk)) return bytesOf(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  if (chunk instanceof ArrayBuffer) return bytesOf(new Uint8Array(chunk));
  return null;
}

/**
 * @param {Hub} hub
 * @param {Recorder} recorder
 * @param {string} origin
 * @param {string} head
 * @param {number} t0
 * @returns {Call | null} null: not recorded
 */
function beginCall(hub, recorder, origin, head, t0) {
  const id = recorder.begin(SOURCE.FETCH, origin, head, t0);
  return id === 0 ? null : new Call(hub, recorder, id);
}

module.exports = { ErrorText, HOOK, UNSEEN, beginCall, bytesOf };
