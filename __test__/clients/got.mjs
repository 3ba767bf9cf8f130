import got from 'got';
import { attempt, digest, url } from './say.mjs';

const json = (scenario, more) => ({ model: `claude-standin-${scenario}`, max_tokens: 64, messages: [{ role: 'user', content: 'Héllo 😀' }], ...more });
const client = got.extend({ prefixUrl: url, headers: { authorization: 'Bearer made-up-token-0123456789abcdef' }, retry: { limit: 0 } });
const retrying = client.extend({ retry: { limit: 1, methods: ['POST'], statusCodes: [429, 529], calculateDelay: ({ computedValue }) => (computedValue ? 1 : 0) } });

for (const scenario of ['text', 'unicode+gzip', 'thinking+br', 'text+deflate', 'text+overloaded']) {
  await attempt(scenario, async () => {
    const { statusCode, body, headers } = await client.post('v1/messages', { json: json(scenario) });
    return { statusCode, body, id: headers['request-id'] };
  });
}
await attempt('retried', () => retrying.post('v1/messages', { json: json('text+overloaded-once') }).json());
await attempt('redirected', () => client.get('v1/messages/hops?n=2').text());
await attempt('buffer', async () => digest(await client.get('v1/messages/bytes?n=30000').buffer()));
await attempt('stream', async () => {
  const parts = [];
  for await (const part of client.stream.post('v1/messages', { json: json('unicode+tear', { stream: true }) })) parts.push(part);
  return Buffer.concat(parts).toString();
});
await attempt('stream, destroyed', async () => {
  for await (const part of client.stream.post('v1/messages', { json: json('text+stall', { stream: true }) })) if (part) break;
  return 'left';
});
await attempt('timeout', () => client.post('v1/messages', { json: json('hang'), timeout: { response: 300 } }));
await attempt('https', () => got.post(`${process.env.STANDIN_HTTPS}/v1/messages`, { json: json('text') }).json());
await attempt('https over HTTP/2', () => got.post(`${process.env.STANDIN_HTTPS}/v1/messages`, { json: json('text'), http2: true }).json());
