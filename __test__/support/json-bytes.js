'use strict';

// JSON as bytes. JSON.parse forgets how a number was written, which key came twice and which character was escaped; a log
// that claims to hold what was sent is compared without it.

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACES = new Set([0x20, 0x09, 0x0a, 0x0d]);
const OPENING = new Set([0x7b, 0x5b]);
const CLOSING = new Set([0x7d, 0x5d]);

/** The bytes without the white space between tokens. @param {Buffer} bytes */
function withoutSpace(bytes) {
  const out = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (!inString && SPACES.has(byte)) continue;
    out[length++] = byte;
    if (byte === QUOTE) inString = !inString;
    else if (inString && byte === BACKSLASH) out[length++] = bytes[++i];
  }
  return out.subarray(0, length);
}

/** Index just behind the value that starts at `at`. @param {Buffer} bytes @param {number} at */
function endOfValue(bytes, at) {
  let depth = 0;
  let i = at;
  do {
    const byte = bytes[i];
    if (byte === QUOTE) {
      for (i++; bytes[i] !== QUOTE; i++) if (bytes[i] === BACKSLASH) i++;
      i++;
    } else if (OPENING.has(byte)) {
      depth++;
      i++;
    } else if (CLOSING.has(byte)) {
      depth--;
      i++;
    } else {
      i++;
      // A number, true, false, null: up to what ends it.
      if (depth === 0) while (i < bytes.length && !CLOSING.has(bytes[i]) && bytes[i] !== 0x2c && !SPACES.has(bytes[i])) i++;
    }
  } while (depth > 0 && i < bytes.length);
  return i;
}

/**
 * The bytes of the value at a path of keys, as they stand in a compact JSON text (a log line); `null` when a key is missing.
 * @param {Buffer} bytes @param {string[]} keys @returns {Buffer | null}
 */
function valueAt(bytes, keys) {
  let object = bytes;
  for (const key of keys) {
    if (object[0] !== 0x7b) return null;
    let found = null;
    let i = 1;
    while (i < object.length && object[i] === QUOTE && !found) {
      const keyEnd = endOfValue(object, i);
      const valueEnd = endOfValue(object, keyEnd + 1);
      if (JSON.parse(object.toString('utf8', i, keyEnd)) === key) found = object.subarray(keyEnd + 1, valueEnd);
      i = valueEnd + 1;
    }
    if (!found) return null;
    object = found;
  }
  return object;
}

module.exports = { withoutSpace, valueAt };
