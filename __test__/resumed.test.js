'use strict';

// Streams that break off and are resumed, by real clients: which exchange is joined to which, and what was sent twice.

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const { once } = require('node:events');
const http = require('node:http');
const path = require('node:path');
const { test } = require('node:test');
const { readLog } = require('./support/log');
const { runClient } = require('./support/run-client');

const PACKAGE = process.env.CLAUDE_TRACE_TEST_PACKAGE ?? path.join(__dirname, '..');

/**
 * Runs a client against a server of this process.
 * @param {string} which @param {http.RequestListener} onRequest
 */
async function runAgainst(which, onRequest) {
  const server = http.createServer(onRequest).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    const env = { CLAUDE_TRACE_HOSTS: '127.0.0.1', NODE_NO_WARNINGS: '1' };
    const { stdout, stderr, code, cwd } = await runClient('resumed.mjs', { args: [which, `http://127.0.0.1:${port}/stream`, PACKAGE], env });
    assert.deepEqual({ code, stderr }, { code: 0, stderr: '' }, stdout);
    return { ...JSON.parse(stdout), records: readLog(cwd).map(({ value }) => value) };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Breaks the connection off behind what has been written. @param {http.ServerResponse} response */
const breakOff = (response) => /** @type {import('node:net').Socket} */ (response.socket).destroySoon();

/** Breaks it off as soon as it has sent that. @param {string} text @param {http.ServerResponse} response */
function breaksOffBehind(text, response) {
  const write = response.write.bind(response);
  return Object.assign(response, {
    write: (/** @type {Uint8Array} */ bytes) => write(bytes, () => Buffer.from(bytes).includes(text) && breakOff(response)),
  });
}

test('EventSource: each reconnection names the one before it, and what was sent twice counts once', async () => {
  const events = Array.from({ length: 7 }, (_, id) => `id: ${id}\ndata: ${id % 2 === 0 ? 'even' : 'odd'}\n\n`);
  // From which event each connection is served, and up to which: of the third the server has forgotten where the client was.
  const served = [[0, 3], [2, 5], [0, 6], [6, 7]].map(([from, to]) => events.slice(from, to).join(''));
  served[0] = `retry: 1\n\n${served[0]}`;
  served[3] += 'event: end\ndata: bye\n\n';
  const asked = [];
  const { seen, sse, records } = await runAgainst('eventsource', (request, response) => {
    const body = served[asked.length];
    asked.push(request.headers['last-event-id']);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const isLast = asked.length === served.length;
    response.write(body, () => isLast || breakOff(response));
  });
  assert.deepEqual(asked, [undefined, '2', '4', '5']);
  assert.equal(seen.length, 3 + 3 + 6 + 1, 'the client sees them all');
  assert.deepEqual(records.map(({ response }) => response.body_raw), served, 'verbatim');
  assert.deepEqual(records.map(({ trace }) => trace.resumes?.id), [undefined, ...records.slice(0, 3).map(({ trace }) => trace.id)]);
  assert.deepEqual(records.map(({ trace }) => trace.resumes?.replayed), [undefined, [[0, 1]], [[0, 5]], undefined]);
  assert.deepEqual(records.map(({ derived }) => derived.events), [{ count: 3 }, { count: 3, replayed: 1 }, { count: 6, replayed: 5 }, { count: 2 }]);
  const bytes = Buffer.byteLength(served.join(''));
  assert.deepEqual(sse, { streams: 4, events: 14, bytes, cutLines: 0, cutEvents: 0, reconnects: 3, replayedEvents: 6 });
});

test('the MCP client resumes the answer of a tool, by GET what it began by POST', async () => {
  const { McpServer } = await import('@modelcontextprotocol/sdk/server/mcp.js');
  const { StreamableHTTPServerTransport } = await import('@modelcontextprotocol/sdk/server/streamableHttp.js');
  const mcp = new McpServer({ name: 'counter', version: '1.0.0' });
  /** @type {() => void} */
  let resumed = () => {};
  const isResumed = new Promise((resolve) => (resumed = () => resolve(undefined)));
  /** @type {{ id: string, stream: string, message: any }[]} */
  const stored = [];
  const eventStore = {
    async storeEvent(/** @type {string} */ stream, /** @type {any} */ message) {
      const id = `${stream}/${stored.length}`;
      stored.push({ id, stream, message });
      return id;
    },
    async replayEventsAfter(/** @type {string} */ last, /** @type {{ send(id: string, message: any): Promise<void> }} */ { send }) {
      const at = stored.findIndex(({ id }) => id === last);
      const { stream } = stored[at];
      // One that counts from the wrong end: the last event once more.
      for (const event of stored.slice(at)) if (event.stream === stream) await send(event.id, event.message);
      // What follows goes to the new connection from when the transport has heard of this.
      setImmediate(resumed);
      return stream;
    },
  };
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: randomUUID, eventStore });
  /** @type {http.ServerResponse | undefined} that of the tool's call */
  let answer;
  mcp.registerTool('count', {}, async ({ _meta, sendNotification }) => {
    const tell = (/** @type {number} */ progress) =>
      sendNotification({ method: 'notifications/progress', params: { progressToken: /** @type {string} */ (_meta?.progressToken), progress } });
    const isBroken = once(/** @type {http.ServerResponse} */ (answer), 'close');
    for (const progress of [1, 2, 3]) await tell(progress);
    await isBroken;
    // Nobody listens now: the server keeps it for later.
    await tell(4);
    await isResumed;
    await tell(5);
    return { content: [{ type: 'text', text: 'counted' }] };
  });
  await mcp.connect(/** @type {any} */ (transport));
  const { seen, sse, records } = await runAgainst('mcp', async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = chunks.length > 0 ? JSON.parse(Buffer.concat(chunks).toString()) : undefined;
    if (body?.method === 'tools/call') answer = breaksOffBehind('"progress":3', response);
    await transport.handleRequest(request, response, body);
  });
  assert.deepEqual(seen, { progress: [1, 2, 3, 3, 4, 5], text: 'counted' });
  const call = records.find(({ request }) => request.body?.method === 'tools/call');
  const resumptions = records.filter(({ request }) => request.headers['last-event-id']);
  assert.equal(resumptions.length, 1);
  assert.equal(call.request.method, 'POST');
  assert.equal(resumptions[0].request.method, 'GET');
  assert.deepEqual(resumptions[0].trace.resumes, { id: call.trace.id, replayed: [[0, 1]] });
  assert.equal(call.trace.partial, true);
  const both = call.response.body_raw + resumptions[0].response.body_raw;
  assert.deepEqual([...both.matchAll(/"progress":(\d)/g)].map(([, progress]) => progress), ['1', '2', '3', '3', '4', '5']);
  assert.deepEqual([sse.reconnects, sse.replayedEvents], [1, 1]);
  assert.ok(!records.some((record) => record !== resumptions[0] && record.trace.resumes));
});
