// An MCP client over Streamable HTTP. Argument: the server's URL. Prints what it came to, and each response's digest.

import { createHash } from 'node:crypto';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { converse, makeClient } from './conversation.mjs';

const received = [];
const watched = async (url, init) => {
  const response = await fetch(url, init);
  const hash = createHash('sha256');
  const entry = [init.method, response.status, response.headers.get('content-type'), init.body ?? '', hash];
  received.push(entry);
  if (response.body === null) return response;
  const watch = new TransformStream({
    transform(bytes, controller) {
      hash.update(bytes);
      controller.enqueue(bytes);
    },
  });
  return new Response(response.body.pipeThrough(watch), response);
};

const client = makeClient();
const transport = new StreamableHTTPClientTransport(new URL('/mcp', process.argv[2]), { fetch: watched });
await client.connect(transport);
await converse(client, [['add', { a: 1, b: 2 }], ['big', { length: 30_000 }], ['fail', {}], ['count', { to: 4 }], ['ask', {}]]);
console.log('pong', JSON.stringify(await client.ping()));
// Streams that are open when it ends are told as errors, in no order. A session that is terminated has them resumed, or not.
client.onerror = undefined;
await client.close();
for (const entry of received.map((entry) => JSON.stringify(entry.with(-1, entry.at(-1).digest('hex')))).sort()) console.log(entry);
