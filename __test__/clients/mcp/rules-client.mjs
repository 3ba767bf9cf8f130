// An MCP client behind rules. Arguments: the server's command line; or its URL, and which step is the last.

import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { makeClient } from './conversation.mjs';

const [command, ...args] = process.argv.slice(2);
const say = (what, value) => console.log(`${what}: ${JSON.stringify(value)}`);
const client = makeClient();
const heard = [];
client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => heard.push(params.data));
const isUrl = command.startsWith('http:');
await client.connect(isUrl ? new StreamableHTTPClientTransport(new URL('/mcp', command)) : new StdioClientTransport({ command, args, env: process.env }));
const call = (name, args, options) =>
  client.callTool({ name, arguments: args }, undefined, options).then(
    ({ content }) => content[0].text,
    (error) => [error.code, error.message],
  );
say('fail', await call('fail', {}));
say('add', await call('add', { a: 1, b: 2 }));
const began = performance.now();
say('slow', await call('add', { a: 40, b: 2 }));
say('slow enough', performance.now() - began >= 200);
if (args[0] !== 'slow') {
  const progress = [];
  say('count', await call('count', { to: 3 }, { onprogress: (now) => progress.push(now.progress) }));
  say('progress', progress);
}
// Streams that are open when it ends are told as errors.
client.onerror = undefined;
await client.close();
