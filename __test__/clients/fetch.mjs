// The global fetch with every kind of input and body.

import { attempt, digest, openGate, url, waitAtGate } from './say.mjs';

const echo = `${url}/v1/messages/echo`;
const messages = `${url}/v1/messages`;
const json = (scenario, more) => JSON.stringify({ model: `claude-standin-${scenario}`, max_tokens: 64, messages: [{ role: 'user', content: 'Héllo 😀' }], ...more });
const bytes = Uint8Array.from({ length: 3000 }, (_, i) => (i * 131) & 0xff);
const show = async (response) => {
  const body = new Uint8Array(await response.arrayBuffer());
  return { status: response.status, url: response.url.replace(url, ''), redirected: response.redirected, type: response.type, isResponse: response instanceof Response, headers: [...response.headers], body: digest(body) };
};
async function* pieces() {
  for (const piece of ['first, ', 'sécond, ', 'third 😀']) yield new TextEncoder().encode(piece);
}
const stream = () => ReadableStream.from(pieces());
const form = () => {
  const data = new FormData();
  data.append('name', 'wörld');
  data.append('file', new Blob([bytes], { type: 'image/png' }), 'picture.png');
  return data;
};

const BODIES = {
  string: () => ({ body: 'pläin text' }),
  json: () => ({ body: ' { "spaced" : [ 1.0, 1e3, "\\u00e9\\/" ] , "twice":1,"twice":2 } ', headers: { 'content-type': 'application/json' } }),
  'json of 1 MB': () => ({ body: JSON.stringify({ text: 'ß😀x'.repeat(150_000) }), headers: { 'content-type': 'application/json' } }),
  'broken json': () => ({ body: '{"cut": ', headers: { 'content-type': 'application/json' } }),
  bytes: () => ({ body: bytes }),
  'a view': () => ({ body: bytes.subarray(100, 200) }),
  'array buffer': () => ({ body: bytes.slice().buffer }),
  blob: () => ({ body: new Blob(['a blob ', bytes], { type: 'application/x-thing' }) }),
  'search params': () => ({ body: new URLSearchParams({ a: '1 2', b: 'ü' }) }),
  stream: () => ({ body: stream(), duplex: 'half', headers: { 'content-type': 'text/plain' } }),
  'bytes that are no UTF-8, as text': () => ({ body: bytes, headers: { 'content-type': 'text/plain; charset=utf-8' } }),
  empty: () => ({ body: '' }),
};
for (const [name, init] of Object.entries(BODIES)) {
  await attempt(`fetch(string) ${name}`, async () => show(await fetch(echo, { method: 'POST', ...init() })));
  await attempt(`fetch(Request) ${name}`, async () => show(await fetch(new Request(new URL(echo), { method: 'PUT', ...init() }))));
}
// A boundary is random: only what the server got can be compared, not what was printed.
await attempt('form data', async () => (await show(await fetch(echo, { method: 'POST', body: form() }))).status);

