'use strict';

// Options from environment variables. Text is read here; whether the value is allowed is judged by the rules that hold
// for code too.

const { faultOf, normalised, allowed } = require('./option-types.js');
const { show } = require('./config-errors.js');
const { isHostRule, HOST_RULE_FORMS } = require('./host-rule.js');

/** @typedef {import('./config.js').Option} Option */

/** @type {Readonly<Record<string, boolean>>} */
const BOOLEANS = Object.freeze({ true: true, 1: true, yes: true, on: true, false: false, 0: false, no: false, off: false });

/**
 * @param {Option} option
 * @param {string} text
 * @param {string[]} problems where a text goes that says what was ignored
 * @returns {unknown} the value, or the option's default
 */
function fromEnv(option, text, problems) {
  let value = read(option, text);
  if (option.type === 'hosts') value = goodHosts(option, /** @type {string[]} */ (value), problems);
  if (value !== undefined && faultOf(option, value) === null) return normalised(option, value);
  const instead = option.default === undefined ? 'it is ignored' : `using ${option.default}`;
  problems.push(`${option.env}=${show(text)} is not ${allowed(option)}: ${instead}`);
  return option.default;
}

/**
 * @param {Option} option
 * @param {string} text
 * @returns {unknown} undefined if the text cannot be read as its type
 */
function read({ type, choices }, text) {
  switch (type) {
    case 'boolean':
      return BOOLEANS[text.trim().toLowerCase()];
    case 'integer':
      // Digits alone: Number() would also take '', '0x10' and '1e3'.
      if (/^\s*\d+\s*$/.test(text)) return Number(text);
      return choices?.find((word) => word === text.trim().toLowerCase());
    case 'hosts':
      return text.split(',').map((host) => host.trim()).filter((host) => host !== '');
    case 'choice':
      return text.trim().toLowerCase();
    default:
      return text;
  }
}

/**
 * One mistyped host does not cost the others.
 * @param {Option} option
 * @param {string[]} hosts
 * @param {string[]} problems
 */
function goodHosts(option, hosts, problems) {
  return hosts.filter((host) => {
    const good = isHostRule(host);
    if (!good) problems.push(`${option.env}: ${show(host)} is ignored, allowed is ${HOST_RULE_FORMS}`);
    return good;
  });
}

module.exports = { fromEnv };
