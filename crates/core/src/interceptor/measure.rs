//! What interceptors do and cost, counted.

use super::registry::Registered;
use crate::stats::Counter;
use hdrhistogram::Histogram;
use std::sync::{Arc, Mutex, PoisonError};

/// A summary of a histogram, in the unit that is said where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[allow(missing_docs, reason = "as in crate::stats::Summary")]
pub struct Spread {
    pub count: u64,
    pub mean: f64,
    pub min: f64,
    pub p50: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

/// Values of which a summary can be made. Two digits of precision, up to a minute of nanoseconds: some 25 KB, so it is made
/// with the first value.
#[derive(Debug, Default)]
pub(super) struct Distribution(Mutex<Option<Histogram<u64>>>);

impl Distribution {
    pub(super) fn record(&self, value: u64) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner
            .get_or_insert_with(|| {
                Histogram::new_with_bounds(1, 60_000_000_000, 2).expect("the bounds are in order")
            })
            .saturating_record(value);
    }

    /// Each value divided by `unit`.
    pub(super) fn spread(&self, unit: f64) -> Spread {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(histogram) = &*inner else { return Spread::default() };
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / unit;
        Spread {
            count: histogram.len(),
            mean: histogram.mean() / unit,
            min: histogram.min() as f64 / unit,
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            max: histogram.max() as f64 / unit,
        }
    }
}

/// What all interceptors together do.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "explained in Stats")]
pub struct Totals {
    pub exchanges: Counter,
    pub batches: Counter,
    pub events: Counter,
    pub dropped: Counter,
    pub replaced: Counter,
    pub annotated: Counter,
    pub passed: Counter,
    pub overruns: Counter,
    pub late: Counter,
    pub duplicates: Counter,
    pub errors: Counter,
    pub discarded: Counter,
    pub(super) batch_size: Distribution,
    pub(super) delay_ns: Distribution,
}

/// What one interceptor does.
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) batches: Counter,
    pub(super) events: Counter,
    pub(super) errors: Counter,
    pub(super) late: Counter,
    pub(super) call_ns: Distribution,
    pub(super) total_ns: Counter,
}

/// Everything counted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Exchanges that an interceptor matched.
    pub exchanges: u64,
    /// Batches given.
    pub batches: u64,
    /// Events in them.
    pub events: u64,
    /// Events left out of a record.
    pub dropped: u64,
    /// Events that stand in a record otherwise.
    pub replaced: u64,
    /// Annotations.
    pub annotated: u64,
    /// Events recorded without having been given: there was no room.
    pub passed: u64,
    /// Exchanges recorded without interceptors since the stage was behind.
    pub overruns: u64,
    /// Times that an interceptor had not answered in time, or could not be reached.
    pub late: u64,
    /// Events left out as duplicates.
    pub duplicates: u64,
    /// Panics and errors.
    pub errors: u64,
    /// Exchanges of which an interceptor wanted no record.
    pub discarded: u64,
    /// Events in a batch.
    pub batch_size: Spread,
    /// Milliseconds from the arrival of the first event of a batch to its being given.
    pub delay_ms: Spread,
    /// Each interceptor, by order.
    pub interceptors: Vec<InterceptorStats>,
}

/// What one interceptor has done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InterceptorStats {
    /// Its name.
    pub name: String,
    /// Its order.
    pub order: i32,
    /// Batches it was given.
    pub batches: u64,
    /// Events in them.
    pub events: u64,
    /// Times it failed.
    pub errors: u64,
    /// Times it did not answer in time.
    pub late: u64,
    /// Milliseconds in it altogether.
    pub total_ms: f64,
    /// Milliseconds of a call.
    pub call_ms: Spread,
}

impl Totals {
    /// Everything, as it is now.
    pub(super) fn stats(&self, registered: &[Arc<Registered>]) -> Stats {
        Stats {
            exchanges: self.exchanges.get(),
            batches: self.batches.get(),
            events: self.events.get(),
            dropped: self.dropped.get(),
            replaced: self.replaced.get(),
            annotated: self.annotated.get(),
            passed: self.passed.get(),
            overruns: self.overruns.get(),
            late: self.late.get(),
            duplicates: self.duplicates.get(),
            errors: self.errors.get(),
            discarded: self.discarded.get(),
            batch_size: self.batch_size.spread(1.0),
            delay_ms: self.delay_ns.spread(1e6),
            interceptors: registered.iter().map(|one| one.meter.stats(one)).collect(),
        }
    }
}

impl Meter {
    pub(super) fn called(&self, ns: u64) {
        self.call_ns.record(ns);
        self.total_ns.add(ns);
    }

    fn stats(&self, one: &Registered) -> InterceptorStats {
        InterceptorStats {
            name: one.name.clone(),
            order: one.order,
            batches: self.batches.get(),
            events: self.events.get(),
            errors: self.errors.get(),
            late: self.late.get(),
            total_ms: self.total_ns.get() as f64 / 1e6,
            call_ms: self.call_ns.spread(1e6),
        }
    }
}
