// An MCP client of a server on its standard streams. Arguments: what to do, and the server's command line.

import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { beRefused, beginWaiting, converse, makeClient, takeBack } from './conversation.mjs';

const [what, command, ...args] = process.argv.slice(2);
const client = makeClient();
await client.connect(new StdioClientTransport({ command, args, env: process.env }));
if (what === 'wait') {
  client.onclose = () => console.log('closed');
  await beginWaiting(client);
} else {
  await converse(client, [['add', { a: 1, b: 2 }], ['big', { length: 30_000 }], ['fail', {}], ['count', { to: 4 }], ['ask', {}], ['stray', {}]]);
  await beRefused(client);
  await takeBack(client);
  console.log('pong', JSON.stringify(await client.ping()));
  await client.close();
}
