'use strict';

// What a host program can see of a call, as plain data, so that a traced run can be compared with an untraced one.

const { createHash } = require('node:crypto');

/** @param {Uint8Array | string} bytes */
function digest(bytes) {
  return `${bytes.length} bytes, sha256 ${createHash('sha256').update(bytes).digest('hex')}`;
}

/** An error with its causes. Ports and addresses differ from run to run, so they are masked. */
function describeError(error, origin) {
  if (error === null || typeof error !== 'object') return { thrown: error };
  return {
    type: error.constructor?.name,
    name: error.name,
    code: error.code,
    message: mask(String(error.message), origin),
    keys: Object.keys(error).filter((key) => key !== 'socket'),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause, origin) }),
  };
}

/** Everything of a Response but its body. */
function describeResponse(response, origin) {
  return {
    status: response.status,
    statusText: response.statusText,
    ok: response.ok,
    type: response.type,
    url: mask(response.url, origin),
    redirected: response.redirected,
    headers: [...response.headers].filter(([name]) => name !== 'date'),
    keys: Object.keys(response),
    tag: Object.prototype.toString.call(response),
  };
}

function mask(text, origin) {
  return text.replaceAll(origin, 'http://server').replace(/127\.0\.0\.1:\d+/g, 'address:port');
}

/** Runs the host's code and describes how it came out. */
async function hostResult(run, origin) {
  try {
    return { value: await run() };
  } catch (error) {
    return { error: describeError(error, origin) };
  }
}

module.exports = { describeError, describeResponse, digest, hostResult };
