//! Makes a finished exchange into a line, and survives what cannot be made into one.

use super::table::Finished;
use crate::exchange::Exchange;
use crate::record::{RecordOptions, write_line};
use crate::stats::Counters;
use crate::writer::log::Line;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What of a record is not in the exchange itself.
#[derive(Clone, Debug)]
pub struct Context {
    /// The session, for the exchange's id.
    pub session: String,
    /// The process that saw the exchanges.
    pub pid: u32,
    /// They come from the spool of a dead process.
    pub recovered: bool,
    /// They were recorded in zero-latency mode.
    pub zero_latency: bool,
}

/// What is needed besides the exchange.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// What of a record is not in the exchange itself.
    pub context: Context,
    /// Limits of record making.
    pub options: RecordOptions,
}

impl Recipe {
    /// The record of an exchange. A failure costs that exchange's bodies at most: it is counted, and the record is made
    /// without them.
    pub fn make(&self, finished: Finished, counters: &Counters) -> Line {
        let place = finished.open.intent_place().map(|(hold, at)| (hold.clone(), at));
        let bytes = self.try_make(&finished, |_| {}).or_else(|| {
            counters.failed.add(1);
            self.try_make(&finished, |exchange| {
                exchange.request_chunks.clear();
                exchange.gap = true;
                if let Some(response) = &mut exchange.response {
                    response.chunks.clear();
                }
            })
        });
        Line { bytes: bytes.unwrap_or_default(), place, holds: finished.open.holds }
    }

    fn try_make(&self, finished: &Finished, change: impl FnOnce(&mut Exchange<'_>)) -> Option<Vec<u8>> {
        let made = catch_unwind(AssertUnwindSafe(|| {
            finished.with_exchange(&self.context, |exchange| {
                let mut exchange = exchange.clone();
                change(&mut exchange);
                let mut line = Vec::new();
                write_line(&exchange, &self.options, &mut line);
                line
            })
        }));
        match made {
            Ok(Ok(line)) => Some(line),
            Ok(Err(error)) => {
                tracing::error!(%error, "an exchange cannot be read from the spool");
                None
            }
            Err(_) => None,
        }
    }
}
