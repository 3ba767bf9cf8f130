'use strict';

// The numbers of crates/core/src/exchange.rs. They stand in spool files, so they never change their meaning.

/** Which hook saw an exchange. */
const SOURCE = Object.freeze({ UNDICI: 1, HTTP: 2, HTTP2: 3, FETCH: 4 });

/** What an entry says. */
const KIND = Object.freeze({
  REQUEST_HEAD: 1,
  REQUEST_BODY: 2,
  REQUEST_END: 3,
  RESPONSE_HEAD: 4,
  RESPONSE_BODY: 5,
  RESPONSE_END: 6,
  ERROR: 7,
  ABANDON: 8,
});

module.exports = { SOURCE, KIND };
