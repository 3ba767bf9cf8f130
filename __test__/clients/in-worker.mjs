// A program whose client lives in worker threads, two at a time, beside one in the main thread.

import { Worker } from 'node:worker_threads';

const script = new URL('./conversations.mjs', import.meta.url);
const workers = [new Worker(script, { stdout: true }), new Worker(script, { stdout: true })];
const outputs = workers.map(async (worker) => {
  let text = '';
  for await (const part of worker.stdout) text += part;
  return text;
});
await import('./conversations.mjs');
for (const output of await Promise.all(outputs)) process.stdout.write(output);
