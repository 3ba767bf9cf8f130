'use strict';

// Where a node:http request goes. A ClientRequest keeps the protocol and the host it was made for, but not the port.

/**
 * @typedef {object} Target
 * @property {string} origin
 * @property {string} path the request target as it goes out: a path, or an absolute URL where a proxy is asked
 * @property {string} method
 */

/**
 * What the hook reads of a request and its response, with the members that Node does not document.
 * @typedef {import('node:http').ClientRequest & {
 *   _header: string | null, _headerSent: boolean, host: string, protocol: string,
 *   agent?: (import('node:http').Agent & { defaultPort?: number | string }) | null, res: Response | null,
 * }} Request
 * @typedef {import('node:http').IncomingMessage & {
 *   upgrade?: boolean | null, _dump: () => void, _dumped: boolean,
 * }} Response
 */

const SCHEME_PORTS = Object.freeze({ 'http:': '80', 'https:': '443' });

/**
 * @param {Request} request
 * @param {string} head
 * @returns {Target}
 */
function targetOf(request, head) {
  const afterMethod = head.indexOf(' ');
  const path = head.slice(afterMethod + 1, head.indexOf(' ', afterMethod + 1));
  return {
    method: head.slice(0, afterMethod),
    path,
    origin: (path.charCodeAt(0) === 47 /* / */ ? null : originOfUrl(path)) ?? originOf(request, head),
  };
}

/**
 * @param {string} path
 * @returns {string | null} null: no absolute URL (`*`, or the authority that CONNECT names)
 */
function originOfUrl(path) {
  if (!/^https?:\/\//i.test(path)) return null;
  try {
    return new URL(path).origin;
  } catch {
    return null;
  }
}

/**
 * The host is the one that the program asked for. A Host header of another name (a virtual host behind an address, a
 * private endpoint) does not change it; with the same name it is where the port stands.
 * @param {Request} request
 * @param {string} head
 * @returns {string}
 */
function originOf(request, head) {
  const { protocol } = request;
  let { host } = request;
  if (host.includes(':') && host[0] !== '[') host = `[${host}]`; // IPv6
  const header = hostHeader(request, head);
  const named = header.length === host.length || header.charCodeAt(host.length) === 58; /* : */
  if (named && (header.startsWith(host) || header.slice(0, host.length).toLowerCase() === host.toLowerCase())) {
    if (header.length > host.length) return `${protocol}//${header}`;
    // Without a port the header means the agent's default, which an agent of the program's own may have set.
    return `${protocol}//${host}${suffix(protocol, request.agent?.defaultPort)}`;
  }
  return `${protocol}//${host}${suffix(protocol, poolPort(request) ?? request.socket?.remotePort ?? request.agent?.defaultPort)}`;
}

/**
 * @param {string} protocol
 * @param {number | string | undefined} port
 */
function suffix(protocol, port) {
  if (port === undefined || String(port) === SCHEME_PORTS[/** @type {'http:'} */ (protocol)]) return '';
  return `:${port}`;
}

/**
 * @param {Request} request
 * @param {string} head
 * @returns {string}
 */
function hostHeader(request, head) {
  const value = request.getHeader('host');
  if (typeof value === 'string') return value;
  // Headers given as an array are rendered at once and never kept.
  return /\r\nhost:[ \t]*([^\r\n]*)/i.exec(head)?.[1] ?? '';
}

/**
 * The port by which the agent files its sockets and its waiting requests: their keys begin with `host:port:`. Cheaper and
 * less in the way than to follow the options through every agent's addRequest. Needed only where Host names another host.
 * @param {Request} request
 * @returns {string | undefined} undefined: it has none for this host, or several
 */
function poolPort({ agent, host }) {
  /** @type {string | undefined} */
  let port;
  for (const pool of [agent?.requests, agent?.sockets, agent?.freeSockets]) {
    for (const key of Object.keys(pool ?? {})) {
      if (!key.startsWith(`${host}:`)) continue;
      const found = /^\d+(?=:)/.exec(key.slice(host.length + 1))?.[0];
      if (found !== undefined && port !== undefined && found !== port) return undefined;
      port = found ?? port;
    }
  }
  return port;
}

module.exports = { targetOf };
