//! The core's numbers as a JS object.

use claude_trace_core::clock::wall_nanos;
use claude_trace_core::interceptor::Spread;
use claude_trace_core::pipeline::recorder::{SseStats, Stats};
use claude_trace_core::stats::Summary;
use napi_derive::napi;

/// A summary of hook times, milliseconds.
#[napi(object, object_from_js = false)]
pub struct Latency {
    /// Values recorded.
    pub count: f64,
    /// Their mean.
    pub mean: f64,
    /// The smallest.
    pub min: f64,
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The largest.
    pub max: f64,
    /// Share of values within 0.1 ms, 0 to 1; 1 when there are none.
    pub within_target: f64,
}

impl From<Summary> for Latency {
    fn from(s: Summary) -> Self {
        Self {
            count: s.count as f64,
            mean: s.mean,
            min: s.min,
            p50: s.p50,
            p95: s.p95,
            p99: s.p99,
            max: s.max,
            within_target: s.within_target,
        }
    }
}

/// Streams of server-sent events whose records have been made.
#[napi(object, object_from_js = false)]
pub struct NativeSseStats {
    /// Responses that were such a stream.
    pub streams: f64,
    /// Their events.
    pub events: f64,
    /// Bytes of their bodies, decoded.
    pub bytes: f64,
    /// Lines that were longer than 16 MiB.
    pub cut_lines: f64,
    /// Events that had such lines, or more than 32 MiB of data.
    pub cut_events: f64,
    /// Requests that resumed the stream of an earlier exchange.
    pub reconnects: f64,
    /// Events that the earlier exchange had already.
    pub replayed_events: f64,
}

impl From<SseStats> for NativeSseStats {
    fn from(s: SseStats) -> Self {
        Self {
            streams: s.streams as f64,
            events: s.events as f64,
            bytes: s.bytes as f64,
            cut_lines: s.cut_lines as f64,
            cut_events: s.cut_events as f64,
            reconnects: s.reconnects as f64,
            replayed_events: s.replayed_events as f64,
        }
    }
}

/// A summary of values, in the unit that is said where it stands.
#[napi(object, object_from_js = false)]
pub struct NativeSpread {
    /// Values recorded.
    pub count: f64,
    /// Their mean.
    pub mean: f64,
    /// The smallest.
    pub min: f64,
    /// The median.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

impl From<Spread> for NativeSpread {
    fn from(Spread { count, mean, min, p50, p95, p99, max }: Spread) -> Self {
        Self { count: count as f64, mean, min, p50, p95, p99, max }
    }
}

/// What a pipeline has counted and measured since it was opened.
#[napi(object, object_from_js = false)]
pub struct NativeStats {
    /// Records in the log.
    pub total_pairs: f64,
    /// Exchanges begun and not ended.
    pub pending_requests: f64,
    /// The log: where it is, or will be tried first.
    pub log_file: String,
    /// `zero-latency` or `standard`.
    pub mode: String,
    /// Why standard mode took over, if it did.
    pub fallback: Option<String>,
    /// Hook time on the JS thread per request, its received chunks not counted.
    pub latency: Latency,
    /// Hook time on the JS thread per received chunk.
    pub chunk_latency: Latency,
    /// Exchanges finished and not yet in the log.
    pub queue_size: f64,
    /// Whether there are any.
    pub is_processing: bool,
    /// Exchanges made into records.
    pub tasks_processed: f64,
    /// Threads that make records now.
    pub workers: f64,
    /// Records gathered for the next write.
    pub buffered_lines: f64,
    /// The fuller of the segment pool and the write buffer, 0 to 1.
    pub buffer_utilization: f64,
    /// Bytes of spool segments and of records on their way.
    pub memory_bytes: f64,
    /// Bytes of spool segments.
    pub spool_bytes: f64,
    /// Spool segments.
    pub spool_segments: f64,
    /// Times a free segment was used again.
    pub pool_reused: f64,
    /// Segments made for the pool.
    pub pool_mapped: f64,
    /// Writes to the log.
    pub flushes: f64,
    /// Writes per second since the recorder was opened.
    pub flushes_per_second: f64,
    /// Bytes in the log.
    pub bytes_written: f64,
    /// Entries for which the spool had no room.
    pub drops: f64,
    /// Segments made past the pool's size.
    pub spills: f64,
    /// Writes that failed and were tried again.
    pub retries: f64,
    /// Exchanges whose record was made without bodies, because making it failed.
    pub failed: f64,
    /// Dead letters kept.
    pub dead_letters: f64,
    /// Exchanges given up because a better hook saw them.
    pub abandoned: f64,
    /// Records recovered from dead processes at the start.
    pub recovered: f64,
    /// Bytes of open exchanges copied forward to free a segment.
    pub copied_forward: f64,
    /// Spool entries that were not whole.
    pub damaged: f64,
    /// Streams of server-sent events.
    pub sse: NativeSseStats,
    /// When these numbers were read, milliseconds since the Unix epoch.
    pub last_measurement: f64,
}

impl From<Stats> for NativeStats {
    fn from(s: Stats) -> Self {
        Self {
            total_pairs: s.total_pairs as f64,
            pending_requests: s.pending_requests as f64,
            log_file: s.log_file.to_string_lossy().into_owned(),
            mode: if s.zero_latency { "zero-latency" } else { "standard" }.into(),
            fallback: s.fallback,
            latency: s.requests.into(),
            chunk_latency: s.chunks.into(),
            queue_size: s.queue_size as f64,
            is_processing: s.queue_size > 0,
            tasks_processed: s.tasks_processed as f64,
            workers: s.workers as f64,
            buffered_lines: s.buffered_lines as f64,
            buffer_utilization: s.buffer_utilization,
            memory_bytes: s.memory_bytes as f64,
            spool_bytes: s.spool_bytes as f64,
            spool_segments: s.spool_segments as f64,
            pool_reused: s.pool_reused as f64,
            pool_mapped: s.pool_mapped as f64,
            flushes: s.flushes as f64,
            flushes_per_second: s.flushes_per_second,
            bytes_written: s.bytes_written as f64,
            drops: s.drops as f64,
            spills: s.spills as f64,
            retries: s.retries as f64,
            failed: s.failed as f64,
            dead_letters: s.dead_letters as f64,
            abandoned: s.abandoned as f64,
            recovered: s.recovered as f64,
            copied_forward: s.copied_forward as f64,
            damaged: s.damaged as f64,
            sse: s.sse.into(),
            last_measurement: (wall_nanos() / 1_000_000) as f64,
        }
    }
}
