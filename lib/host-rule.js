'use strict';

// Hosts that a user names beside the known ones. Loaded only when there are any.

/** What a host rule may look like, for messages and docs. */
const HOST_RULE_FORMS = '"host", "host:port", "*.suffix" or "http(s)://host[:port][/prefix]"';

const GRAMMAR = /^(?:(https?):\/\/)?(\*(?=\.))?(\[[0-9a-f:.]+\]|[^/:?#@,\\\s[\]*]+)(?::(\d{1,5}))?(\/[^?#\s]*)?$/i;

class HostRule {
  /**
   * @param {string} protocol 'http:', 'https:' or '' for both
   * @param {string} host lower-case; with `wildcard` the part behind `*`, from its dot on
   * @param {boolean} wildcard
   * @param {string} port '' for any
   * @param {string} prefix '' or '/a/b'
   */
  constructor(protocol, host, wildcard, port, prefix) {
    this.protocol = protocol;
    this.host = host;
    this.wildcard = wildcard;
    this.port = port;
    this.prefix = prefix;
  }

  /**
   * @param {URL} url
   * @returns {boolean} whether the rule is about that origin
   */
  covers(url) {
    const host = trimDot(url.hostname);
    return (
      (this.protocol === '' || this.protocol === url.protocol) &&
      (this.wildcard ? host.endsWith(this.host) : host === this.host) &&
      (this.port === '' || this.port === (url.port || defaultPort(url.protocol)))
    );
  }
}

/**
 * @param {string} text
 * @returns {HostRule | null} null if it has none of the forms of HOST_RULE_FORMS
 */
function parseHostRule(text) {
  const parts = GRAMMAR.exec(text);
  if (parts === null) return null;
  const [, scheme, star, host, port, path = ''] = parts;
  const protocol = scheme === undefined ? '' : `${scheme.toLowerCase()}:`;
  const name = hostname(star === undefined ? host : host.slice(1));
  if (name === '' || name.startsWith('.') || Number(port) > 65535) return null;
  // A scheme names its default port; a bare host is meant with every port.
  const wantedPort = port !== undefined ? String(Number(port)) : protocol === '' ? '' : defaultPort(protocol);
  return new HostRule(protocol, star === undefined ? name : `.${name}`, star !== undefined, wantedPort, path.replace(/\/+$/, ''));
}

/**
 * @param {string} text
 * @returns {string} as URLs spell it (lower case, punycode); '' if it is no host
 */
function hostname(text) {
  try {
    return trimDot(new URL(`http://${text}`).hostname);
  } catch {
    return '';
  }
}

/** @param {string} host */
const trimDot = (host) => (host.endsWith('.') ? host.slice(0, -1) : host);

/** @param {string} protocol */
const defaultPort = (protocol) => (protocol === 'https:' ? '443' : '80');

/** @param {string} text */
const isHostRule = (text) => parseHostRule(text) !== null;

/**
 * @param {readonly string[]} texts each an `isHostRule`
 * @returns {HostRule[]}
 */
const parseHostRules = (texts) => texts.flatMap((text) => parseHostRule(text) ?? []);

exports.HOST_RULE_FORMS = HOST_RULE_FORMS;
exports.HostRule = HostRule;
exports.isHostRule = isHostRule;
exports.parseHostRules = parseHostRules;
