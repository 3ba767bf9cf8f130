'use strict';

// One sample: reads streams with one kind of interceptor, and prints what that took. `client.js KIND URL RATE SECONDS`; the package
// is the one that PACKAGE names.

/** @typedef {import('../../index.js').ClaudeTrafficLogger} Logger */
/** @type {typeof import('../../index.js')} */
const { ClaudeTrafficLogger } = require(/** @type {string} */ (process.env.PACKAGE));

const [kind, url, rate, seconds] = process.argv.slice(2);
const ATTENTION = /"stop_reason"/;
/** Every event is to be seen, however busy the machine is: who is late is out of an exchange, and cheap from then on. */
const PATIENT = Object.freeze({ interceptorTimeoutMs: 30_000, exitDrainMs: 60_000 });

/** What an interceptor does with an event: the same in each kind. @param {{ data: string }} event */
const isOfInterest = (event) => ATTENTION.test(event.data);

let seen = 0;
/** @type {Record<string, (logger: Logger) => void>} */
const KINDS = {
  none() {},
  batch(logger) {
    logger.use({
      name: 'batch',
      onEvents(batch) {
        seen += batch.length;
        for (const event of batch) if (isOfInterest(event)) event.drop();
      },
    });
  },
  // As it used to be: each event is one call that is awaited, from the stream to the function and back.
  'event by event'(logger) {
    logger.use(
      async (event) => {
        seen++;
        return isOfInterest(event) ? null : event;
      },
      { name: 'event by event', maxEvents: 1 },
    );
  },
  'adapter, async'(logger) {
    logger.use(
      async (event) => {
        seen++;
        return isOfInterest(event) ? null : event;
      },
      { name: 'adapter' },
    );
  },
  'adapter, sync'(logger) {
    logger.use(
      (event) => {
        seen++;
        return isOfInterest(event) ? null : event;
      },
      { name: 'adapter' },
    );
  },
  rules(logger) {
    logger.use({ name: 'rules', deduplicate: true, headers: { request: { set: { 'x-tenant': 'a' } } } });
  },
};

async function main() {
  const logger = new ClaudeTrafficLogger({ hosts: ['127.0.0.1'], ...PATIENT });
  logger.instrumentFetch();
  KINDS[kind](logger);
  await read(1);
  const before = process.cpuUsage();
  const started = performance.now();
  const bytes = await read(Number(seconds));
  const wallMs = performance.now() - started;
  const { user, system } = process.cpuUsage(before);
  await logger.cleanup();
  const { interceptors, capture } = logger.getStats();
  const events = Number(rate) * (Number(seconds) + 1);
  if (kind !== 'none' && kind !== 'rules' && seen + interceptors.passed !== events) throw new Error(`${kind} saw ${seen} of ${events} events`);
  if (capture.drops > 0 || interceptors.late > 0 || interceptors.errors > 0) throw new Error(JSON.stringify({ capture, interceptors }));
  console.log(
    JSON.stringify({
      kind,
      cpuMs: (user + system) / 1000,
      wallMs,
      bytes,
      maxRssMb: process.resourceUsage().maxRSS / 1024,
      passed: interceptors.passed,
      batchSize: interceptors.batchSize.mean,
      delayP99Ms: interceptors.delay.p99,
    }),
  );
}

/** @param {number} length seconds */
async function read(length) {
  const response = await fetch(`${url}/v1/messages`, { method: 'POST', headers: { 'x-rate': rate, 'x-seconds': String(length) }, body: '{}' });
  let bytes = 0;
  for await (const chunk of /** @type {any} */ (response.body)) bytes += chunk.length;
  return bytes;
}

main();
