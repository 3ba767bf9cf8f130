// How programs use the package. Compiled, never run: each @ts-expect-error is a mistake that the types must catch.

import { ClaudeTrafficLogger, getLogger, initializeInterceptor } from '../../index.js';
import type { InterceptorConfig, LogLevel, RawPair, TrafficStats, ZeroLatencyConfig } from '../../index.js';

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

// @ts-expect-error: not an option
export const misspelt: InterceptorConfig = { logDir: 'logs' };
// @ts-expect-error: not an option
export const misspeltInside: ZeroLatencyConfig = { workers: 2 };
// @ts-expect-error: a number
export const wrongType: ZeroLatencyConfig = { backgroundWorkers: '2' };
// @ts-expect-error: not a level
export const wrongLevel: LogLevel = 'loud';
// @ts-expect-error: HTML comes with a later version
export { HTMLGenerator } from '../../index.js';
