'use strict';

// The heads of an undici request as HTTP/1.1 would put them on the wire. The published objects differ by protocol and age:
//
//                    undici 5          6                 7                  8
//  request.headers   text              flat list         flat list          flat list
//  sendHeaders, h1   text that begins with the request line and lacks the framing header and the final empty line
//  sendHeaders, h2   never             never             7.29: lines from   `:authority: …` on, no request line
//  response headers  flat list of Buffers; h2 as well                       h2: an object
//  trailers          flat list of Buffers; h2: none      h2: an object      h2: an object

const { objectLines, pairLines, requestHead, responseHead } = require('../wire-head.js');

/**
 * The part of undici's core Request (lib/core/request.js there) that the hook reads.
 * @typedef {object} UndiciRequest
 * @property {string} method
 * @property {string} path
 * @property {string | URL} origin
 * @property {string | unknown[]} headers
 * @property {string | null} host
 * @property {number | null} contentLength
 * @property {unknown} body
 * @property {string | null} upgrade
 */

/**
 * @typedef {object} UndiciResponse
 * @property {number} statusCode
 * @property {string} [statusText]
 * @property {Buffer[] | Record<string, unknown> | null} headers
 */

/** What the recorder takes as the length of a body for which no header is to be added. */
const NO_BODY = -1;

// Methods for which undici says `content-length: 0` where there is no body.
const EXPECTS_PAYLOAD = new Set(['PUT', 'POST', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH']);

/**
 * @param {UndiciRequest} request
 * @param {string} text of `undici:client:sendHeaders`
 * @returns {boolean}
 */
function isHttp1(request, text) {
  return text.startsWith(request.method) && text.charCodeAt(request.method.length) === 32 /* space */;
}

/**
 * The head for the text that HTTP/2 sends headers with: pseudo headers become the first line and `host`.
 * @param {UndiciRequest} request
 * @param {string} text
 * @returns {string}
 */
function http2Head(request, text) {
  let host = '';
  let lines = '';
  for (const line of text.split('\r\n')) {
    if (line.startsWith(':authority: ')) host = `host: ${line.slice(12)}\r\n`;
    else if (line !== '' && line[0] !== ':') lines += `${line}\r\n`;
  }
  return requestHead(request.method, request.path, host + lines, '2');
}

/**
 * The head of a request that undici has not written, or not shown: what the caller asked for.
 * @param {UndiciRequest} request
 * @param {string} version
 * @returns {string}
 */
function plannedHead(request, version) {
  const { headers } = request;
  const host = request.host ?? new URL(request.origin).host;
  const lines = typeof headers === 'string' ? headers : pairLines(headers);
  const length = framing(request);
  const framingLine = length === null || length === NO_BODY ? '' : `content-length: ${length}\r\n`;
  return requestHead(request.method, request.path, `host: ${host}\r\n${lines}${framingLine}`, version);
}

/**
 * The content-length that undici puts after the text of sendHeaders, with the first byte of the body: NO_BODY for none,
 * null where only that byte decides. By the rules of writeH1 in lib/dispatcher/client-h1.js there.
 * @param {UndiciRequest} request
 * @returns {number | null}
 */
function framing(request) {
  const length = bodyLength(request.body) ?? request.contentLength;
  if (typeof length === 'number') {
    return length > 0 || EXPECTS_PAYLOAD.has(request.method) ? length : NO_BODY;
  }
  // undici.request({ body: formData }) is encoded behind our back; its length is the one thing that we cannot know.
  return Object.prototype.toString.call(request.body) === '[object FormData]' ? NO_BODY : null;
}

/**
 * @param {UndiciRequest} request
 * @param {boolean} hasBytes
 * @returns {string}
 */
function streamFraming(request, hasBytes) {
  if (hasBytes) return 'transfer-encoding: chunked\r\n';
  return EXPECTS_PAYLOAD.has(request.method) ? 'content-length: 0\r\n' : '';
}

/**
 * @param {any} body
 * @returns {number | null}
 */
function bodyLength(body) {
  if (body === null || body === undefined) return 0;
  if (ArrayBuffer.isView(body)) return body.byteLength;
  if (typeof body.size === 'number' && typeof body.stream === 'function') return body.size;
  const state = body._readableState;
  return state?.objectMode === false && state.ended === true && Number.isFinite(state.length) ? state.length : null;
}

/**
 * @param {UndiciResponse} response
 * @param {string} version
 * @returns {string}
 */
function receivedHead({ statusCode, statusText, headers }, version) {
  return responseHead(statusCode, statusText, headerLines(headers), version);
}

/**
 * @param {Buffer[] | Record<string, unknown> | null | undefined} headers
 * @returns {string}
 */
function headerLines(headers) {
  if (headers === null || headers === undefined) return '';
  return Array.isArray(headers) ? pairLines(headers) : objectLines(headers);
}

/**
 * The parser's Buffers are views on the socket's one: as a rule they lie there as `name: value\r\n` without a gap, and Rust
 * can read the whole block from there. For 12 headers that takes a third of decoding them here.
 * @param {unknown} headers
 * @returns {number} bytes from the first name to the end of the last value; 0: they do not lie like that
 */
function blockLength(headers) {
  if (!Array.isArray(headers) || headers.length === 0) return 0;
  const { length } = headers;
  const first = headers[0];
  const last = headers[length - 1];
  if (!Buffer.isBuffer(first) || !Buffer.isBuffer(last) || first.buffer !== last.buffer) return 0;
  let size = length * 2 - 2; // ': ' inside each pair, '\r\n' between pairs
  for (let i = 0; i < length; i++) size += headers[i].length;
  return last.byteOffset + last.length - first.byteOffset === size ? size : 0;
}

module.exports = { NO_BODY, blockLength, framing, headerLines, http2Head, isHttp1, plannedHead, receivedHead, streamFraming };
