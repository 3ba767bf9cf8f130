import { BedrockRuntimeClient, InvokeModelCommand, InvokeModelWithResponseStreamCommand } from '@aws-sdk/client-bedrock-runtime';
import { attempt } from './say.mjs';

// The handler that the SDK chooses by itself for this service speaks HTTP/2.
const client = new BedrockRuntimeClient({
  endpoint: process.env.STANDIN_HTTP2,
  region: 'eu-central-1',
  credentials: { accessKeyId: 'AKIAMADEUPFORTESTS00', secretAccessKey: 'made-up-secret-key', sessionToken: 'made-up-session-token-0123456789' },
  maxAttempts: 2,
});
const ask = (scenario) => ({
  modelId: `anthropic.claude-standin-${scenario}`,
  contentType: 'application/json',
  body: JSON.stringify({ anthropic_version: 'bedrock-2023-05-31', max_tokens: 256, messages: [{ role: 'user', content: 'Héllo — 日本 😀' }] }),
});

for (const scenario of ['text', 'thinking', 'unicode', 'tool', 'text+overloaded-once', 'text+rate-limited']) {
  await attempt(`invoke: ${scenario}`, async () => {
    const { body, contentType } = await client.send(new InvokeModelCommand(ask(scenario)));
    return { contentType, body: new TextDecoder().decode(body) };
  });
}
for (const scenario of ['text', 'thinking', 'unicode+tear', 'tool', 'long', 'text+overloaded-once', 'text+error-event']) {
  await attempt(`stream: ${scenario}`, async () => {
    const { body } = await client.send(new InvokeModelWithResponseStreamCommand(ask(scenario)));
    const events = [];
    for await (const { chunk } of body) events.push(JSON.parse(new TextDecoder().decode(chunk.bytes)));
    return events;
  });
}
client.destroy();
