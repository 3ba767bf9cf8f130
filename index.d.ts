/**
 * Records the LLM traffic of this process. A drop-in for the recorder of `@mariozechner/claude-trace`.
 *
 * Importing the package changes nothing in the process: capture starts with `instrument…()` or
 * `initializeInterceptor()`. Clients that take `fetch` when they are constructed (the Anthropic SDK does) must be made
 * after that.
 *
 * @packageDocumentation
 */

/** How a failed write of the log is tried again. The delay doubles with each failure; each is shortened by up to half at random. */
export interface RetryConfig {
  /**
   * Attempts after which the records go to `<log>.dead-letters.jsonl` with the reason (0 to 1000000; 0: no limit, since
   * the buffer holds them and the next start tries again).
   * @default 0
   */
  maxAttempts?: number;
  /**
   * Milliseconds before the first repetition (1 to 3600000).
   * @default 50
   */
  baseDelayMs?: number;
  /**
   * The longest delay, in milliseconds (1 to 3600000).
   * @default 5000
   */
  maxDelayMs?: number;
}

/**
 * All options. Each has an environment variable too (docs/configuration.md); what is given here comes before it, and it
 * before the default.
 */
export interface InterceptorConfig {
  /**
   * Folder of the logs, created when needed. Relative to the working directory when the logger is made.
   * @default ".claude-trace"
   */
  logDirectory?: string;
  /**
   * Name of the log file without its `.jsonl`. A plain file name of at most 200 bytes.
   * @default "log-YYYY-MM-DD-HH-MM-SS" in UTC
   */
  logBaseName?: string;
  /**
   * Accepted for compatibility: no HTML is written yet, whatever it says.
   * @default true
   */
  enableRealTimeHTML?: boolean;
  /**
   * What is said on stderr. An undisturbed run prints nothing, except at `debug`.
   * @default "info"
   */
  logLevel?: LogLevel;
  /**
   * Record every path on the hosts that are recorded at all, not only the LLM calls.
   * @default false
   */
  includeAllRequests?: boolean;
  /**
   * Further hosts, of which every path is recorded: `"host"`, `"host:port"`, `"*.suffix"` or
   * `"http(s)://host[:port][/prefix]"`.
   * @default []
   */
  hosts?: readonly string[];
  /**
   * Folder of the crash-proof buffer.
   * @default `runtimeDir`, or the log folder in a container and where there is no room
   */
  spoolDir?: string;
  /**
   * Private folder in shared memory where buffers live, or are registered so that any start by the same user finds them.
   * @default `/dev/shm/claude-trace-<uid>`
   */
  runtimeDir?: string;
  /**
   * What happens when the pool is full because the log cannot be written as fast as the traffic comes: further segments on
   * the disk of the log folder up to `maxSpoolBytes`, or what does not fit is dropped and counted. Nothing ever waits.
   * @default "spill"
   */
  whenFull?: 'spill' | 'drop-newest';
  /**
   * When the log is forced to the disk, for the case of a power loss: when the system does it, `fsyncIntervalMs` after a
   * write at the latest, or with each write. The death of the process costs nothing in any case.
   * @default "os"
   */
  durability?: 'os' | 'interval' | 'always';
  /**
   * Milliseconds for `durability: "interval"` (1 to 3600000).
   * @default 1000
   */
  fsyncIntervalMs?: number;
  /** How a failed write is tried again. */
  retry?: RetryConfig;
  /**
   * Upper bound of the buffer, in bytes, when the log cannot be written as fast as the traffic comes (1 MiB to 1 TiB, and
   * no less than `memoryPoolSize`).
   * @default 536870912
   */
  maxSpoolBytes?: number;
  /**
   * Largest body, in bytes, that is decompressed for the log (1 MiB to 4 GiB).
   * @default 268435456
   */
  maxDecodedBytes?: number;
  /**
   * How long the exit of the process, or `cleanup()`, waits for the log at most, in milliseconds (0 to 60000).
   * @default 2000
   */
  exitDrainMs?: number;
  /** Zero-latency mode; `true` and `false` are short for `{ enabled }`. */
  zeroLatency?: boolean | ZeroLatencyConfig;
}

