'use strict';

// What `logger.use` takes, checked. A mistake is the programmer's and throws, with the field's name.

const { notAllowed, unknownKey } = require('../config-errors.js');

const HOOKS = Object.freeze(['onRequest', 'onResponse', 'onEvents', 'onExchange']);
const FIELDS = Object.freeze([...HOOKS, 'name', 'match', 'order', 'maxEvents', 'maxDelayMs', 'headers', 'deduplicate']);
const MATCH_FIELDS = Object.freeze(['host', 'path', 'method']);
const HEADER_FIELDS = Object.freeze(['set', 'remove', 'rename']);

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * @typedef {import('../../index.js').Interceptor} Interceptor
 * @typedef {import('../native.js').NativeInterceptor} NativeInterceptor
 * @typedef {import('../native.js').NativeHeaderChange} NativeHeaderChange
 * @typedef {(request: import('../../index.js').InterceptedRequest) => boolean} Predicate
 *
 * @typedef {object} Checked
 * @property {NativeInterceptor} native what the addon is told
 * @property {Interceptor} hooks where the handlers are
 * @property {Predicate | null} predicate what the addon cannot judge
 */

/**
 * @param {unknown} given
 * @param {number} serial for a name
 * @param {number} timeoutMs
 * @returns {Checked}
 * @throws {TypeError | RangeError} with code TRACE_ERR_CONFIG
 */
function checked(given, serial, timeoutMs) {
  const spec = fields(given, '', FIELDS);
  for (const hook of HOOKS) optional(spec, hook, 'function', 'a function');
  const { name = `interceptor ${serial}`, deduplicate = false } = /** @type {Record<string, any>} */ (spec);
  if (typeof name !== 'string') throw notAllowed(TypeError, 'name', name, 'a string');
  if (name === '' || name.length > 200) throw notAllowed(RangeError, 'name', name, '1 to 200 characters');
  if (typeof deduplicate !== 'boolean') throw notAllowed(TypeError, 'deduplicate', deduplicate, 'true or false');
  const { predicate, ...rule } = ruleOf(spec.match);
  const { requestHeaders, responseHeaders } = headersOf(spec.headers);
  const hasHandlers = HOOKS.some((hook) => spec[hook] !== undefined);
  if (!hasHandlers && !deduplicate && requestHeaders.length + responseHeaders.length === 0) {
    throw notAllowed(TypeError, 'interceptor', given, `an object with one of ${HOOKS.join(', ')}, headers, deduplicate`);
  }
  return {
    native: {
      name,
      order: integer(spec, 'order', 0, -1_000_000, 1_000_000),
      ...rule,
      maxEvents: integer(spec, 'maxEvents', 256, 1, 100_000),
      maxDelayMs: integer(spec, 'maxDelayMs', 50, 0, 60_000),
      timeoutMs,
      hasHandlers,
      wantsEvents: spec.onEvents !== undefined,
      requestHeaders,
      responseHeaders,
      dedupe: deduplicate,
    },
    hooks: /** @type {Interceptor} */ (given),
    predicate,
  };
}

/**
 * @param {unknown} match
 * @returns {{ hosts: string[], paths: string[], methods: string[], predicate: Predicate | null }}
 */
function ruleOf(match) {
  const any = { hosts: [], paths: [], methods: [], predicate: null };
  if (match === undefined) return any;
  if (typeof match === 'function') return { ...any, predicate: /** @type {Predicate} */ (match) };
  if (match instanceof RegExp) {
    // Of its own: the caller's `lastIndex` is not ours to move.
    const pattern = new RegExp(match.source, match.flags.replace(/[gy]/g, ''));
    return { ...any, predicate: ({ url }) => pattern.test(url) };
  }
  const { host, path, method } = fields(match, 'match', MATCH_FIELDS);
  return {
    hosts: texts(host, 'match.host'),
    paths: texts(path, 'match.path'),
    methods: texts(method, 'match.method'),
    predicate: null,
  };
}

