// What the MCP servers of both transports offer: each kind of message that MCP has, in both directions.

import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { EmptyResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';

const text = (value) => ({ content: [{ type: 'text', text: value }] });

export function makeServer() {
  const mcp = new McpServer({ name: 'sums', version: '1.0.0' }, { capabilities: { logging: {}, tools: {} } });
  const { server } = mcp;
  mcp.registerTool('add', { inputSchema: { a: z.number(), b: z.number() } }, ({ a, b }) => text(String(a + b)));
  mcp.registerTool('echo', { inputSchema: { text: z.string() } }, ({ text: said }) => text(said));
  mcp.registerTool('big', { inputSchema: { length: z.number() } }, ({ length }) => text('é😀\n'.repeat(length)));
  mcp.registerTool('fail', {}, () => {
    throw new Error('it was asked to fail');
  });
  mcp.registerTool('count', { inputSchema: { to: z.number() } }, async ({ to }, extra) => {
    for (let progress = 1; progress <= to; progress++) {
      const params = { progressToken: extra._meta?.progressToken, progress, total: to };
      await extra.sendNotification({ method: 'notifications/progress', params });
      // In the middle of it the stream is closed: the client comes back for the rest.
      if (progress === 2) extra.closeSSEStream?.();
      // The client has heard of it: what arrives at once would be dropped or not as the SDK's promises fall.
      await extra.sendRequest({ method: 'ping' }, EmptyResultSchema);
    }
    return text(`counted to ${to}`);
  });
  mcp.registerTool('ask', {}, async (extra) => {
    const messages = [{ role: 'user', content: { type: 'text', text: 'what is it?' } }];
    const options = { relatedRequestId: extra.requestId };
    const said = await server.createMessage({ messages, maxTokens: 10 }, options);
    const schema = { type: 'object', properties: { sure: { type: 'boolean' } }, required: ['sure'] };
    const sure = await server.elicitInput({ mode: 'form', message: 'are you sure?', requestedSchema: schema }, options);
    return text(`${said.content.text}, ${JSON.stringify(sure)}`);
  });
  mcp.registerTool('stray', {}, () => {
    console.log('this is no message');
    return text('said');
  });
  // Says that it waits, and waits for ever.
  mcp.registerTool('wait', {}, async (extra) => {
    await extra.sendNotification({ method: 'notifications/message', params: { level: 'info', data: 'waiting' } });
    await new Promise((resolve) => extra.signal.addEventListener('abort', resolve));
    return text('too late');
  });
  return mcp;
}
