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
  /**
   * How long a record waits for the answer of an interceptor (`logger.use`), in milliseconds (1 to 60000). One that has
   * not answered by then is left out of that exchange.
   * @default 1000
   */
  interceptorTimeoutMs?: number;
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
   * Threads that decode bodies and make records (1 to 64). `'auto'`: one, and more while the queue of finished exchanges does not empty, up to half the cores and four.
   * @default 1
   */
  backgroundWorkers?: number | 'auto';
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
  /** What interceptors have done (docs/interceptors.md). All zero while there are none. */
  interceptors: InterceptorStats;
}

/** A summary of values, from a histogram over all of them since the start. 0 while `count` is 0. */
export interface Spread {
  count: number;
  mean: number;
  min: number;
  p50: number;
  p95: number;
  p99: number;
  max: number;
}

/** Numbers of the interceptors of all loggers that share the log. */
export interface InterceptorStats {
  /** Exchanges that an interceptor matched. */
  exchanges: number;
  /** Batches given. */
  batches: number;
  /** Events in them. */
  events: number;
  /** Events left out of a record, duplicates included. */
  dropped: number;
  /** Events that stand in a record otherwise. */
  replaced: number;
  annotated: number;
  /** Events recorded without having been given: the buffers were full. */
  passed: number;
  /** Exchanges recorded without interceptors, since these were too far behind. */
  overruns: number;
  /** How often an interceptor had not answered within `interceptorTimeoutMs`, or by the exit. */
  late: number;
  /** Events left out as duplicates (`deduplicate`). */
  duplicates: number;
  /** How often an interceptor failed; each costs it one exchange. */
  errors: number;
  /** Exchanges of which an interceptor wanted no record. */
  discarded: number;
  /** Events in a batch. */
  batchSize: Spread;
  /** Milliseconds from the arrival of the first event of a batch to its being given. */
  delay: Spread;
  /** Each interceptor, by order; those that were removed follow. `headers` and `deduplicate` count apart from the handlers. */
  interceptors: {
    name: string;
    order: number;
    batches: number;
    events: number;
    errors: number;
    late: number;
    /** Milliseconds in it altogether; of a handler that returns a promise, until that is settled. */
    totalMs: number;
    /** Milliseconds of a call. */
    call: Spread;
  }[];
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
    /** Threads that make records now: with `backgroundWorkers: 'auto'` as many as the queue needs. 0 before the first exchange. */
    workers: number;
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

/** Streams of server-sent events, as they stand in the records: what interceptors have dropped is not in it. */
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
   * Shows what is recorded to an interceptor, which may change the recorded copy, never what the client receives. Holds for
   * exchanges of this thread that begin from now on. Handlers are called in batches, off the client's path; docs/interceptors.md
   * is the guide.
   *
   * A function is asked about each event of a stream: `null` leaves it out, another event takes its place. That is how
   * interceptors used to be, and costs more than `onEvents`.
   *
   * @returns takes it out again
   * @throws `TypeError` or `RangeError` with code `TRACE_ERR_CONFIG`: names the field, its value and what is allowed
   */
  use(interceptor: Interceptor): () => void;
  use(interceptor: LegacyInterceptor, options?: LegacyInterceptorOptions): () => void;
  /**
   * Ends the recording. Exchanges that are still open are written as cut off. The work is done when the call returns, or
   * after `exitDrainMs`; the promise, which never rejects, is for code that awaits. Only where handlers of interceptors have
   * promises that are not settled it is done when the promise is. Safe to call twice. The exit of the process does the same,
   * without waiting for promises.
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

/** An exchange as interceptors see it: the same object in all hooks. Credentials are redacted. */
export interface InterceptedExchange {
  /** Of this process and this thread. */
  readonly id: string;
  readonly request: {
    readonly method: string;
    readonly url: string;
    readonly headers: Readonly<Record<string, string | string[]>>;
    /** Epoch milliseconds. */
    readonly at: number;
  };
  /** null: no head has arrived. */
  readonly response: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string | string[]>>;
    readonly at: number;
  } | null;
}

/** What an interceptor can say of an exchange. */
interface Annotated {
  readonly exchange: InterceptedExchange;
  /** Adds to `intercepted.annotations` in the record: anything that JSON can say. */
  annotate(value: unknown): void;
}

/** A head of which the recorded copy can be changed. */
interface InterceptedHead extends Annotated {
  readonly headers: Readonly<Record<string, string | string[]>>;
  /** Epoch milliseconds. */
  readonly at: number;
  setHeader(name: string, value: string): void;
  removeHeader(name: string): void;
  renameHeader(from: string, to: string): void;
}

