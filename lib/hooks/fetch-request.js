'use strict';

// What a call of fetch asks for, read from its arguments without changing or consuming them.

const { objectLines, pairLines, requestHead } = require('../wire-head.js');

/** @typedef {ReturnType<typeof import('./fetch-call.js').beginCall>} MaybeCall */
/** @typedef {NonNullable<MaybeCall>} Call */

/** The methods that fetch puts in upper case by itself. */
const NORMALISED = /^(?:delete|get|head|options|post|put)$/i;

/**
 * @typedef {object} Asked
 * @property {string} origin
 * @property {string} path
 * @property {string} method
 * @property {any} headers
 * @property {any} body what stands in `init`; undefined: none
 * @property {any} request the Request that carries headers and body of its own, or null
 */

/**
 * @param {unknown} input
 * @param {any} init
 * @returns {Asked | null} null: nothing that could be recorded; fetch will say what is wrong with it
 */
function readArguments(input, init) {
  const request = isRequest(input) ? input : null;
  const href = request === null ? input : request.url;
  // Any other object would have to be made a string, which calls code of the host.
  if (typeof href !== 'string' && !(href instanceof URL)) return null;
  let url;
  try {
    url = new URL(href);
  } catch {
    return null;
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return null; // blob:, data:, file: are no exchanges
  const method = String(init?.method ?? request?.method ?? 'GET');
  return {
    origin: url.origin,
    path: url.pathname + url.search,
    method: NORMALISED.test(method) ? method.toUpperCase() : method,
    headers: init?.headers ?? request?.headers,
    body: init?.body ?? undefined,
    request,
  };
}

/**
 * @param {any} input
 * @returns {input is Request}
 */
function isRequest(input) {
  return typeof input === 'object' && input !== null && typeof input.url === 'string' && typeof input.clone === 'function';
}

/**
 * @param {Asked} asked
 * @param {string | null} contentType that the body brings along
 * @returns {string}
 */
function askedHead(asked, contentType) {
  const lines = headerLines(asked.headers);
  const type = contentType === null || /^content-type:/im.test(lines) ? '' : `content-type: ${contentType}\r\n`;
  return requestHead(asked.method, asked.path, `host: ${new URL(asked.origin).host}\r\n${lines}${type}`);
}

/**
 * @param {any} headers
 * @returns {string}
 */
function headerLines(headers) {
  if (headers === null || typeof headers !== 'object') return '';
  if (Array.isArray(headers)) return pairLines(headers.flat());
  // An iterator can be read but once, and that is fetch's to do; a Headers or a Map can be read again.
  if (typeof headers.entries === 'function') return pairLines([...headers.entries()].flat());
  return typeof headers[Symbol.iterator] === 'function' ? '' : objectLines(headers);
}

/**
 * How the body gets on record. `along` is a body to send in its place, with the same bytes, that is recorded as fetch
 * reads it; `aside` opens a stream of its bytes for us alone; `bytes` is all of it.
 * @typedef {{ contentType: string | null, bytes?: unknown, aside?: () => ReadableStream | null, along?: (call: Call) => unknown }} BodyPlan
 */

/**
 * @param {Asked} asked
 * @returns {BodyPlan | null} null: there is a body, and no way to it
 */
function planBody({ body, request, method }) {
  if (body === undefined) return planRequestBody(request, method);
  if (typeof body === 'string' || body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return { contentType: null, bytes: body };
  if (body instanceof URLSearchParams) {
    return { contentType: 'application/x-www-form-urlencoded;charset=UTF-8', bytes: String(body) };
  }
  if (body instanceof Blob) return { contentType: body.type || null, aside: () => body.stream() };
  if (body instanceof FormData) {
    // The boundary that fetch will choose is not ours to know: the parts are the same, between lines of our own.
    const encoded = new Response(body);
    return { contentType: encoded.headers.get('content-type'), aside: () => encoded.body };
  }
  if (body instanceof ReadableStream) {
    return body.locked ? null : { contentType: null, along: (call) => followedStream(body, call) };
  }
  if (typeof body[Symbol.asyncIterator] === 'function' && typeof body.pipe !== 'function') {
    return { contentType: null, along: (call) => followedIterable(body, call) };
  }
  return null;
}

/**
 * A copy of the Request is read. `clone` leaves the original as it is where the body is not a stream (its length is still
 * announced); where it is, the copy is read as fast as it comes, so that a slow upload is buffered once.
 * @param {Request | null} request
 * @param {string} method
 * @returns {BodyPlan | null}
 */
function planRequestBody(request, method) {
  if (request === null || method === 'GET' || method === 'HEAD') return { contentType: null };
  if (request.bodyUsed) return null;
  return { contentType: null, aside: () => request.clone().body };
}

/**
 * @param {BodyPlan} plan one without `along`
 * @param {Call} call
 */
function recordBody({ bytes, aside }, call) {
  const stream = aside?.() ?? null;
  if (stream !== null) {
    readAside(stream, call);
    return;
  }
  call.requestBody(bytes);
  call.requestEnd();
}

/**
 * @param {ReadableStream} stream
 * @param {Call} call
 */
async function readAside(stream, call) {
  try {
    const reader = stream.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      call.requestBody(value);
    }
    call.requestEnd();
  } catch {
    call.requestLost(); // fetch meets the same failure, and says so
  }
}

/**
 * @param {ReadableStream} stream
 * @param {Call} call
 * @returns {ReadableStream} pulls only when it is pulled, so that the host's stream is read at fetch's pace
 */
function followedStream(stream, call) {
  const reader = stream.getReader();
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) {
          call.requestEnd();
          controller.close();
        } else {
          call.requestBody(value);
          controller.enqueue(value);
        }
      } catch (error) {
        call.requestLost();
        throw error;
      }
    },
    cancel(reason) {
      call.requestLost();
      return reader.cancel(reason);
    },
  }, { highWaterMark: 0 });
}

/**
 * @param {AsyncIterable<unknown>} iterable
 * @param {Call} call
 */
async function* followedIterable(iterable, call) {
  try {
    for await (const chunk of iterable) {
      call.requestBody(chunk);
      yield chunk;
    }
    call.requestEnd();
  } finally {
    call.requestLost();
  }
}

module.exports = { askedHead, planBody, readArguments, recordBody };