/** What is said: that level and everything graver. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** Records are made and written in the background. */
export interface ZeroLatencyConfig {
  /**
   * `false` is standard mode: the same capture, each record written through at once.
   * @default true
   */
  enabled?: boolean;
  /**
   * Threads that decode bodies and make records (1 to 64).
   * @default 1
   */
  backgroundWorkers?: number;
  /**
   * Records after which the buffered lines are written at the latest (1 to 1000000).
   * @default 100
   */
  writeBufferSize?: number;
  /**
   * Milliseconds after which the buffered lines are written at the latest (1 to 60000).
   * @default 100
   */
  writeBufferFlushMs?: number;
  /**
   * Keep server-sent events (and the streams of Bedrock and Gemini) verbatim and leave their parsing to the reader of the log. `false` also writes what a stream came to into its record: the message, its tokens and times (`derived` in format.md).
   * @default true
   */
  deferredParsing?: boolean;
  /**
   * Bytes of the buffer that stay mapped for reuse (64 KiB to 64 GiB).
   * @default 10485760
   */
  memoryPoolSize?: number;
}

/** Times in milliseconds, from a histogram over all measurements since the start. 0 while `count` is 0. */
export interface Latency {
  /** Measurements so far. */
  count: number;
  mean: number;
  p50: number;
  p95: number;
  p99: number;
  min: number;
  max: number;
  /** Share of the measurements (0 to 1) within 0.1 ms; 1 while there are none. */
  withinTarget: number;
}

/** What `getStats()` says. Every number is measured by the addon. */
export interface TrafficStats {
  /** Records in the log. */
  totalPairs: number;
  /** Exchanges that are open now. */
  pendingRequests: number;
  /** Absolute path of the log: before the first exchange the planned one. `''` when nothing can be recorded. */
  logFile: string;
  /** Where the HTML of the log belongs. No HTML is written yet. */
  htmlFile: string;
  zeroLatency: ZeroLatencyStats | { enabled: false };
  /** What holds in every mode. */
  capture: CaptureStats;
  /** Streams of server-sent events whose records have been made. */
  sse: SseStats;
}

/** Zero-latency mode at work. */
export interface ZeroLatencyStats {
  enabled: true;
  performance: {
    /**
     * Mean time, in milliseconds, that our hooks took on the JS thread for a request, without its chunks. The fields
     * beside it are of the same measurements.
     */
    interceptorLatency: number;
    min: number;
    max: number;
    p50: number;
    p95: number;
    p99: number;
    /** Share of the requests (0 to 1) within 0.1 ms; 1 while there are none. */
    withinTarget: number;
    /** The same for a single chunk of a body. */
    chunk: Latency;
    /** Requests measured so far. */
    totalRequests: number;
    /** Exchanges that are finished and not yet in the log. */
    backgroundQueueSize: number;
    /** MiB held by the buffer and the pipeline. */
    memoryUsage: number;
    /** When these numbers were read, epoch milliseconds. */
    lastMeasurement: number;
  };
  processor: {
    /** Exchanges that are finished and not yet in the log. */
    queueSize: number;
    /** Whether there are any. */
    isProcessing: boolean;
    /** Exchanges made into records so far. */
    totalTasksProcessed: number;
  };
  /** Whether the 95th percentile is below 0.1 ms. */
  meetsTarget: boolean;
  /** Exchanges that are finished and not yet in the log. */
  queueSize: number;
  /** How full the fuller of the segment pool and the write buffer is, 0 to 1. */
  bufferUtilization: number;
  /** How often a segment of the buffer was used again, and how many were mapped. */
  pool: { reused: number; mapped: number };
  writer: {
    /** Records gathered for the next write. */
    bufferedLines: number;
    /** Writes so far. */
    flushes: number;
    flushesPerSecond: number;
    bytesWritten: number;
    /** Writes that failed and were tried again. */
    retries: number;
  };
  /** The crash-proof buffer; drops and spills as in `CaptureStats`. */
  spool: { bytes: number; segments: number; drops: number; spills: number };
}

