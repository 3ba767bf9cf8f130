'use strict';

// Reads along a web stream that stays the host's own.
//
// The methods through which its bytes can be had get followers, as hidden own properties of this one stream, its readers and
// iterators. Code of the platform that takes the stream itself (`new Response(stream)`) passes them by.

const { CANCELLED } = require('./http-exchange.js');
const { ErrorText, UNSEEN } = require('./fetch-call.js');

/** @typedef {NonNullable<ReturnType<typeof import('./fetch-call.js').beginCall>>} Call */
/** @typedef {ReturnType<Call['branch']>} Branch */

const ABORTED = new ErrorText(CANCELLED);

/** Methods that read a whole body at once: a response's, and in Bun some of a stream's too. */
const WHOLE = Object.freeze(['arrayBuffer', 'blob', 'bytes', 'formData', 'json', 'text']);

/** @type {WeakSet<object>} */
const followed = new WeakSet();
/** Streams that nobody holds any more. @type {FinalizationRegistry<Branch>} */
const collected = new FinalizationRegistry((branch) => branch.leave(UNSEEN));

/**
 * @param {any} stream
 * @param {Branch} branch
 */
function followStream(stream, branch) {
  if (followed.has(stream)) return;
  followed.add(stream);
  collected.register(stream, branch);
  override(stream, 'getReader', (original) => function (...args) {
    const reader = original.apply(this, args);
    if (this === stream) branch.attempt(() => followReader(reader, branch));
    return reader;
  });
  for (const name of ['values', Symbol.asyncIterator]) {
    override(stream, name, (original) => function (...args) {
      const iterator = original.apply(this, args);
      if (this === stream) branch.attempt(() => followIterator(iterator, branch, args[0]?.preventCancel === true));
      return iterator;
    });
  }
  override(stream, 'cancel', (original) => function (...args) {
    if (this === stream && !stream.locked) branch.leave(args[0] ?? ABORTED);
    return original.apply(this, args);
  });
  override(stream, 'tee', (original) => function (...args) {
    const sides = original.apply(this, args);
    if (this === stream) {
      branch.attempt(() => {
        for (const side of sides) followStream(side, branch.fork());
        branch.leave(ABORTED); // the sides have taken over
      });
    }
    return sides;
  });
  override(stream, 'pipeTo', (original) => function (...args) {
    return this === stream && canPipe(stream, args) ? pipeAlong(stream, original, args, branch) : original.apply(this, args);
  });
  override(stream, 'pipeThrough', (original) => function (...args) {
    const [pair, options] = args;
    if (this !== stream || !canPipe(stream, [pair?.writable, options]) || !isWebStream(pair.readable)) {
      return original.apply(this, args);
    }
    stream.pipeTo(pair.writable, options).catch(() => {}); // as pipeThrough has it: the failure shows in `readable`
    return pair.readable;
  });
  for (const name of WHOLE) {
    override(stream, name, (original) => function (...args) {
      return this === stream && !stream.locked ? collect(stream, null, name) : original.apply(this, args);
    });
  }
}

/**
 * @param {any} reader
 * @param {Branch} branch
 */
function followReader(reader, branch) {
  const progress = branch.reader();
  let released = false;
  /** @param {{ done?: boolean, value?: unknown }} result */
  const onResult = ({ done, value }) => {
    for (const chunk of Array.isArray(value) ? value : [value]) progress.chunk(chunk);
    if (done) branch.call.responseEnd();
  };
  /** @param {unknown} error */
  const onError = (error) => {
    if (!released) branch.call.fail(error); // a read that is pending when the lock is released fails by that alone
  };
  // readMany, in Bun only, gives several chunks, and at once where they are there.
  for (const name of ['read', 'readMany']) {
    override(reader, name, (original) => function (...args) {
      return seen(original.apply(this, args), branch, onResult, onError);
    });
  }
  override(reader, 'cancel', (original) => function (...args) {
    if (!released) branch.leave(args[0] ?? ABORTED);
    return original.apply(this, args);
  });
  override(reader, 'releaseLock', (original) => function (...args) {
    const result = original.apply(this, args);
    released = true;
    return result;
  });
}

