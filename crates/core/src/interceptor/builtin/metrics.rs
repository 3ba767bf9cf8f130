//! Counts what passes, for whoever wants numbers and no more.

use crate::interceptor::{End, EventBatch, Failed, Interceptor, Outcome};
use crate::stats::Counter;
use std::sync::Arc;

/// Numbers of all streams together.
#[derive(Debug, Default)]
pub struct StreamMetrics {
    /// Exchanges that are over.
    pub exchanges: Counter,
    /// Of these, those that did not arrive whole.
    pub failed: Counter,
    /// Events.
    pub events: Counter,
    /// Bytes of their data.
    pub data_bytes: Counter,
    /// Batches.
    pub batches: Counter,
}

/// Counts into [`StreamMetrics`].
#[derive(Debug, Default)]
pub struct Metrics(pub Arc<StreamMetrics>);

impl Interceptor for Metrics {
    fn on_events(&mut self, batch: &mut EventBatch) -> Result<(), Failed> {
        self.0.batches.add(1);
        self.0.events.add(batch.len() as u64);
        self.0.data_bytes.add(batch.iter().map(|event| event.data.len() as u64).sum());
        Ok(())
    }

    fn on_end(&mut self, end: &mut End<'_>) -> Result<(), Failed> {
        self.0.exchanges.add(1);
        self.0.failed.add(u64::from(*end.outcome != Outcome::Complete));
        Ok(())
    }
}
