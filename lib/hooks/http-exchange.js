'use strict';

// One exchange as the hooks of node:http and node:http2 tell it to the recorder: in order, one end, nothing after it.
//
// Both halves have to be over before the end is said: a server may answer in full while the request's body is still on
// its way (a 413, HTTP/2 in both directions), and the bytes that follow belong on record too. What comes first decides
// otherwise: a failure after the whole response has arrived does not make the response a broken one.

const { now } = require('../clock.js');
const { KIND } = require('../kinds.js');
const { errorText } = require('../wire-head.js');
const { encode } = require('./http-text.js');

/** @typedef {import('./types').Hub} Hub */
/** @typedef {import('./types').Recorder} Recorder */

/** The client closed the exchange itself, and gave no error to say why. */
const CANCELLED = 'ABORT_ERR\nclosed by the client before its end';

/** No method throws: a recorder's failure is counted, the host goes on. */
class Exchange {
  #hub;
  #hook;
  #recorder;
  #id;
  /** Nothing more is told. */
  #over = false;
  #requestEnded = false;
  /** The response has ended; its trailers wait for the end of the request. */
  #complete = false;
  #trailers = '';

  /** Its head was told. */
  answered = false;
  /** How often it was given data to send, see `sentPieces` in http.js. */
  pieces = 0;
  /** Why the program gave it up, until that takes effect. @type {unknown} */
  reason = undefined;

  /**
   * @param {Hub} hub
   * @param {string} hook
   * @param {Recorder} recorder
   * @param {number} id
   */
  constructor(hub, hook, recorder, id) {
    this.#hub = hub;
    this.#hook = hook;
    this.#recorder = recorder;
    this.#id = id;
  }

  get open() {
    return !this.#over;
  }

  /** The whole response has arrived. */
  get complete() {
    return this.#complete;
  }

  /**
   * What was given to a stream to send; anything but data is passed over.
   * @param {unknown} data
   * @param {unknown} encoding of a string
   * @param {number} t0
   */
  requestBody(data, encoding, t0) {
    if (this.#over || this.#requestEnded) return;
    if (typeof data === 'string' && data !== '') {
      this.pieces++;
      let t = t0;
      encode(data, encoding, (bytes) => {
        this.#chunk(KIND.REQUEST_BODY, bytes, t);
        t = now();
      });
    } else if (ArrayBuffer.isView(data) && data.byteLength > 0) {
      this.pieces++;
      this.#chunk(KIND.REQUEST_BODY, /** @type {Uint8Array} */ (data), t0);
    }
  }

  /** @param {number} t0 */
  requestEnd(t0) {
    if (this.#over || this.#requestEnded) return;
    this.#requestEnded = true;
    this.#mark(KIND.REQUEST_END, '', t0);
    if (this.#complete) this.#end(KIND.RESPONSE_END, this.#trailers, now());
  }

  /** After a 101 the request goes on, in another protocol, and ends once more. */
  switchProtocols() {
    this.#requestEnded = false;
  }

  /**
   * @param {string} head
   * @param {number} t0
   */
  responseHead(head, t0) {
    if (this.#over || this.answered) return;
    this.answered = true;
    this.#mark(KIND.RESPONSE_HEAD, head, t0);
  }

  /**
   * @param {Uint8Array} bytes
   * @param {number} t0
   */
  responseBody(bytes, t0) {
    if (!this.#over && !this.#complete) this.#chunk(KIND.RESPONSE_BODY, bytes, t0);
  }

  /**
   * @param {string} trailers
   * @param {number} t0
   */
  responseEnd(trailers, t0) {
    if (this.#over || this.#complete) return;
    this.#complete = true;
    this.#trailers = trailers;
    if (this.#requestEnded) this.#end(KIND.RESPONSE_END, trailers, t0);
  }

  /**
   * Nothing more will come, for this reason.
   * @param {unknown} error an Error, or the text of one
   * @param {number} t0
   */
  close(error, t0) {
    if (this.#over) return;
    if (this.#complete) this.#end(KIND.RESPONSE_END, this.#trailers, t0);
    else this.#end(KIND.ERROR, typeof error === 'string' ? error : errorText(error), t0);
  }

  /**
   * @param {number} kind
   * @param {string} text
   * @param {number} t0
   */
  #end(kind, text, t0) {
    this.#over = true;
    this.#mark(kind, text, t0);
  }

  /**
   * @param {number} kind
   * @param {Uint8Array} bytes
   * @param {number} t0
   */
  #chunk(kind, bytes, t0) {
    try {
      this.#recorder.chunk(this.#id, kind, bytes, t0);
    } catch (error) {
      this.#hub.fault(this.#hook, error);
    }
  }

  /**
   * @param {number} kind
   * @param {string} text
   * @param {number} t0
   */
  #mark(kind, text, t0) {
    try {
      this.#recorder.mark(this.#id, kind, text, t0);
    } catch (error) {
      this.#hub.fault(this.#hook, error);
    }
  }
}

/**
 * @param {Hub} hub
 * @param {string} hook
 * @param {number} source one of SOURCE
 * @param {import('./http-target.js').Target} target
 * @param {string} head
 * @param {number} t0
 * @returns {Exchange | null} null: not recorded
 * @throws whatever the hub or the recorder throws
 */
function beginExchange(hub, hook, source, { origin, path, method }, head, t0) {
  const recorder = hub.match(origin, path, method);
  if (recorder === null) return null;
  hub.onWire?.();
  const id = recorder.begin(source, origin, head, t0);
  return id === 0 ? null : new Exchange(hub, hook, recorder, id);
}

module.exports = { CANCELLED, Exchange, beginExchange };