export interface CaptureStats {
  /** `off`: nothing can be recorded. */
  mode: 'zero-latency' | 'standard' | 'off';
  /** Why it is off, or why standard mode took over from zero-latency mode; else null. */
  reason: string | null;
  /** What our hooks took on the JS thread for a request, without its chunks. */
  latency: Latency;
  /** What they took for a chunk. */
  chunkLatency: Latency;
  /** Pieces of exchanges that were lost because the buffer was full (`maxSpoolBytes`). */
  drops: number;
  /** Segments of the buffer made past `memoryPoolSize`. */
  spills: number;
  /** Writes that failed and were tried again. */
  retries: number;
  /** Exchanges whose record was made without bodies, because making it failed. */
  failed: number;
  /** Entries in `<log>.dead-letters.jsonl`: what could not become a record, or not be written, with the reason. */
  deadLetters: number;
  /** Entries of the buffer that were not whole when they were read. */
  damaged: number;
  /** Exchanges that two hooks saw; one of them gave it up. */
  abandoned: number;
  /** Records of processes that had died, completed at the start. */
  recovered: number;
  /** How often a hook's own code failed, in all loggers of this thread. The host's request goes on regardless. */
  hookFaults: number;
}

/** Streams of server-sent events, as they were received. */
export interface SseStats {
  /** Responses that were such a stream. */
  streams: number;
  /** Their events. */
  events: number;
  /** Bytes of their bodies, decoded. */
  bytes: number;
  /** Lines that were longer than 16 MiB. They stand in the record; events end where the limit is. */
  cutLines: number;
  /** Events that had such lines, or more than 32 MiB of data. */
  cutEvents: number;
  /** Requests with `Last-Event-ID` that resumed the stream of an earlier exchange. */
  reconnects: number;
  /** Events of these that the earlier exchange had already. */
  replayedEvents: number;
}

/**
 * A recorder of its own log file. Where several match an exchange, the one that was instrumented first records it.
 *
 * The constructor throws only for a bad option. The addon is loaded by the first exchange that is to be recorded, or by
 * `getStats()`. When it is missing or the log cannot be opened, that is one line
 * on stderr, `getStats().capture` says why, and every method is safe to call.
 */
export declare class ClaudeTrafficLogger {
  /** @throws `TypeError` or `RangeError` with code `TRACE_ERR_CONFIG`: names the field, its value and what is allowed */
  constructor(config?: InterceptorConfig);
  /** Watches everything that `instrumentFetch` and `instrumentNodeHTTP` watch. Safe to call again. */
  instrumentAll(): void;
  /** Watches fetch: Node's own, every npm `undici` (its `request`, `stream` and agents too), and polyfills. */
  instrumentFetch(): void;
  /** Watches `node:http`, `node:https` and `node:http2`. */
  instrumentNodeHTTP(): void;
  /**
   * Ends the recording. Exchanges that are still open are written as cut off. The work is done when the call returns, or
   * after `exitDrainMs`; the promise, which never rejects, is for code that awaits. Safe to call twice. The exit of the
   * process does the same.
   */
  cleanup(): Promise<void>;
  /** After `cleanup()`: the last numbers. */
  getStats(): TrafficStats;
  /** `getStats().zeroLatency` as text; null when zero-latency mode is off. */
  getZeroLatencyReport(): string | null;
}

/**
 * Makes the logger of this process (in a worker thread: of this thread) and instruments everything. A second call warns
 * on stderr and returns the first logger, unless that one was cleaned up.
 *
 * @throws as the constructor does
 */
export declare function initializeInterceptor(config?: InterceptorConfig): ClaudeTrafficLogger;

/** What `initializeInterceptor` has made, or null. */
export declare function getLogger(): ClaudeTrafficLogger | null;

/** A line of the log. docs/format.md is the whole contract, and names what stands in `trace`. */
export interface RawPair {
  request: {
    /** Seconds since the epoch. */
    timestamp: number;
    method: string;
    url: string;
    /** Names in lower case; credentials shown in part or not at all. */
    headers: Record<string, string | string[]>;
    /** The parsed JSON, else the text, or null when there is none. */
    body: unknown;
    /** `base64` when the body is not text. */
    body_encoding?: string;
  };
  /** null: no answer came. */
  response: {
    /** Seconds since the epoch: the headers arrived. */
    timestamp: number;
    status_code: number;
    headers: Record<string, string | string[]>;
    /** The parsed body of a JSON answer. */
    body?: unknown;
    /** Any other body, verbatim. */
    body_raw?: string;
    body_encoding?: string;
    trailers?: Record<string, string | string[]>;
  } | null;
  note?: string;
  /** ISO 8601 in UTC: the body was finished. */
  logged_at: string;
  /** Recorded in zero-latency mode. */
  zeroLatency?: true;
  trace?: Record<string, unknown>;
}
