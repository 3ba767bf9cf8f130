'use strict';

// Reads a stream that stalls half way (or one that ends), and then ends in the way that its argument names. Says `ready`
// with the number of bytes it has received, so that a test can end it from outside.

const [how] = process.argv.slice(2);
const { isMainThread, Worker, parentPort } = require('node:worker_threads');

const ENDS = {
  work: () => {},
  exit: () => process.exit(7),
  throw: () => {
    throw new Error('nobody catches this');
  },
  handled: () => {
    process.once('SIGTERM', () => process.exit(5));
    process.kill(process.pid, 'SIGTERM');
  },
  sigterm: () => process.kill(process.pid, 'SIGTERM'),
  abort: () => process.abort(),
  reallyExit: () => process.reallyExit(9),
  wait: () => {},
};

async function read(scenario) {
  const response = await fetch(`${process.env.STANDIN_URL}/v1/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-standin': scenario },
    body: JSON.stringify({ model: 'claude-standin', stream: true, max_tokens: 10, messages: [{ role: 'user', content: 'go' }] }),
  });
  const reader = response.body.getReader();
  let received = '';
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return received;
    received += decoder.decode(value, { stream: true });
    // Part of an answer is enough: the rest may or may not arrive before the end.
    if (scenario !== 'text' && received.includes('content_block_delta')) return received;
  }
}

async function main() {
  const whole = how === 'work' || how === 'exit-at-once';
  const received = await read(whole ? 'text' : 'text+stall');
  if (how === 'exit-at-once') process.exit(0);
  process.stdout.write(`ready ${Buffer.byteLength(received)}\n`, () => ENDS[how]?.());
}

if (how === 'worker') {
  if (isMainThread) {
    const worker = new Worker(__filename, { argv: ['worker'] });
    worker.on('message', async (received) => {
      await worker.terminate();
      console.log(`ready ${received}`);
    });
  } else {
    read('text+stall').then((received) => parentPort.postMessage(Buffer.byteLength(received)));
  }
} else {
  main();
}
