'use strict';

// The other end, in a process of its own: started by startServer (server-process.js), ended by its disconnect. It does as
// little as a server can, and keeps account of its own work, so that a run can say whether it was the bottleneck.

const http = require('node:http');
const { AGENT_PACES, agentAnswer, turnOf } = require('./agent-answers.js');
const { ANSWERS, HEADERS, bytesOf } = require('./answers.js');

/** More than the streams that a benchmark opens within a second. */
const BACKLOG = 4096;

let requests = 0;

const server = http.createServer((request, response) => {
  requests++;
  const [, kind, turns] = String(request.url).split('/', 3);
  if (kind in AGENT_PACES) return answerAgent(request, response, kind, Number(turns));
  const answer = ANSWERS[kind];
  request.resume().once('end', () => (answer === undefined ? response.writeHead(404).end() : send(answer, response)));
});

/**
 * An agent's conversation says itself how far it has come.
 * @param {http.IncomingMessage} request
 * @param {http.ServerResponse} response
 * @param {string} kind
 * @param {number} turns
 */
function answerAgent(request, response, kind, turns) {
  /** @type {Buffer[]} */
  const parts = [];
  request.on('data', (part) => parts.push(part)).once('end', () => send(agentAnswer(kind, turnOf(Buffer.concat(parts)), turns), response));
}

/**
 * @param {import('./answers.js').Answer} answer
 * @param {http.ServerResponse} response
 */
function send(answer, response) {
  const { chunks, paceMs, isStream, firstMs = 0 } = answer;
  const framing = isStream ? { 'content-type': 'text/event-stream; charset=utf-8' } : { 'content-type': 'application/json', 'content-length': bytesOf(answer) };
  response.writeHead(200, { ...HEADERS, ...framing });
  if (firstMs > 0) return void setTimeout(sendPaced, firstMs, chunks, paceMs, response);
  if (paceMs > 0) return sendPaced(chunks, paceMs, response);
  // One HTTP chunk each, though they are sent at once: the parser of the client still hands them out one by one. It is the
  // socket that is corked, because from Node 22 on a corked response makes one chunk of all, and sends it after the last one.
  response.socket?.cork();
  for (const chunk of chunks) response.write(chunk);
  response.end();
  response.socket?.uncork();
}

/**
 * By the clock and not by the last timer: what a late timer costs one gap, the next one gives back.
 * @param {readonly Buffer[]} chunks
 * @param {number} paceMs
 * @param {http.ServerResponse} response
 */
function sendPaced(chunks, paceMs, response) {
  const start = performance.now();
  let sent = 0;
  const next = () => {
    response.write(chunks[sent++]);
    if (sent === chunks.length) response.end();
    else setTimeout(next, Math.max(1, Math.round(start + sent * paceMs - performance.now())));
  };
  next();
}

process.on('disconnect', () => process.exit());
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ requests, busyMs: performance.eventLoopUtilization().active, cpuMs: (user + system) / 1e3 });
});
server.keepAliveTimeout = 60_000;
server.listen({ port: 0, host: '127.0.0.1', backlog: BACKLOG }, () => process.send?.({ port: /** @type {any} */ (server.address()).port }));
