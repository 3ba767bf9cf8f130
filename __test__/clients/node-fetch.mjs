import fetch, { FormData, Request } from 'node-fetch';
import { attempt, digest, url } from './say.mjs';

const messages = `${url}/v1/messages`;
const body = (scenario, more) => JSON.stringify({ model: `claude-standin-${scenario}`, max_tokens: 64, messages: [{ role: 'user', content: 'Héllo 😀' }], ...more });
const show = async (response) => ({ status: response.status, url: response.url.replace(url, ''), redirected: response.redirected, body: digest(new Uint8Array(await response.arrayBuffer())) });

for (const scenario of ['text', 'unicode+gzip', 'thinking+br', 'text+deflate', 'text+redirect', 'text+overloaded']) {
  await attempt(scenario, async () => show(await fetch(messages, { method: 'POST', body: body(scenario) })));
  await attempt(`stream ${scenario}`, async () => show(await fetch(messages, { method: 'POST', body: body(scenario, { stream: true }) })));
}
await attempt('Request', async () => show(await fetch(new Request(messages, { method: 'POST', body: body('text'), headers: { 'x-api-key': 'sk-ant-made-up-0123456789abcdef' } }))));
await attempt('URLSearchParams', async () => show(await fetch(`${messages}/echo`, { method: 'POST', body: new URLSearchParams({ a: 'ü' }) })));
await attempt('FormData', async () => {
  const form = new FormData();
  form.append('name', 'wörld');
  return (await show(await fetch(`${messages}/echo`, { method: 'POST', body: form }))).status;
});
await attempt('chunk by chunk', async () => {
  const response = await fetch(messages, { method: 'POST', body: body('unicode+tear', { stream: true }) });
  const parts = [];
  for await (const part of response.body) parts.push(part);
  return Buffer.concat(parts).toString();
});
await attempt('aborted', async () => {
  const controller = new AbortController();
  const response = await fetch(messages, { method: 'POST', body: body('text+stall', { stream: true }), signal: controller.signal });
  for await (const part of response.body) if (part) controller.abort();
});
