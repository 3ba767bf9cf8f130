// An MCP server over Streamable HTTP, with an account of what it received and sent. What varies by itself (ids of sessions
// and events) does not here.

import { once } from 'node:events';
import http from 'node:http';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { makeServer } from './server.mjs';

/** Events are numbered within their streams, and streams in their order but for the one that a client opens by itself. */
class EventStore {
  #events = [];
  #names = new Map([['_GET_stream', 'get']]);

  storeEvent(streamId, message) {
    if (!this.#names.has(streamId)) this.#names.set(streamId, `post${this.#names.size}`);
    const name = this.#names.get(streamId);
    const id = `${name}-${this.#events.filter((event) => event.streamId === streamId).length}`;
    this.#events.push({ id, streamId, message });
    return Promise.resolve(id);
  }

  async replayEventsAfter(lastEventId, { send }) {
    const last = this.#events.findIndex(({ id }) => id === lastEventId);
    const { streamId } = this.#events[last];
    for (const event of this.#events.slice(last + 1)) if (event.streamId === streamId) await send(event.id, event.message);
    return streamId;
  }
}

/** Keeps what is written. */
function watch(request, response) {
  const entry = { method: request.method, headers: request.headers, asked: [], status: 0, sent: [] };
  request.prependListener('data', (bytes) => entry.asked.push(bytes));
  for (const method of ['write', 'end']) {
    const own = response[method];
    response[method] = function (data, ...rest) {
      if (typeof data === 'string' || data instanceof Uint8Array) entry.sent.push(Buffer.from(data));
      return own.call(this, data, ...rest);
    };
  }
  response.once('close', () => (entry.status = response.statusCode));
  return entry;
}

/** @param {object} [options] of the transport */
export async function startServer(options) {
  const mcp = makeServer();
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => 'session-1', eventStore: new EventStore(), retryInterval: 10, ...options });
  await mcp.connect(transport);
  const account = [];
  const server = http.createServer(async (request, response) => {
    account.push(watch(request, response));
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const text = Buffer.concat(pieces).toString();
    await transport.handleRequest(request, response, text === '' ? undefined : JSON.parse(text));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    /** Ends it, and says what it received and sent. */
    async stop() {
      await mcp.close();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
      return account.map(({ asked, sent, ...entry }) => ({ ...entry, asked: Buffer.concat(asked), sent: Buffer.concat(sent) }));
    },
  };
}
