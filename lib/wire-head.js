'use strict';

// Heads, trailers and errors as the text that the recorder takes: HTTP/1.1 lines, whatever the wire spoke.
// Bytes of a head are read as latin1, as node:http and fetch read them, so that each byte keeps a character of its own.

/**
 * One `name: value` line per pair of a flat list `[name, value, name, value, …]`; a list as value gives a line each.
 * @param {readonly unknown[]} flat strings, as `rawHeaders` of node:http, or Buffers, as undici's
 * @returns {string}
 */
function pairLines(flat) {
  let lines = '';
  for (let i = 0; i + 1 < flat.length; i += 2) lines += valueLines(text(flat[i]), flat[i + 1]);
  return lines;
}

/**
 * The same for `{ name: value | values }`. HTTP/2's pseudo headers (`:status`) belong to the first line, not here.
 * @param {Record<string, unknown>} headers
 * @returns {string}
 */
function objectLines(headers) {
  let lines = '';
  for (const name of Object.keys(headers)) {
    if (name.charCodeAt(0) !== 58 /* : */) lines += valueLines(name, headers[name]);
  }
  return lines;
}

/**
 * @param {string} name
 * @param {unknown} value
 * @returns {string}
 */
function valueLines(name, value) {
  if (!Array.isArray(value)) return value === undefined ? '' : `${name}: ${text(value)}\r\n`;
  let lines = '';
  for (const one of value) lines += `${name}: ${text(one)}\r\n`;
  return lines;
}

/**
 * @param {unknown} value
 * @returns {string}
 */
function text(value) {
  if (typeof value === 'string') return value;
  return Buffer.isBuffer(value) ? value.toString('latin1') : String(value);
}

/**
 * @param {string} method
 * @param {string} target a path, or an absolute URL
 * @param {string} lines
 * @param {string} [version] of the protocol on the wire
 * @returns {string}
 */
function requestHead(method, target, lines, version = '1.1') {
  return `${method} ${target} HTTP/${version}\r\n${lines}`;
}

/**
 * @param {number | string} status
 * @param {string | undefined} reason HTTP/2 has none
 * @param {string} lines
 * @param {string} [version] of the protocol on the wire
 * @returns {string}
 */
function responseHead(status, reason, lines, version = '1.1') {
  return `HTTP/${version} ${status} ${reason ?? ''}\r\n${lines}`;
}

/**
 * `CODE\nmessage` of whatever was thrown, given to `abort()` or put into an `error` event.
 * @param {unknown} error
 * @returns {string}
 */
function errorText(error) {
  try {
    return `${errorCode(error)}\n${errorMessage(error)}`;
  } catch {
    return '\n'; // a host's own error may have getters that throw
  }
}

/**
 * @param {unknown} error
 * @returns {string}
 */
function errorCode(error) {
  if (error === null || typeof error !== 'object') return 'ABORT_ERR'; // only abort() and cancel() take such reasons
  const { code, cause, name } = /** @type {{ code?: unknown, cause?: { code?: unknown } | null, name?: unknown }} */ (error);
  // A DOMException's code is a number from another age (20 for AbortError): its name says more.
  if (typeof code === 'string' && code !== '') return code;
  if (name === 'AbortError') return 'ABORT_ERR';
  if (typeof cause?.code === 'string') return cause.code;
  return typeof name === 'string' && name !== 'Error' ? name : '';
}

/**
 * @param {unknown} error
 * @returns {string}
 */
function errorMessage(error) {
  if (error === null || typeof error !== 'object') return error === undefined ? '' : String(error);
  const { message, errors } = /** @type {{ message?: unknown, errors?: unknown }} */ (error);
  // A connection tried on several addresses fails with an AggregateError whose own message is empty.
  if (!message && Array.isArray(errors)) return errors.map(errorMessage).join('; ');
  return typeof message === 'string' ? message : '';
}

module.exports = { pairLines, objectLines, requestHead, responseHead, errorText };
