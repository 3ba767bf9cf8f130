import { createAnthropic } from '@ai-sdk/anthropic';
import { generateText, jsonSchema, stepCountIs, streamText, tool } from 'ai';
import { attempt, url } from './say.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false;

const anthropic = createAnthropic({ baseURL: `${url}/v1`, apiKey: 'sk-ant-api03-made-up-for-the-tests-0123456789' });
const ask = (scenario, more) => ({ model: anthropic(`claude-standin-${scenario}`), prompt: 'Héllo — 日本 😀', maxOutputTokens: 1024, ...more });
const tools = {
  get_weather: tool({
    description: 'The weather',
    inputSchema: jsonSchema({ type: 'object', properties: { location: { type: 'string' } }, required: ['location'] }),
    execute: async ({ location }) => `12 °C in ${location}`,
  }),
};

for (const scenario of ['text', 'thinking', 'unicode+br', 'text+gzip', 'max-tokens', 'text+overloaded-once']) {
  await attempt(`generateText: ${scenario}`, async () => {
    const { text, reasoningText, finishReason, usage } = await generateText(ask(scenario));
    return { text, reasoningText, finishReason, usage };
  });
  await attempt(`streamText: ${scenario}`, async () => {
    const result = streamText(ask(scenario));
    const deltas = [];
    for await (const delta of result.textStream) deltas.push(delta);
    return { deltas, finishReason: await result.finishReason, usage: await result.usage };
  });
}
await attempt('generateText with tools', async () => {
  const { text, steps, totalUsage } = await generateText(ask('agent', { tools, stopWhen: stepCountIs(4) }));
  return { text, steps: steps.map((step) => [step.finishReason, step.toolCalls.map((call) => [call.toolName, call.input])]), totalUsage };
});
await attempt('streamText with tools, torn', async () => {
  const result = streamText(ask('agent+tear', { tools, stopWhen: stepCountIs(4) }));
  const parts = [];
  for await (const part of result.fullStream) parts.push(part.type);
  return { parts, text: await result.text };
});
await attempt('streamText, error event', async () => {
  const result = streamText(ask('text+error-event', { onError: () => {}, maxRetries: 0 }));
  const parts = [];
  for await (const part of result.fullStream) parts.push([part.type, part.text ?? null]);
  return parts;
});
await attempt('streamText, aborted', async () => {
  const controller = new AbortController();
  const result = streamText(ask('text+stall', { abortSignal: controller.signal }));
  const parts = [];
  for await (const part of result.fullStream) {
    parts.push(part.type);
    // The last delta of the three fifths that the stand-in sends.
    if (part.type === 'text-delta' && part.text === ' the') controller.abort();
  }
  return parts;
});
