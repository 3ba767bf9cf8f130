// Clients whose connection breaks off and who go on where they were. argv: which one, the server, where the package lies.

import { createRequire } from 'node:module';

const [which, url, packageFolder] = process.argv.slice(2);
const { ClaudeTrafficLogger } = createRequire(import.meta.url)(packageFolder);
const CLIENTS = { eventsource, mcp };

/** The npm package, which is the EventSource of the standard. */
async function eventsource() {
  const { EventSource } = await import('eventsource');
  const source = new EventSource(url);
  return new Promise((resolve) => {
    const seen = [];
    source.onmessage = ({ lastEventId, data }) => seen.push([lastEventId, data]);
    source.addEventListener('end', () => {
      source.close();
      resolve(seen);
    });
  });
}

/** The official client of the Model Context Protocol, in the middle of a tool's work. */
async function mcp() {
  const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
  const { StreamableHTTPClientTransport } = await import('@modelcontextprotocol/sdk/client/streamableHttp.js');
  const client = new Client({ name: 'resumed', version: '1.0.0' });
  const reconnectionOptions = { initialReconnectionDelay: 1, maxReconnectionDelay: 1, reconnectionDelayGrowFactor: 1, maxRetries: 5 };
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { reconnectionOptions }));
  const progress = [];
  const result = await client.callTool({ name: 'count', arguments: {} }, undefined, { onprogress: (step) => progress.push(step.progress) });
  await client.close();
  return { progress, text: result.content[0].text };
}

const logger = new ClaudeTrafficLogger({ zeroLatency: { enabled: true, deferredParsing: false, backgroundWorkers: 3 } });
logger.instrumentAll();
const seen = await CLIENTS[which]();
await logger.cleanup();
process.stdout.write(`${JSON.stringify({ seen, sse: logger.getStats().sse })}\n`);
