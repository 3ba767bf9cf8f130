//! What the engine counts and measures. Counters are relaxed atomics: each has a few writers and none orders anything.

use hdrhistogram::Histogram;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds to it.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Adds to it.
    pub fn add(&self, n: i64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed).max(0) as u64
    }
}

/// Everything a pipeline counts.
#[derive(Debug, Default)]
pub struct Counters {
    /// Exchanges begun.
    pub begun: Counter,
    /// Exchanges ended by their hooks.
    pub ended: Counter,
    /// Exchanges abandoned to a better hook.
    pub abandoned: Counter,
    /// Records in the log.
    pub written: Counter,
    /// Bytes in the log.
    pub bytes_written: Counter,
    /// Writes to the log.
    pub flushes: Counter,
    /// Writes that were tried again.
    pub retries: Counter,
    /// Entries for which there was no room.
    pub drops: Counter,
    /// Overflow segments made.
    pub spills: Counter,
    /// Pooled segments made.
    pub pool_mapped: Counter,
    /// Free segments let go in quiet times.
    pub trims: Counter,
    /// Times a free segment was used again.
    pub pool_reused: Counter,
    /// Bytes of open exchanges copied forward to free a segment.
    pub copied_forward: Counter,
    /// Spool entries that were not whole.
    pub damaged: Counter,
    /// Exchanges whose record could not be made.
    pub failed: Counter,
    /// Dead letters kept.
    pub dead_letters: Counter,
    /// Records recovered from dead processes.
    pub recovered: Counter,
    /// Exchanges open now.
    pub open: Gauge,
    /// Exchanges finished and not yet in the log.
    pub queued: Gauge,
    /// Records gathered for the next write.
    pub buffered: Gauge,
    /// Bytes of records made and not yet written.
    pub buffered_bytes: Gauge,
    /// Of streams of server-sent events whose records have been made.
    pub sse: SseCounters,
}

/// What is counted of streams of server-sent events.
#[derive(Debug, Default)]
pub struct SseCounters {
    /// Responses that were such a stream.
    pub streams: Counter,
    /// Their events.
    pub events: Counter,
    /// Bytes of their bodies, decoded.
    pub bytes: Counter,
    /// Lines that were longer than what is kept of one.
    pub cut_lines: Counter,
    /// Events that were, or had such lines.
    pub cut_events: Counter,
    /// Requests that resumed the stream of an earlier exchange.
    pub reconnects: Counter,
    /// Events that the earlier exchange had already.
    pub replayed_events: Counter,
}

/// Hook times in nanoseconds.
#[derive(Debug)]
pub struct Latencies {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    requests: Histogram<u64>,
    chunks: Histogram<u64>,
}

/// A summary of a histogram, milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Summary {
    /// Values recorded.
    pub count: u64,
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
    /// Share of values within the target of 0.1 ms, 0 to 1; 1 when there are none.
    pub within_target: f64,
}

/// 0.1 ms: what the mode promises to stay under at p95.
pub const TARGET_NS: u64 = 100_000;

impl Default for Latencies {
    fn default() -> Self {
        // 1 ns to a minute in steps of 1 %: some 25 KB each, whatever comes.
        let histogram = || Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("the bounds are in order");
        Self { inner: Mutex::new(Inner { requests: histogram(), chunks: histogram() }) }
    }
}

impl Latencies {
    /// Takes in a batch: what requests cost without their chunks, and what chunks cost.
    pub fn record(&self, requests: impl Iterator<Item = u64>, chunks: impl Iterator<Item = u64>) {
        let mut inner = self.lock();
        requests.for_each(|ns| inner.requests.saturating_record(ns));
        chunks.for_each(|ns| inner.chunks.saturating_record(ns));
    }

    /// Requests without their chunks.
    pub fn requests(&self) -> Summary {
        summarize(&self.lock().requests)
    }

    /// Chunks.
    pub fn chunks(&self) -> Summary {
        summarize(&self.lock().chunks)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn summarize(histogram: &Histogram<u64>) -> Summary {
    if histogram.is_empty() {
        return Summary { within_target: 1.0, ..Summary::default() };
    }
    let ms = |ns: u64| ns as f64 / 1e6;
    Summary {
        count: histogram.len(),
        mean: histogram.mean() / 1e6,
        min: ms(histogram.min()),
        p50: ms(histogram.value_at_quantile(0.5)),
        p95: ms(histogram.value_at_quantile(0.95)),
        p99: ms(histogram.value_at_quantile(0.99)),
        max: ms(histogram.max()),
        within_target: histogram.count_between(0, TARGET_NS) as f64 / histogram.len() as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_says_what_was_recorded() {
        let latencies = Latencies::default();
        latencies.record((1..=100).map(|n| n * 2_000), std::iter::once(250));
        let requests = latencies.requests();
        assert_eq!(requests.count, 100);
        assert!((requests.p50 - 0.1).abs() < 0.002, "{requests:?}");
        assert!((requests.within_target - 0.5).abs() < 0.02, "{requests:?}");
        assert!((requests.max - 0.2).abs() < 0.002);
        assert_eq!(latencies.chunks().count, 1);
    }

    #[test]
    fn nothing_recorded_means_nothing_missed() {
        let summary = Latencies::default().requests();
        assert_eq!((summary.count, summary.within_target), (0, 1.0));
    }
}
