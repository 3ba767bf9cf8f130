'use strict';

// Reads along a response that stays the host's own: the same object, never cloned or teed by us.
//
// Its followers are hidden own properties of this one response: the prototype's methods cannot be replaced in Bun (they are
// not configurable), and other responses of the process are none of our business.

const { pairLines, responseHead } = require('../wire-head.js');
const { UNSEEN, bytesOf } = require('./fetch-call.js');
const { WHOLE, collect, followStream, isWebStream, override, seen } = require('./fetch-stream.js');

/** @typedef {NonNullable<ReturnType<typeof import('./fetch-call.js').beginCall>>} Call */
/** @typedef {ReturnType<Call['branch']>} Branch */

/** Responses that nobody holds any more and whose body nobody asked for. @type {FinalizationRegistry<Branch>} */
const collected = new FinalizationRegistry((branch) => branch.leave(UNSEEN));

/**
 * @param {Response} response
 * @param {Call} call
 * @param {string} method
 */
function followResponse(response, call, method) {
  const { headers, status, statusText } = response;
  call.responseHead(responseHead(status, statusText, pairLines([...headers].flat())));
  const isEmpty = method === 'HEAD' || status === 204 || status === 205 || status === 304 || headers.get('content-length') === '0';
  if (isEmpty) call.responseEnd();
  else followBody(response, call.branch());
}

/**
 * @param {any} response
 * @param {Branch} branch
 */
function followBody(response, branch) {
  collected.register(response, branch, response);
  /** @param {unknown} stream */
  const take = (stream) => {
    if (!isWebStream(stream)) return;
    collected.unregister(response); // from here on it is the stream that must not get lost
    followStream(stream, branch);
  };
  const body = getter(response, 'body');
  if (body === null) {
    take(response.body);
  } else {
    // Not touched before the host does: in Bun that would turn the response into a stream.
    const get = /** @this {unknown} */ function () {
      const stream = body.call(this);
      if (this === response) branch.attempt(() => take(stream));
      return stream;
    };
    Object.defineProperty(response, 'body', { configurable: true, enumerable: false, get });
  }
  // A class of its own may have a body of its own, and may not stand its being touched.
  const isPlatforms = typeof Response === 'function' && Object.getPrototypeOf(response) === Response.prototype;
  for (const name of WHOLE) {
    override(response, name, (original) => function (...args) {
      if (this !== response || response.bodyUsed) return original.apply(this, args);
      if (!isPlatforms) return followWhole(original.apply(this, args), branch);
      const stream = response.body;
      if (stream === null) branch.call.responseEnd();
      if (stream === null || stream.locked) return original.apply(this, args);
      return collect(stream, response.headers.get('content-type'), name);
    });
  }
  override(response, 'textStream', (original) => function (...args) {
    const stream = original.apply(this, args);
    if (this === response) branch.attempt(() => take(stream));
    return stream;
  });
  override(response, 'clone', (original) => function (...args) {
    const copy = original.apply(this, args);
    if (this === response) branch.attempt(() => followBody(copy, branch.fork()));
    return copy;
  });
}

/**
 * For a body that is no stream of the platform's: what its method gave is all that we see.
 * @param {unknown} result
 * @param {Branch} branch
 */
function followWhole(result, branch) {
  return seen(result, branch, (value) => {
    if (value === '' || bytesOf(value) !== null) {
      branch.reader().chunk(value);
      branch.call.responseEnd();
    } else {
      branch.leave(UNSEEN);
    }
  }, (error) => branch.call.fail(error));
}

/**
 * @param {object} object
 * @param {string} name
 * @returns {((this: unknown) => unknown) | null} null if it is a plain property
 */
function getter(object, name) {
  for (let owner = object; owner !== null; owner = Object.getPrototypeOf(owner)) {
    const descriptor = Object.getOwnPropertyDescriptor(owner, name);
    if (descriptor !== undefined) return descriptor.get ?? null;
  }
  return null;
}

module.exports = { followResponse };
