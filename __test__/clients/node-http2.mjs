import http2 from 'node:http2';
import { attempt, digest, openGate } from './say.mjs';

const json = (scenario, more) => JSON.stringify({ model: `claude-standin-${scenario}`, max_tokens: 64, messages: [{ role: 'user', content: 'Héllo 😀' }], ...more });

/** @param {import('node:http2').ClientHttp2Stream} stream */
async function show(stream) {
  let head;
  let trailers = null;
  stream.on('response', (headers) => (head = { ...headers }));
  stream.on('trailers', (headers) => (trailers = { ...headers }));
  const parts = [];
  for await (const part of stream) parts.push(part);
  return { head, trailers, body: digest(Buffer.concat(parts)), rst: stream.rstCode };
}

for (const origin of [process.env.STANDIN_HTTP2, process.env.STANDIN_HTTPS]) {
  const session = http2.connect(origin);
  const post = (scenario, more, headers) => session.request({ ':method': 'POST', ':path': '/v1/messages', 'x-api-key': 'sk-ant-made-up-0123456789abcdef', ...headers }).end(json(scenario, more));
  for (const scenario of ['text', 'unicode', 'thinking+gzip', 'unicode+br+tear', 'text+zstd', 'big']) {
    await attempt(`${scenario}`, () => show(post(scenario)));
    await attempt(`stream ${scenario}`, () => show(post(scenario, { stream: true })));
  }
  await attempt('GET', () => show(session.request({ ':path': '/v1/messages/bytes?n=70000' })));
  await attempt('HEAD', () => show(session.request({ ':path': '/v1/messages/bytes?n=7', ':method': 'HEAD' })));
  await attempt('204', () => show(session.request({ ':path': '/v1/messages/status?is=204' })));
  await attempt('trailers', () => show(session.request({ ':path': '/v1/messages/trailers' })));
  await attempt('body in pieces', () => {
    const stream = session.request({ ':path': '/v1/messages/echo', ':method': 'PUT', 'content-type': 'text/plain' });
    stream.write('öne ');
    stream.write(Buffer.from('two '));
    return show(stream.end('dHdv', 'base64'));
  });
  await attempt('setEncoding and data events', async () => {
    const stream = post('unicode+tear', { stream: true }).setEncoding('utf8');
    let text = '';
    stream.on('data', (part) => (text += part));
    await new Promise((resolve) => stream.on('end', resolve));
    return text;
  });
  await attempt('in parallel', async () => (await Promise.all([10, 2000, 300_000].map((n) => show(session.request({ ':path': `/v1/messages/bytes?n=${n}` }))))).map(({ body }) => body));
  await attempt('closed in mid-stream', async () => {
    const stream = post('text+stall', { stream: true });
    for await (const part of stream) if (part.length > 0) stream.close(http2.constants.NGHTTP2_CANCEL);
    return stream.rstCode;
  });
  await attempt('reset by the server', async () => {
    const stream = post('text+reset', { stream: true }, { 'x-standin-gate': `reset-${session.encrypted}` });
    let text = '';
    for await (const part of stream) {
      text += part;
      if (text.endsWith('" the"}}\n\n')) await openGate(`reset-${session.encrypted}`);
    }
    return text.length;
  });
  await new Promise((resolve) => session.close(resolve));
}
