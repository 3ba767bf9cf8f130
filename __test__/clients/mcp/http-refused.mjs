// An MCP client over Streamable HTTP that is told of an error. Argument: the server's URL.

import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { beRefused, makeClient } from './conversation.mjs';

const client = makeClient();
await client.connect(new StreamableHTTPClientTransport(new URL('/mcp', process.argv[2])));
await beRefused(client);
// Streams that are open when it ends are told as errors.
client.onerror = undefined;
await client.close();
