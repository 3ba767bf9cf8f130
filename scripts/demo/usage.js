'use strict';

// Just enough of the Messages API to fill the demo's table.

/**
 * @typedef {object} Usage
 * @property {string} model
 * @property {number} input tokens that were neither read from nor written to the cache
 * @property {number} cacheWrite
 * @property {number} cacheRead
 * @property {number} output
 * @property {string | null} stop why the model stopped
 * @property {string | null} error what the API said went wrong
 * @property {number | null} firstTokenAt offset of the first delta's event in the body, in bytes; `null` without a stream
 */

/** @param {any} record a line of the log, parsed @returns {Usage} */
function usageOf(record) {
  const { request, response } = record;
  /** @type {Usage} */
  const usage = { model: String(request.body?.model ?? ''), input: 0, cacheWrite: 0, cacheRead: 0, output: 0, stop: null, error: null, firstTokenAt: null };
  if (response === null) usage.error = record.trace?.error?.message ?? record.note ?? 'no response';
  else if (typeof response.body_raw === 'string' && /event-stream/.test(response.headers['content-type'])) readStream(response.body_raw, usage);
  else readMessage(jsonOf(response), usage);
  return usage;
}

/** A body that was cut short is text, even if its type says JSON. @param {any} response */
function jsonOf({ body, body_raw: raw }) {
  if (body !== undefined) return body;
  try {
    return JSON.parse(raw);
  } catch {
    return null;
  }
}

/** @param {any} message @param {Usage} usage */
function readMessage(message, usage) {
  if (message?.type === 'error') usage.error = message.error?.type;
  if (message?.type !== 'message') return;
  count(message.usage, usage);
  usage.model = message.model;
  usage.stop = message.stop_reason;
}

/** @param {string} text @param {Usage} usage */
function readStream(text, usage) {
  let offset = 0;
  for (const block of text.split('\n\n')) {
    const event = eventOf(block);
    if (event?.type === 'message_start') {
      usage.model = event.message.model;
      count(event.message.usage, usage);
    } else if (event?.type === 'content_block_delta') {
      usage.firstTokenAt ??= offset;
    } else if (event?.type === 'message_delta') {
      usage.stop = event.delta.stop_reason;
      count(event.usage, usage);
    } else if (event?.type === 'error') {
      usage.error = event.error?.type;
    }
    offset += Buffer.byteLength(block) + 2;
  }
}

/** @param {string} block @returns {any} */
function eventOf(block) {
  const data = block.split('\n').find((line) => line.startsWith('data: '));
  try {
    return data === undefined ? null : JSON.parse(data.slice('data: '.length));
  } catch {
    return null; // the last event of a broken stream
  }
}

/** A later event's counts replace an earlier one's; they do not add up. @param {any} counts @param {Usage} usage */
function count(counts, usage) {
  usage.input = counts?.input_tokens ?? usage.input;
  usage.cacheWrite = counts?.cache_creation_input_tokens ?? usage.cacheWrite;
  usage.cacheRead = counts?.cache_read_input_tokens ?? usage.cacheRead;
  usage.output = counts?.output_tokens ?? usage.output;
}

/**
 * When the first token arrived, in ms after the request. The chunks on record are those of the wire, so with a content
 * encoding only the first chunk of the body is known.
 * @param {any} record @param {Usage} usage @returns {number | null}
 */
function firstTokenMs({ trace }, { firstTokenAt }) {
  if (firstTokenAt === null || !trace?.chunks) return null;
  if (trace.content_encoding) return trace.timing_ms.first_chunk;
  let end = 0;
  const index = trace.chunks.bytes.findIndex((/** @type {number} */ bytes) => (end += bytes) > firstTokenAt);
  return trace.chunks.at_ms[index] ?? null;
}

module.exports = { usageOf, firstTokenMs };
