'use strict';

// What the types of options take, from code and from the environment alike.

const { isHostRule, HOST_RULE_FORMS } = require('./host-rule.js');

/** @typedef {import('./config.js').Option} Option */

/**
 * @param {Option} option
 * @param {unknown} value
 * @returns {typeof TypeError | typeof RangeError | null} the kind of error that the value is
 */
function faultOf(option, value) {
  switch (option.type) {
    case 'boolean':
      return typeof value === 'boolean' ? null : TypeError;
    case 'integer':
      if (typeof value === 'string' && option.choices?.includes(value)) return null;
      if (typeof value !== 'number') return TypeError;
      return Number.isInteger(value) && value >= (option.min ?? 0) && value <= (option.max ?? Infinity) ? null : RangeError;
    case 'hosts':
      if (!Array.isArray(value) || !value.every((host) => typeof host === 'string')) return TypeError;
      return value.every(isHostRule) ? null : RangeError;
    default:
      return typeof value === 'string' ? faultOfText(option, value) : TypeError;
  }
}

/**
 * @param {Option} option
 * @param {string} value
 */
function faultOfText(option, value) {
  let good;
  if (option.type === 'choice') good = option.choices?.includes(value);
  else if (option.type === 'name') good = isFileName(withoutExtension(value));
  else good = value !== '' && !value.includes('\0');
  return good ? null : RangeError;
}

/**
 * @param {Option} option
 * @param {unknown} value one without fault
 */
function normalised(option, value) {
  if (option.type === 'name') return withoutExtension(/** @type {string} */ (value));
  if (option.type === 'hosts') return [.../** @type {string[]} */ (value)];
  return value;
}

/** @param {string} name */
const withoutExtension = (name) => name.replace(/\.jsonl$/, '');

/**
 * Backslashes are refused on every platform: logs travel. 200 bytes leave room under NAME_MAX (255) for what is appended.
 * @param {string} name
 */
function isFileName(name) {
  return name !== '' && name !== '.' && name !== '..' && !/[/\\\u0000-\u001f\u007f]/.test(name) && Buffer.byteLength(name) <= 200;
}

/**
 * @param {Option} option
 * @returns {string} in words: what the option takes
 */
function allowed(option) {
  switch (option.type) {
    case 'boolean':
      return 'true or false';
    case 'integer':
      return [`an integer from ${option.min} to ${option.max}`, ...(option.choices ?? [])].join(', or ');
    case 'choice':
      return `one of ${option.choices?.join(', ')}`;
    case 'directory':
      return 'the path of a folder';
    case 'name':
      return 'a plain file name of at most 200 bytes';
    case 'hosts':
      return `a list of ${HOST_RULE_FORMS}`;
  }
}

module.exports = { faultOf, normalised, allowed };