/**
 * @param {any} iterator
 * @param {Branch} branch
 * @param {boolean} preventCancel
 */
function followIterator(iterator, branch, preventCancel) {
  const progress = branch.reader();
  /** @param {{ done?: boolean, value?: unknown }} result */
  const onResult = ({ done, value }) => {
    if (done) branch.call.responseEnd();
    else progress.chunk(value);
  };
  override(iterator, 'next', (original) => function (...args) {
    return seen(original.apply(this, args), branch, onResult, (error) => branch.call.fail(error));
  });
  override(iterator, 'return', (original) => function (...args) {
    if (!preventCancel) branch.leave(args[0] ?? ABORTED);
    return original.apply(this, args);
  });
}

/**
 * What pipeTo would accept; where it would not, it says so itself. With `preventCancel` a failed pipe leaves the rest of
 * the stream to the host, which a stage in between would have taken a chunk of.
 * @param {any} stream
 * @param {any[]} args
 * @returns {boolean}
 */
function canPipe(stream, [destination, options]) {
  return !stream.locked && destination instanceof WritableStream && !destination.locked && !options?.preventCancel;
}

/**
 * @param {ReadableStream} stream
 * @param {Function} pipeTo
 * @param {any[]} args
 * @param {Branch} branch
 * @returns {Promise<void>}
 */
function pipeAlong(stream, pipeTo, args, branch) {
  const progress = branch.reader();
  const stage = new TransformStream({
    transform(chunk, controller) {
      progress.chunk(chunk);
      controller.enqueue(chunk);
    },
    flush() { branch.call.responseEnd(); },
  });
  pipeTo.call(stream, stage.writable, { signal: args[1]?.signal }).catch((/** @type {unknown} */ error) => branch.leave(error));
  return pipeTo.apply(stage.readable, args);
}

/**
 * Reads a followed stream to its end, chunk by chunk so that a broken body leaves its part on record, and turns it into
 * what the platform's own method would have given, or thrown.
 * @param {ReadableStream} stream
 * @param {string | null} contentType
 * @param {string} name of the method
 */
async function collect(stream, contentType, name) {
  const reader = stream.getReader();
  const chunks = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
  }
  const init = contentType === null ? {} : { headers: { 'content-type': contentType } };
  return /** @type {any} */ (new Response(new Blob(chunks), init))[name]();
}

/**
 * The host's own result, seen on its way. A promise is passed on as a new one: with a handler of ours on the old one, a
 * rejection that the host forgets would no longer be an unhandled one.
 * @param {any} result
 * @param {Branch} branch
 * @param {(value: any) => void} onValue
 * @param {(error: unknown) => void} onError
 */
function seen(result, branch, onValue, onError) {
  if (typeof result?.then !== 'function') {
    branch.attempt(() => onValue(result));
    return result;
  }
  return result.then((/** @type {any} */ value) => {
    branch.attempt(() => onValue(value));
    return value;
  }, (/** @type {unknown} */ error) => {
    branch.attempt(() => onError(error));
    throw error;
  });
}

/**
 * @param {any} object
 * @param {string | symbol} name
 * @param {(original: (...args: any[]) => any) => (this: any, ...args: any[]) => any} wrap
 */
function override(object, name, wrap) {
  const original = object[name];
  if (typeof original !== 'function') return;
  const value = wrap(original);
  for (const key of ['name', 'length']) {
    Object.defineProperty(value, key, { .../** @type {object} */ (Object.getOwnPropertyDescriptor(original, key)) });
  }
  Object.defineProperty(object, name, { value, configurable: true, enumerable: false, writable: true });
}

/**
 * @param {any} body
 * @returns {boolean} a Node stream, as node-fetch has it, is none
 */
function isWebStream(body) {
  return typeof body?.getReader === 'function' && typeof body.tee === 'function';
}

module.exports = { WHOLE, collect, followStream, isWebStream, override, seen };
