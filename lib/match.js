'use strict';

// Which exchanges are recorded. URLs are parsed and compared part by part, never searched for a substring: a query, a
// redirect target or a look-alike host (`api.anthropic.com.evil.example`) must not decide.
//
// Every HTTP request of the host passes here, so the path is judged first. It is the one test that needs neither the
// parsed origin nor `process.env` (130 ns a read), and most traffic of most programs has no LLM path.

/**
 * Base URL variables of the Anthropic SDKs and of Claude Code. They may be set after us, so they are read until one of them
 * names the origin in question. An origin that was named stays one: a client made then goes on using it, and a read of
 * `process.env` costs a request more than all else that we do for it (8 µs where the caches are cold).
 */
const BASE_URL_VARIABLES = Object.freeze([
  'ANTHROPIC_BASE_URL',
  'ANTHROPIC_BEDROCK_BASE_URL',
  'ANTHROPIC_VERTEX_BASE_URL',
  'ANTHROPIC_BEDROCK_MANTLE_BASE_URL',
  'ANTHROPIC_AWS_BASE_URL',
  'ANTHROPIC_FOUNDRY_BASE_URL',
]);

/**
 * Hosts that serve Claude, whatever the variables say. AWS: `bedrock-runtime[-fips].REGION` under the suffixes of the
 * public partitions and of their dual-stack twins, and VPC endpoints, which put a label in front and `vpce` behind.
 * Google: the global, regional, mTLS and jurisdictional (`us`, `eu`) names.
 */
const KNOWN_HOSTS = [
  /^api\.anthropic\.com$/,
  /^(?:[a-z0-9-]+\.)?bedrock-runtime(?:-fips)?\.[a-z0-9-]+\.(?:vpce\.)?(?:amazonaws\.(?:com|com\.cn|eu)|api\.aws|api\.amazonwebservices\.(?:com\.cn|eu))$/,
  /^(?:bedrock-mantle|aws-external-anthropic)\.[a-z0-9-]+\.api\.aws$/,
  /^(?:[a-z0-9-]+-)?aiplatform\.(?:mtls\.|[a-z0-9-]+\.rep\.)?googleapis\.com$/,
  /^[a-z0-9-]+\.services\.ai\.azure\.com$/,
];

const BEDROCK_PATH =
  /\/model\/[^/]+\/(?:invoke|invoke-with-response-stream|invoke-with-bidirectional-stream|converse|converse-stream|count-tokens)$/;
const VERTEX_PATH = /:(?:rawPredict|streamRawPredict|generateContent|streamGenerateContent|countTokens)$/;

/** What a path looks like. */
const SHAPE = Object.freeze({ OTHER: 0, LLM: 1, BARE_MESSAGES: 2 });

/** A program that visits unboundedly many origins (a crawler) must not make our cache grow with them. */
const MAX_CACHED_ORIGINS = 256;

/**
 * The path without query and fragment.
 * @param {string} path
 */
function pathname(path) {
  const query = path.indexOf('?');
  const bare = query < 0 ? path : path.slice(0, query);
  const fragment = bare.indexOf('#');
  return fragment < 0 ? bare : bare.slice(0, fragment);
}

/**
 * Whether `path` lies under `prefix` ('' or '/a/b'), by whole segments.
 * @param {string} path
 * @param {string} prefix
 */
function isUnder(path, prefix) {
  return path.startsWith(prefix) && (path.length === prefix.length || path.charCodeAt(prefix.length) === 47 /* / */);
}

/**
 * BARE_MESSAGES is `/messages` without `/v1` before it. It counts only directly under a base URL: the AI SDK takes
 * ANTHROPIC_BASE_URL to include the version and appends `/messages` to it.
 * @param {string} path without query
 */
function shapeOf(path) {
  const at = path.indexOf('/messages');
  if (at >= 0) {
    for (let i = at; i >= 0; i = path.indexOf('/messages', i + 1)) {
      if (isUnder(path.slice(i), '/messages') && path.startsWith('/v1', i - 3)) return SHAPE.LLM;
    }
    return SHAPE.BARE_MESSAGES;
  }
  if (path.includes('/model/') && BEDROCK_PATH.test(path)) return SHAPE.LLM;
  if (path.includes(':') && VERTEX_PATH.test(path)) return SHAPE.LLM;
  return SHAPE.OTHER;
}

/**
 * What the rules say of an origin whatever the path and the environment.
 * @typedef {object} OriginFacts
 * @property {string} origin normalised; '' if it is not an http(s) origin
 * @property {boolean} known one of KNOWN_HOSTS
 * @property {string[]} prefixes under which every path is recorded
 * @property {BaseUrl[]} bases base URLs that a variable has named
 */

/** @typedef {{ origin: string, prefix: string }} BaseUrl */

class Matcher {
  #includeAll;
  /** @type {readonly import('./host-rule.js').HostRule[]} */
  #rules;
  #warn;
  /** @type {Map<string, OriginFacts>} keyed by the origin as the hooks spell it */
  #origins = new Map();
  /** @type {Map<string, BaseUrl | null>} keyed by the variable's text: a changed variable is simply another key */
  #baseUrls = new Map();

