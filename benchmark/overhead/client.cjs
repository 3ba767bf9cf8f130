'use strict';

// The measured process: a real SDK, and nothing else that could be measured by accident.

/** Since the start of the process, with whatever was preloaded. */
const startUpMs = performance.now();

const { Anthropic } = require('@anthropic-ai/sdk');
const { Times, firstHookMs, measure, now } = require('./measure.cjs');

const { requests, warmUp, atOnce, everyMs, isStream, events, promptChars, model, resultFile } = JSON.parse(process.argv[2]);

// Neither its address nor its key: the SDK takes both from the environment.
const client = new Anthropic({ maxRetries: 0 });
const body = { model, max_tokens: 1024, messages: [{ role: /** @type {const} */ ('user'), content: 'p'.repeat(promptChars) }] };
const most = Math.max(requests, warmUp, 1);
const times = new Times(most, isStream ? most * (events - 1) : 0);

/** @param {number} index */
async function stream(index) {
  const start = now();
  let last = 0;
  let seen = 0;
  for await (const _ of await client.messages.create({ ...body, stream: true })) {
    const at = now();
    if (seen++ === 0) times.first(index, at - start);
    else times.gap(at - last);
    last = at;
  }
  if (seen !== events) throw new Error(`${seen} events instead of ${events}`);
}

/** @param {number} index */
async function call(index) {
  const start = now();
  const message = await client.messages.create(body);
  times.first(index, now() - start);
  if (message.stop_reason !== 'end_turn') throw new Error('half an answer');
}

const one = isStream ? stream : call;

/** @param {number} count */
async function run(count) {
  times.reset();
  let next = 0;
  const worker = async () => {
    while (next < count) await one(next++);
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker));
}

/**
 * By the clock: a client that falls behind does not make it easier for itself.
 * @param {number} count
 */
async function runByTheClock(count) {
  times.reset();
  const start = now();
  /** @type {Promise<void>[]} */
  const begun = [];
  while (begun.length < count) {
    while (begun.length < count && now() >= start + begun.length * everyMs) begun.push(one(begun.length));
    await new Promise((resolve) => setTimeout(resolve, Math.max(1, Math.floor(start + begun.length * everyMs - now()))));
  }
  await Promise.all(begun);
}

async function main() {
  if (warmUp > 0) await run(1);
  const firstHook = warmUp > 0 ? await firstHookMs() : null;
  await run(Math.max(0, warmUp - 1));
  const work = () => (everyMs === undefined ? run(requests) : runByTheClock(requests));
  await measure({ work, times, startUpMs, firstHookMs: firstHook, requests, events: isStream ? requests * events : 0, resultFile });
}

main();
