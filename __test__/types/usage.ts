// How programs use the package. Compiled, never run: each @ts-expect-error is a mistake that the types must catch.

import { ClaudeTrafficLogger, getLogger, initializeInterceptor } from '../../index.js';
import type { Interceptor, InterceptorConfig, InterceptorStats, LogLevel, RawPair, TrafficStats, ZeroLatencyConfig } from '../../index.js';

const config: InterceptorConfig = {
  logDirectory: 'logs',
  logBaseName: 'run',
  enableRealTimeHTML: false,
  logLevel: 'debug',
  includeAllRequests: true,
  hosts: ['api.openai.com'],
  spoolDir: '/dev/shm',
  maxSpoolBytes: 2 ** 30,
  maxDecodedBytes: 2 ** 28,
  exitDrainMs: 0,
  interceptorTimeoutMs: 500,
  zeroLatency: {
    enabled: true,
    backgroundWorkers: 2,
    writeBufferSize: 10,
    writeBufferFlushMs: 10,
    deferredParsing: false,
    memoryPoolSize: 1 << 20,
  },
};

export async function use(): Promise<string> {
  const logger: ClaudeTrafficLogger = initializeInterceptor(config);
  const own = new ClaudeTrafficLogger({ zeroLatency: false });
  own.instrumentFetch();
  own.instrumentNodeHTTP();
  own.instrumentAll();

  const { totalPairs, pendingRequests, logFile, htmlFile, zeroLatency, capture }: TrafficStats = logger.getStats();
  const counts: number[] = [totalPairs, pendingRequests, capture.latency.p99, capture.drops];
  const files: string[] = [logFile, htmlFile];
  if (zeroLatency.enabled) {
    const { performance, processor, writer }: { performance: { interceptorLatency: number }; processor: object; writer: object } = zeroLatency;
    counts.push(performance.interceptorLatency, zeroLatency.spool.spills);
    files.push(JSON.stringify([processor, writer]));
  } else {
    // @ts-expect-error: off, there are no numbers
    counts.push(zeroLatency.queueSize);
  }
  if (capture.mode === 'off') files.push(capture.reason ?? '');

  const report: string | null = logger.getZeroLatencyReport();
  const perhaps: ClaudeTrafficLogger | null = getLogger();
  await perhaps?.cleanup();
  own.cleanup();
  return [...files, ...counts, report].join();
}

export function read(line: string): unknown {
  const pair: RawPair = JSON.parse(line);
  return pair.response === null ? pair.note : (pair.response.body ?? pair.response.body_raw);
}

const interceptor: Interceptor = {
  name: 'all of it',
  match: { host: '*.anthropic.com', path: ['/v1/*'], method: 'POST' },
  order: -1,
  maxEvents: 10,
  maxDelayMs: 5,
  deduplicate: true,
  headers: { request: { set: { a: '1' }, remove: 'b', rename: { c: 'd' } }, response: { remove: ['e'] } },
  onRequest(request) {
    request.setHeader('x-a', request.method + request.url + String(request.headers['host']) + request.at);
    request.removeHeader('x-b');
    request.renameHeader('x-c', 'x-d');
  },
  onResponse: (response) => response.annotate({ status: response.status, of: response.exchange.request.url }),
  async onEvents(batch) {
    const types: string[] = [...batch].map((event) => event.type);
    const first = batch.at(0);
    first?.replace({ data: first.data, type: types[0] });
    first?.replace('data');
    for (const event of batch) if (event.json().type === 'ping' && event.retry === null) event.drop();
    batch.annotate(batch.length);
  },
  onExchange(end) {
    if (end.outcome === 'error' && end.error?.code === 'ECONNRESET') end.discard();
  },
};

export function intercept(logger: ClaudeTrafficLogger): InterceptorStats {
  const remove: () => void = logger.use(interceptor);
  logger.use((event, { exchange }) => (event.type === 'ping' ? null : { ...event, data: exchange.id }));
  logger.use(async (event) => event, { name: 'later', match: /messages/, order: 2 });
  logger.use((event) => void event.data);
  // @ts-expect-error: no such hook
  logger.use({ onEvent() {} });
  // @ts-expect-error: a number
  logger.use({ onEvents() {}, maxEvents: '5' });
  // @ts-expect-error: options of that kind are the interceptor's own
  logger.use({ onEvents() {} }, { name: 'x' });
  remove();
  return logger.getStats().interceptors;
}

export const asManyAsNeeded: ZeroLatencyConfig = { backgroundWorkers: 'auto' };
// @ts-expect-error: not an option
export const misspelt: InterceptorConfig = { logDir: 'logs' };
// @ts-expect-error: not an option
export const misspeltInside: ZeroLatencyConfig = { workers: 2 };
// @ts-expect-error: a number, or 'auto'
export const wrongType: ZeroLatencyConfig = { backgroundWorkers: '2' };
// @ts-expect-error: not a level
export const wrongLevel: LogLevel = 'loud';
// @ts-expect-error: HTML comes with a later version
export { HTMLGenerator } from '../../index.js';
