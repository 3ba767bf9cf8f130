// An MCP client over Streamable HTTP whose recorded messages an interceptor sees. Argument: the server's URL.

import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { createRequire } from 'node:module';
import { makeClient } from './conversation.mjs';

const { initializeInterceptor } = createRequire(import.meta.url)(process.env.PACKAGE);
const logger = initializeInterceptor();
/** By exchange: one is not told of in the order of another. */
const seen = new Map();
logger.use({
  name: 'mask',
  match: { path: '/mcp', method: 'POST' },
  onEvents(batch) {
    for (const event of batch) {
      if (event.data === '') continue;
      const { id, method, result } = event.json();
      const { exchange } = batch;
      const said = `${exchange.response === null ? 'asks' : 'answers'} ${method ?? Object.keys(result)[0]}`;
      seen.set(exchange, [...(seen.get(exchange) ?? []), said]);
      if (method === 'notifications/initialized') event.drop();
      if (id !== undefined) event.replace(event.data.replaceAll('secret', '******'));
    }
  },
});
const client = makeClient();
await client.connect(new StreamableHTTPClientTransport(new URL('/mcp', process.argv[2])));
const { content } = await client.callTool({ name: 'echo', arguments: { text: 'a secret' } });
console.log(content[0].text);
client.onerror = undefined;
await client.close();
await logger.cleanup();
console.log(JSON.stringify([...seen.values()].map(String).sort()));
