// An MCP client of a server on its standard streams, behind rules. Arguments: the server's command line.

import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { makeClient } from './conversation.mjs';

const [command, ...args] = process.argv.slice(2);
const say = (what, value) => console.log(`${what}: ${JSON.stringify(value)}`);
const client = makeClient();
const heard = [];
client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => heard.push(params.data));
await client.connect(new StdioClientTransport({ command, args, env: process.env }));
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
const progress = [];
say('count', await call('count', { to: 3 }, { onprogress: (now) => progress.push(now.progress) }));
say('progress', progress);
await client.close();
