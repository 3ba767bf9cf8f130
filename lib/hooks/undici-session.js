'use strict';

/**
 * Whether an http2 session belongs to undici, all of whose exchanges undici.js records: Node 26's fetch speaks HTTP/2
 * wherever the server does, through node:http2.
 *
 * undici 6 to 8 keep their count of streams on the session, under a symbol of this description, from before the first
 * request (lib/dispatcher/client-h2.js there).
 * @param {object} session
 * @returns {boolean}
 */
function isUndiciSession(session) {
  return Object.getOwnPropertySymbols(session).some(({ description }) => description === 'open streams');
}

module.exports = { isUndiciSession };
