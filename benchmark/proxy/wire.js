'use strict';

// What client and upstream agree on.

/** Bytes of an event of a stream. */
const CHUNK_BYTES = 150;
/** Bytes of an answer of JSON. */
const JSON_BYTES = 500;
/** Bytes of a request's body. */
const REQUEST_BYTES = 1024;

/** Microseconds of a clock that all processes of the machine share. */
const now = () => Number(process.hrtime.bigint()) / 1e3;

module.exports = { CHUNK_BYTES, JSON_BYTES, REQUEST_BYTES, now };
