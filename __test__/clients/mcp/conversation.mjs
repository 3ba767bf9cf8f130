// What the MCP clients of both transports do, and what they print of it.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { CreateMessageRequestSchema, ElicitRequestSchema, LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';

const say = (what, value) => console.log(`${what}: ${JSON.stringify(value)}`);

/** A client that answers what a server asks of it. */
export function makeClient() {
  const client = new Client({ name: 'asker', version: '1.0.0' }, { capabilities: { sampling: {}, elicitation: { form: {} } } });
  client.setRequestHandler(CreateMessageRequestSchema, () => ({ model: 'none', role: 'assistant', content: { type: 'text', text: 'it is fine' } }));
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: { sure: true } }));
  client.onerror = (error) => say('error', error.message.split('\n')[0].slice(0, 60));
  return client;
}

/** @param {Client} client connected */
export async function converse(client, tools) {
  say('server', [client.getServerVersion(), client.getServerCapabilities()]);
  say('tools', (await client.listTools()).tools.map((tool) => tool.name));
  const call = (name, args, options) => client.callTool({ name, arguments: args }, undefined, options);
  for (const [name, args] of tools) {
    const progress = [];
    const options = name === 'count' ? { onprogress: (now) => progress.push(now) } : undefined;
    const { content, isError } = await call(name, args, options);
    say(name, [content[0].text.length < 200 ? content[0].text : content[0].text.length, isError, progress]);
  }
}

/** Asks for what there is not. Over HTTP the SDK takes a stream with an error for one that broke off, and resumes it some time. */
export async function beRefused(client) {
  await client.readResource({ uri: 'file:///none' }).catch((error) => say('refused', [error.code, error.message]));
}

/** Begins a call that is never answered, and waits until the server has it. @param {Client} client */
export async function beginWaiting(client, options) {
  const waiting = new Promise((resolve) => client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => resolve(params.data)));
  const call = client.callTool({ name: 'wait', arguments: {} }, undefined, options).catch((error) => error.message);
  say('it says', await waiting);
  return { call };
}

/** Begins one, and takes it back. @param {Client} client */
export async function takeBack(client) {
  const controller = new AbortController();
  const { call } = await beginWaiting(client, { signal: controller.signal });
  controller.abort(new Error('no longer wanted'));
  say('taken back', await call);
}
