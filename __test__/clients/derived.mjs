// Streams that the official SDKs put together: each case under the name that its request carries in `x-case`.

import Anthropic from '@anthropic-ai/sdk';
import { MessageStream } from '@anthropic-ai/sdk/lib/MessageStream.js';
import { BedrockRuntimeClient, InvokeModelWithResponseStreamCommand } from '@aws-sdk/client-bedrock-runtime';
import OpenAI from 'openai';
import { attempt, url } from './say.mjs';

const anthropic = new Anthropic({ baseURL: url, apiKey: 'sk-ant-api03-made-up-for-the-tests-0123456789', maxRetries: 0 });
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'sk-proj-made-up-for-the-tests-0123456789', maxRetries: 0 });
const messages = [{ role: 'user', content: 'Hello' }];

/** The calls of each SDK. @type {Record<string, (model: string, headers: Record<string, string>) => unknown>} */
const SDKS = {
  anthropic: (model, headers) => anthropic.messages.stream({ model, max_tokens: 64, messages }, { headers }).finalMessage(),
  'anthropic-beta': (model, headers) => anthropic.beta.messages.stream({ model, max_tokens: 64, messages }, { headers }).finalMessage(),
  chat: (model, headers) => openai.chat.completions.stream({ model, messages, stream_options: { include_usage: true } }, { headers }).finalChatCompletion(),
  responses: (model, headers) => openai.responses.stream({ model, input: 'Hello' }, { headers }).finalResponse(),
  bedrock,
};

// The AWS SDK hands events on one by one; Anthropic's puts them together.
async function bedrock(model, headers) {
  const client = new BedrockRuntimeClient({
    endpoint: process.env.STANDIN_HTTP2,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'AKIAMADEUPFORTESTS00', secretAccessKey: 'made-up-secret-key' },
  });
  client.middlewareStack.add((next) => (args) => {
    Object.assign(args.request.headers, headers);
    return next(args);
  }, { step: 'build' });
  const { body } = await client.send(new InvokeModelWithResponseStreamCommand({ modelId: model, contentType: 'application/json', body: '{}' }));
  let lines = '';
  for await (const { chunk } of body) lines += `${new TextDecoder().decode(chunk.bytes)}\n`;
  client.destroy();
  return MessageStream.fromReadableStream(new Blob([lines]).stream()).finalMessage();
}

for (const { name, sdk, stream, scenario } of JSON.parse(process.argv[2])) {
  const headers = { 'x-case': name, 'x-standin': scenario, ...(stream && { 'x-standin-stream': stream }) };
  await attempt(name, () => SDKS[sdk](`claude-standin-${scenario}`, headers));
}