await attempt('fetch(URL)', async () => show(await fetch(new URL(`${echo}?a=b#hash`))));
await attempt('fetch(Request, init)', async () => show(await fetch(new Request(echo, { method: 'POST', body: 'x', headers: { 'x-a': '1' } }), { headers: { 'x-b': '2' } })));
await attempt('Headers object', async () => show(await fetch(messages, { method: 'POST', body: json('text'), headers: new Headers([['x-api-key', 'sk-ant-made-up-0123456789abcdef'], ['content-type', 'application/json']]) })));
await attempt('a key in the URL', async () => (await show(await fetch(`${url}/v1/messages/bytes?n=5&key=made-up-url-key-0123456789abcdef`))).body);
await attempt('HEAD', async () => show(await fetch(`${url}/v1/messages/bytes?n=100`, { method: 'HEAD' })));
for (const code of [200, 204, 304, 418, 500]) await attempt(`status ${code}`, async () => show(await fetch(`${url}/v1/messages/status?is=${code}`)));
await attempt('binary response', async () => show(await fetch(`${url}/v1/messages/bytes?n=100000`)));
await attempt('10 MB of binary', async () => show(await fetch(`${url}/v1/messages/bytes?n=10485760`)));
await attempt('three hops', async () => show(await fetch(`${url}/v1/messages/hops?n=3`)));
await attempt('redirect: manual', async () => show(await fetch(`${url}/v1/messages/hops?n=1`, { redirect: 'manual' })));
await attempt('redirect: error', async () => show(await fetch(`${url}/v1/messages/hops?n=1`, { redirect: 'error' })));
await attempt('307 with a body', async () => show(await fetch(messages, { method: 'POST', body: json('text+redirect') })));
await attempt('trailers', async () => show(await fetch(`${url}/v1/messages/trailers`)));
for (const scenario of ['text+gzip', 'text+br', 'text+deflate', 'text+zstd', 'unicode+gzip+tear', 'big+gzip']) {
  await attempt(scenario, async () => show(await fetch(messages, { method: 'POST', body: json(scenario) })));
  await attempt(`stream ${scenario}`, async () => show(await fetch(messages, { method: 'POST', body: json(scenario, { stream: true }) })));
}
// With HTTP/2 where fetch negotiates it by itself (Node 26).
for (const scenario of ['text', 'unicode+gzip', 'thinking+tear', 'big']) {
  await attempt(`https ${scenario}`, async () => show(await fetch(`${process.env.STANDIN_HTTPS}/v1/messages`, { method: 'POST', body: json(scenario, { stream: true }) })));
}
await attempt('clone', async () => {
  const response = await fetch(messages, { method: 'POST', body: json('thinking', { stream: true }) });
  const copy = response.clone();
  return [await show(response), await show(copy)];
});
await attempt('response.json()', async () => (await fetch(messages, { method: 'POST', body: json('unicode') })).json());
await attempt('response.body, chunk by chunk', async () => {
  const response = await fetch(messages, { method: 'POST', body: json('unicode+slow', { stream: true }), headers: { 'x-standin-pace-ms': '5' } });
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += decoder.decode(part.value, { stream: true });
  return text;
});
await attempt('body dropped unread, stream left open', async () => {
  const response = await fetch(messages, { method: 'POST', body: json('text+stall', { stream: true }) });
  await response.body.cancel();
  return response.status;
});
await attempt('break out of the body', async () => {
  const response = await fetch(messages, { method: 'POST', body: json('text+stall', { stream: true }) });
  for await (const chunk of response.body) if (chunk.length > 0) break;
  return response.status;
});
await attempt('abort with a reason', async () => {
  const controller = new AbortController();
  const answer = fetch(messages, { method: 'POST', body: json('hang'), signal: controller.signal, headers: { 'x-standin-gate': 'arrived' } });
  waitAtGate('arrived').then(() => controller.abort(new RangeError('enough')));
  return show(await answer);
});
await attempt('AbortSignal.timeout', async () => show(await fetch(messages, { method: 'POST', body: json('hang'), signal: AbortSignal.timeout(200) })));
await attempt('reset in mid-stream', async () => {
  const response = await fetch(messages, { method: 'POST', body: json('text+reset', { stream: true }), headers: { 'x-standin-gate': 'reset' } });
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body) {
    text += decoder.decode(chunk, { stream: true });
    // The last event of the three fifths that are sent.
    if (text.endsWith('" the"}}\n\n')) await openGate('reset');
  }
});
await attempt('refused connection', async () => show(await fetch(`${process.env.STANDIN_CLOSED}/v1/messages`, { method: 'POST', body: json('text') })));
await attempt('a bad URL', async () => show(await fetch('http://')));
await attempt('a failing request body', async () =>
  show(await fetch(echo, { method: 'POST', duplex: 'half', body: new ReadableStream({ pull(controller) { controller.error(new Error('no more')); } }) })),
);
await attempt('what fetch looks like', () => [fetch.name, fetch.length, typeof fetch, Object.keys(fetch).filter((key) => key !== '__claudeTraceInstrumented')]);