  /**
   * @param {{ includeAllRequests: boolean, hosts: readonly string[] }} settings hosts: checked by `isHostRule`
   * @param {(text: string) => void} warn
   */
  constructor(settings, warn) {
    this.#includeAll = settings.includeAllRequests;
    this.#rules = settings.hosts.length === 0 ? [] : require('./host-rule.js').parseHostRules(settings.hosts);
    this.#warn = warn;
  }

  /**
   * @param {string} origin scheme, host and port of the connection's far end
   * @param {string} path the request target: a path, or an absolute URL (what a client sends to a proxy)
   * @param {string} method
   * @returns {boolean} whether the exchange is recorded
   */
  matches(origin, path, method) {
    // A tunnel is no exchange: what runs inside it is seen as requests of its own.
    return method !== 'CONNECT' && this.#covers(origin, path);
  }

  /**
   * @param {string} origin
   * @param {string} path
   * @returns {boolean}
   */
  #covers(origin, path) {
    if (path.charCodeAt(0) !== 47 /* / */) {
      const target = absoluteTarget(path);
      return target !== null && this.#covers(target.origin, target.pathname);
    }
    const bare = pathname(path);
    const shape = this.#includeAll ? SHAPE.LLM : shapeOf(bare);
    if (shape === SHAPE.OTHER && this.#rules.length === 0) return false;
    const facts = this.#factsOf(origin);
    if (facts.origin === '') return false;
    for (const prefix of facts.prefixes) {
      if (isUnder(bare, prefix)) return true;
    }
    if (shape === SHAPE.OTHER) return false;
    if (facts.known && shape === SHAPE.LLM) return true;
    return facts.bases.some((base) => this.#isUnder(base, bare, shape)) || this.#isUnderBaseUrl(facts, bare, shape);
  }

  /**
   * @param {OriginFacts} facts
   * @param {string} path
   * @param {number} shape
   */
  #isUnderBaseUrl(facts, path, shape) {
    for (const name of BASE_URL_VARIABLES) {
      const text = process.env[name];
      if (text === undefined || text === '') continue;
      const base = this.#baseUrl(name, text);
      if (base === null || base.origin !== facts.origin || !this.#isUnder(base, path, shape)) continue;
      facts.bases.push(base);
      return true;
    }
    return false;
  }

  /**
   * @param {BaseUrl} base
   * @param {string} path
   * @param {number} shape
   */
  #isUnder(base, path, shape) {
    if (this.#includeAll) return true;
    if (!isUnder(path, base.prefix)) return false;
    return shape === SHAPE.LLM || isUnder(path.slice(base.prefix.length), '/messages');
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  #baseUrl(name, text) {
    let base = this.#baseUrls.get(text);
    if (base === undefined) {
      base = parseBaseUrl(text);
      if (this.#baseUrls.size >= MAX_CACHED_ORIGINS) this.#baseUrls.clear();
      this.#baseUrls.set(text, base);
      if (base === null) {
        this.#warn(`${name}=${JSON.stringify(withoutSecrets(text))} is not an http(s) URL: only the known hosts are recorded`);
      }
    }
    return base;
  }

  /** @param {string} origin */
  #factsOf(origin) {
    let facts = this.#origins.get(origin);
    if (facts === undefined) {
      facts = this.#learn(origin);
      if (this.#origins.size >= MAX_CACHED_ORIGINS) this.#origins.clear();
      this.#origins.set(origin, facts);
    }
    return facts;
  }

  /**
   * @param {string} origin
   * @returns {OriginFacts}
   */
  #learn(origin) {
    let url;
    try {
      url = new URL(origin);
    } catch {
      return { origin: '', known: false, prefixes: [], bases: [] };
    }
    if (url.protocol !== 'http:' && url.protocol !== 'https:') return { origin: '', known: false, prefixes: [], bases: [] };
    const host = url.hostname.replace(/\.$/, '');
    return {
      origin: url.origin,
      known: KNOWN_HOSTS.some((pattern) => pattern.test(host)),
      prefixes: this.#rules.filter((rule) => rule.covers(url)).map((rule) => rule.prefix),
      bases: [],
    };
  }
}

/**
 * @param {string} text
 * @returns {BaseUrl | null}
 */
function parseBaseUrl(text) {
  const url = absoluteTarget(text.trim());
  return url === null ? null : { origin: url.origin, prefix: url.pathname.replace(/\/+$/, '') };
}

/** @param {string} text */
function absoluteTarget(text) {
  if (!/^https?:\/\//i.test(text)) return null;
  try {
    return new URL(text);
  } catch {
    return null;
  }
}

/**
 * For a message: a base URL may carry credentials in its user part or query even when it does not parse.
 * @param {string} text
 */
function withoutSecrets(text) {
  return text.replace(/[^/]*@/, '***@').replace(/[?#].*$/s, '').slice(0, 100);
}

exports.Matcher = Matcher;
exports.BASE_URL_VARIABLES = BASE_URL_VARIABLES;
