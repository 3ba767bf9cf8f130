import axios from 'axios';
import { attempt, digest, url } from './say.mjs';

const body = (scenario, more) => ({ model: `claude-standin-${scenario}`, max_tokens: 64, messages: [{ role: 'user', content: 'Héllo 😀' }], ...more });
const headers = { 'x-api-key': 'sk-ant-made-up-0123456789abcdef' };

for (const adapter of ['http', 'fetch']) {
  const client = axios.create({ baseURL: url, adapter, headers });
  for (const scenario of ['text', 'unicode+gzip', 'thinking+br', 'text+redirect', 'text+overloaded']) {
    await attempt(`${adapter}: ${scenario}`, async () => {
      const { status, data, headers: answered } = await client.post('/v1/messages', body(scenario));
      return { status, data, id: answered['request-id'] };
    });
  }
  await attempt(`${adapter}: text stream`, async () => (await client.post('/v1/messages', body('long', { stream: true }), { responseType: 'text' })).data.length);
  await attempt(`${adapter}: streamed`, async () => {
    const { data } = await client.post('/v1/messages', body('unicode+gzip', { stream: true }), { responseType: 'stream' });
    const parts = [];
    for await (const part of data) parts.push(Buffer.from(part));
    return Buffer.concat(parts).toString();
  });
  await attempt(`${adapter}: arraybuffer`, async () => digest(new Uint8Array((await client.get('/v1/messages/bytes?n=20000', { responseType: 'arraybuffer' })).data)));
  await attempt(`${adapter}: aborted`, async () => {
    const controller = new AbortController();
    const { data } = await client.post('/v1/messages', body('text+stall', { stream: true }), { responseType: 'stream', signal: controller.signal });
    for await (const part of data) if (part) controller.abort();
  });
  await attempt(`${adapter}: timeout`, () => client.post('/v1/messages', body('hang'), { timeout: 300 }));
}
