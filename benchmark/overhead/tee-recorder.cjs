'use strict';

// The recorder that one would write in an afternoon, as well as it can be written within the process: fetch is wrapped, the
// body of a response is split by `tee()`, one branch goes to the client and the other is read here, and the pair becomes a line
// in a file that is appended to without waiting for it. Nothing survives a kill, and a client that reads slowly has its answer
// buffered here; that is what it costs less.

const fs = require('node:fs');
const path = require('node:path');

const folder = path.join(process.cwd(), '.claude-trace');
const original = globalThis.fetch;
/** @type {fs.WriteStream | undefined} */
let log;

/** @param {unknown} pair */
function append(pair) {
  if (log === undefined) {
    fs.mkdirSync(folder, { recursive: true });
    log = fs.createWriteStream(path.join(folder, 'tee.jsonl'), { flags: 'a' });
  }
  log.write(`${JSON.stringify(pair)}\n`);
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * @param {any} request
 * @param {Response} response
 * @param {ReadableStream<Uint8Array>} branch
 */
async function record(request, response, branch) {
  const decoder = new TextDecoder();
  let text = '';
  try {
    for await (const chunk of /** @type {any} */ (branch)) text += decoder.decode(chunk, { stream: true });
  } catch {
    // The client gets the same error from its own branch; what has come so far is worth a line.
  }
  text += decoder.decode();
  const headers = Object.fromEntries(response.headers);
  const body = headers['content-type']?.includes('event-stream') ? { body_raw: text } : { body: parsed(text) };
  append({ request, response: { timestamp: Date.now() / 1e3, status_code: response.status, headers, ...body } });
}

globalThis.fetch = async function fetch(input, init) {
  const sent = init?.body;
  const request = {
    timestamp: Date.now() / 1e3,
    method: init?.method ?? 'GET',
    url: String(input instanceof Request ? input.url : input),
    headers: Object.fromEntries(new Headers(init?.headers)),
    body: typeof sent === 'string' ? parsed(sent) : null,
  };
  const response = await original(input, init);
  if (response.body === null) return response;
  const [theirs, ours] = response.body.tee();
  void record(request, response, ours);
  return new Response(theirs, response);
};
