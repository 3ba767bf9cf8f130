// npm's undici: its own copy beside Node's. Which one is told by the first argument (a package name).

import { attempt, digest, openGate, url } from './say.mjs';

const undici = await import(process.argv[2] ?? 'undici');
const { Agent, Client, fetch, Pool, ProxyAgent, request, stream, pipeline } = undici;
const messages = `${url}/v1/messages`;
const json = (scenario, more) => JSON.stringify({ model: `claude-standin-${scenario}`, max_tokens: 64, messages: [{ role: 'user', content: 'Héllo 😀' }], ...more });
const post = (scenario, more) => ({ method: 'POST', headers: { 'content-type': 'application/json', 'x-api-key': 'sk-ant-made-up-0123456789abcdef' }, body: json(scenario, more) });
const show = async ({ statusCode, headers, body, trailers }) => {
  const bytes = Buffer.from(await body.arrayBuffer());
  return { statusCode, headers, body: digest(bytes), trailers };
};

for (const scenario of ['text', 'unicode', 'thinking+gzip', 'text+zstd', 'big']) {
  await attempt(`request ${scenario}`, async () => show(await request(messages, post(scenario))));
  await attempt(`request, stream ${scenario}`, async () => show(await request(messages, post(scenario, { stream: true }))));
  if (!scenario.includes('zstd')) await attempt(`fetch ${scenario}`, async () => digest(await (await fetch(messages, post(scenario, { stream: true }))).text()));
}
await attempt('request with trailers', async () => show(await request(`${url}/v1/messages/trailers`)));
await attempt('request HEAD', async () => show(await request(`${url}/v1/messages/bytes?n=10`, { method: 'HEAD' })));
await attempt('request 204', async () => show(await request(`${url}/v1/messages/status?is=204`)));
await attempt('request with query', async () => show(await request(`${url}/v1/messages/bytes`, { query: { n: 50, label: 'a b' } })));
await attempt('body.json()', async () => (await request(messages, post('unicode'))).body.json());
await attempt('body.dump()', async () => {
  const { statusCode, body } = await request(messages, post('text'));
  await body.dump();
  return statusCode;
});
await attempt('async iterator body', async () =>
  show(await request(`${url}/v1/messages/echo`, { method: 'POST', body: (async function* () { yield Buffer.from('öne '); yield 'two'; })() })),
);
await attempt('headers as a flat array', async () => show(await request(messages, { ...post('text'), headers: ['content-type', 'application/json', 'x-twice', 'a', 'x-twice', 'b'] })));

await attempt('stream', async () => {
  const parts = [];
  const { Writable } = await import('node:stream');
  await stream(messages, post('long', { stream: true }), () => new Writable({ write: (chunk, _, done) => (parts.push(chunk), setImmediate(done)) }));
  return digest(Buffer.concat(parts));
});
await attempt('pipeline', async () => {
  const parts = [];
  const duplex = pipeline(`${url}/v1/messages/echo`, { method: 'POST' }, ({ body }) => body);
  duplex.end('through a pipeline');
  for await (const part of duplex) parts.push(part);
  return Buffer.concat(parts).toString();
});

for (const make of [() => new Client(url), () => new Pool(url, { connections: 2 }), () => new Agent({ connections: 1 })]) {
  const dispatcher = make();
  await attempt(`${dispatcher.constructor.name}, in parallel`, async () => {
    const all = await Promise.all(['text', 'unicode', 'thinking', 'text'].map((s) => dispatcher.request({ origin: url, path: '/v1/messages', ...post(s, { stream: true }) })));
    // Ids count the requests as they arrive, which parallel ones do in any order.
    return (await Promise.all(all.map(({ body }) => body.text()))).map((text) => digest(text.replace(/standin_\d+/g, 'ID')));
  });
  await dispatcher.close();
}
await attempt('per-request dispatcher', async () => {
  const dispatcher = new Agent({ keepAliveTimeout: 100 });
  const result = digest(await (await fetch(messages, { ...post('text', { stream: true }), dispatcher })).text());
  await dispatcher.close();
  return result;
});
await attempt('HTTP/2', async () => {
  const dispatcher = new Agent({ allowH2: true });
  const results = [];
  for (const scenario of ['text', 'unicode+tear', 'big']) {
    results.push(await show(await request(`${process.env.STANDIN_HTTPS}/v1/messages`, { ...post(scenario, { stream: true }), dispatcher })));
  }
  await dispatcher.close();
  return results;
});
await attempt('ProxyAgent', async () => {
  const dispatcher = new ProxyAgent({ uri: process.env.STANDIN_PROXY });
  const result = await show(await request(messages, { ...post('text'), dispatcher }));
  await dispatcher.close();
  return result;
});
await attempt('pipelining', async () => {
  const client = new Client(url, { pipelining: 4 });
  const all = await Promise.all([1, 2, 3, 4].map((n) => client.request({ path: `/v1/messages/bytes?n=${n * 1000}`, method: 'GET' })));
  const sizes = await Promise.all(all.map(async ({ body }) => (await body.arrayBuffer()).byteLength));
  await client.close();
  return sizes;
});
await attempt('abort', async () => {
  const controller = new AbortController();
  const { body } = await request(messages, { ...post('text+stall', { stream: true }), signal: controller.signal });
  for await (const chunk of body) controller.abort(chunk && undefined);
});
await attempt('cut in mid-stream', async () => {
  const options = post('text+cut', { stream: true });
  const { body } = await request(messages, { ...options, headers: { ...options.headers, 'x-standin-gate': 'cut' } });
  let text = '';
  for await (const chunk of body) {
    text += chunk;
    if (text.endsWith('" the"}}\n\n')) await openGate('cut');
  }
});
await attempt('headersTimeout', async () => show(await request(messages, { ...post('hang'), headersTimeout: 300 })));
await attempt('refused', async () => show(await request(`${process.env.STANDIN_CLOSED}/v1/messages`, post('text'))));
