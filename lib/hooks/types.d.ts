/** What a hook knows of the rest: `match` before an exchange, a recorder during it. See lib/hub.js. */
export interface Hub {
  match(origin: string, path: string, method: string): Recorder | null;
  fault(hook: string, error: unknown): void;
  /** Set where fetch is wrapped: called by every lower hook that takes an exchange on, in the caller's async context. */
  onWire?: (() => void) | null;
}

/** Times are `now()` of lib/clock.js; texts are those of lib/wire-head.js; kinds and sources are those of lib/kinds.js. */
export interface Recorder {
  /** A request is about to be made. */
  prepare(): void;
  /** The exchange's number, or 0: not recorded. */
  begin(source: number, origin: string, head: string, t0: number, asked?: number, bodyLength?: number): number;
  responseHead(id: number, status: number, reason: string, buffer: ArrayBufferLike, start: number, length: number, t0: number): void;
  chunk(id: number, kind: number, bytes: Uint8Array, t0: number): void;
  mark(id: number, kind: number, text: string, t0: number): void;
}

export type Uninstall = () => void;