/** @param {unknown} headers */
function headersOf(headers) {
  if (headers === undefined) return { requestHeaders: [], responseHeaders: [] };
  const { request, response } = fields(headers, 'headers', ['request', 'response']);
  return { requestHeaders: changesOf(request, 'headers.request'), responseHeaders: changesOf(response, 'headers.response') };
}

/**
 * @param {unknown} rules
 * @param {string} field
 * @returns {NativeHeaderChange[]}
 */
function changesOf(rules, field) {
  if (rules === undefined) return [];
  const { set = {}, remove = [], rename = {} } = fields(rules, field, HEADER_FIELDS);
  const pairs = (/** @type {unknown} */ value, /** @type {string} */ key) => Object.entries(fields(value, `${field}.${key}`, null));
  return [
    ...pairs(rename, 'rename').map(([name, value]) => headerChange('rename', name, value, `${field}.rename`)),
    ...texts(remove, `${field}.remove`).map((name) => headerChange('remove', name, undefined, `${field}.remove`)),
    ...pairs(set, 'set').map(([name, value]) => headerChange('set', name, value, `${field}.set`)),
  ];
}

/**
 * @param {'set' | 'remove' | 'rename'} change
 * @param {unknown} name
 * @param {unknown} value
 * @param {string} field for the error
 * @returns {NativeHeaderChange}
 */
function headerChange(change, name, value, field) {
  const isName = (/** @type {unknown} */ text) => typeof text === 'string' && TOKEN.test(text);
  if (!isName(name)) throw notAllowed(TypeError, field, name, 'the name of a header');
  if (change === 'remove') return { change, name: /** @type {string} */ (name) };
  if (change === 'rename' ? !isName(value) : typeof value !== 'string') {
    throw notAllowed(TypeError, `${field}.${name}`, value, change === 'rename' ? 'the name of a header' : 'a string');
  }
  return { change, name: /** @type {string} */ (name), value: /** @type {string} */ (value) };
}

/**
 * @param {unknown} value
 * @param {string} field
 * @param {readonly string[] | null} known null: any
 * @returns {Record<string, unknown>}
 */
function fields(value, field, known) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw notAllowed(TypeError, field || 'interceptor', value, field === 'match' ? 'an object, a RegExp or a function' : 'an object');
  }
  // A class may carry its handlers on its prototype, and more of its own.
  const isPlain = [Object.prototype, null].includes(Object.getPrototypeOf(value));
  if (known !== null && isPlain) {
    const prefix = field === '' ? '' : `${field}.`;
    for (const key of Object.keys(value)) {
      if (!known.includes(key)) throw unknownKey(key, prefix, known.map((name) => ({ name: prefix + name })));
    }
  }
  return /** @type {Record<string, unknown>} */ (value);
}

/**
 * @param {Record<string, unknown>} spec
 * @param {string} field
 * @param {string} type
 * @param {string} allowed
 */
function optional(spec, field, type, allowed) {
  if (spec[field] !== undefined && typeof spec[field] !== type) throw notAllowed(TypeError, field, spec[field], allowed);
}

/**
 * @param {Record<string, unknown>} spec
 * @param {string} field
 * @param {number} otherwise
 * @param {number} min
 * @param {number} max
 */
function integer(spec, field, otherwise, min, max) {
  const value = spec[field] ?? otherwise;
  const allowed = `an integer from ${min} to ${max}`;
  if (typeof value !== 'number') throw notAllowed(TypeError, field, value, allowed);
  if (!Number.isInteger(value) || value < min || value > max) throw notAllowed(RangeError, field, value, allowed);
  return value;
}

/**
 * @param {unknown} value
 * @param {string} field
 * @returns {string[]}
 */
function texts(value, field) {
  if (value === undefined) return [];
  const list = Array.isArray(value) ? value : [value];
  if (!list.every((text) => typeof text === 'string' && text !== '')) throw notAllowed(TypeError, field, value, 'a string or a list of strings');
  return [...list];
}

module.exports = { checked, headerChange };