export interface InterceptedRequest extends InterceptedHead {
  readonly method: string;
  readonly url: string;
}

export interface InterceptedResponse extends InterceptedHead {
  readonly status: number;
}

/** What an event is to be. What is absent stays. */
export interface EventChange {
  data?: string;
  type?: string;
  id?: string;
}

/** One server-sent event, or one message of MCP. Verdicts hold for the record when the handler is done. */
export interface InterceptedEvent {
  /** Its number in the stream, from 0. Messages of MCP are numbered through, that of the request first. */
  readonly index: number;
  /** `message` if it names none. */
  readonly type: string;
  readonly data: string;
  /** The last event id of the stream, or `''`. */
  readonly id: string;
  readonly retry: number | null;
  /** When it arrived, in milliseconds since the request. */
  readonly at: number;
  /** `JSON.parse(data)`. */
  json(): any;
  /** Leaves it out of the record. */
  drop(): void;
  /** Another in its place: its data, or more. */
  replace(change: string | EventChange): void;
  annotate(value: unknown): void;
}

/**
 * Events of one exchange, in order, without those that interceptors before have left out. Messages of MCP that the request
 * consists of come in a batch of their own, while `exchange.response` is null.
 */
export interface InterceptedEvents extends Annotated, Iterable<InterceptedEvent> {
  readonly length: number;
  /** As of an array: negative ones count from the end. */
  at(index: number): InterceptedEvent | undefined;
}

/** An exchange that is over. */
export interface InterceptedEnd extends Annotated {
  readonly outcome: 'complete' | 'error' | 'cut';
  readonly error: { readonly code: string; readonly message: string } | null;
  /** Why it was cut off; null if it was not. */
  readonly reason: string | null;
  /** Events of its stream. */
  readonly events: number;
  /** Of these, those that no interceptor was given. */
  readonly passed: number;
  readonly durationMs: number;
  /** Wants no record of it. */
  discard(): void;
}

/** For `logger.use`. All that is given must be there in one form or another: a handler, `headers` or `deduplicate`. */
export interface Interceptor {
  /**
   * In numbers and records.
   * @default "interceptor <n>"
   */
  name?: string;
  /**
   * Which exchanges it is for: patterns in which `*` stands for anything (of several, one must fit), a RegExp for the URL, or a
   * function. The last two are asked on this thread.
   */
  match?:
    | { host?: string | readonly string[]; path?: string | readonly string[]; method?: string | readonly string[] }
    | RegExp
    | ((request: InterceptedRequest) => boolean);
  /**
   * Lower ones come first, and those after them see what they have changed.
   * @default 0
   */
  order?: number;
  /**
   * A batch is given when it has so many events (1 to 100000). Of several interceptors that match, the least holds.
   * @default 256
   */
  maxEvents?: number;
  /**
   * Or when its first event is that old, in milliseconds (0 to 60000).
   * @default 50
   */
  maxDelayMs?: number;
  /** The request's head is there. */
  onRequest?(request: InterceptedRequest): void | PromiseLike<void>;
  /** The response's head is there. */
  onResponse?(response: InterceptedResponse): void | PromiseLike<void>;
  /** Server-sent events came. */
  onEvents?(batch: InterceptedEvents): void | PromiseLike<void>;
  /** The exchange is over, and its record about to be made. */
  onExchange?(end: InterceptedEnd): void | PromiseLike<void>;
  /** Changes of recorded headers that need no JS: renamed, removed, set, in this order. */
  headers?: { request?: HeaderRules; response?: HeaderRules };
  /**
   * Leaves events out that the stream had before, by their id; events without one are never left out. Needs no JS.
   * @default false
   */
  deduplicate?: boolean;
}

export interface HeaderRules {
  rename?: Readonly<Record<string, string>>;
  remove?: string | readonly string[];
  set?: Readonly<Record<string, string>>;
}

/** An event as a function for single events takes and returns it. */
export interface LegacyEvent {
  type: string;
  data: string;
  id: string;
  retry: number | null;
  index: number;
}

/** Is asked about one event at a time: another or the same one, null to leave it out, nothing to leave it as it is. */
export type LegacyInterceptor = (
  event: LegacyEvent,
  context: { readonly exchange: InterceptedExchange },
) => Partial<LegacyEvent> | null | void | PromiseLike<Partial<LegacyEvent> | null | void>;

/** As in `Interceptor`. */
export type LegacyInterceptorOptions = Pick<Interceptor, 'name' | 'match' | 'order' | 'maxEvents' | 'maxDelayMs'>;

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
  /** What interceptors had to do with it, if any had. */
  intercepted?: Record<string, unknown>;
}
