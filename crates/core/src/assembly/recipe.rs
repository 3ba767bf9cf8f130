//! Makes a finished exchange into a line, and survives what cannot be made into one.

use super::streams::{Resumption, Streams};
use super::table::Finished;
use crate::civil::Iso;
use crate::error::words_of;
use crate::exchange::{Chunk, Exchange};
use crate::interceptor::Changes;
use crate::record::{RecordOptions, Streamed, write_changed_line};
use crate::stats::{Counters, SseCounters};
use crate::writer::log::Line;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

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
    /// What a later exchange may resume.
    pub streams: Arc<Streams>,
}

impl Recipe {
    /// The record of an exchange. Where making it fails, that is counted, the record is made without bodies, and the
    /// exchange goes to the dead letters with the reason. `wait_for_earlier` is called, if at all, before anything is asked
    /// that depends on records of exchanges that finished earlier: it returns when they have been made.
    pub fn make(&self, finished: Finished, counters: &Counters, wait_for_earlier: impl Fn()) -> Line {
        self.make_with(finished, counters, &wait_for_earlier, write_changed_line)
    }

    fn make_with(
        &self,
        finished: Finished,
        counters: &Counters,
        wait_for_earlier: &dyn Fn(),
        write: Write,
    ) -> Line {
        let place = finished.open.intent_place().map(|(hold, at)| (hold.clone(), at));
        if finished.changes.as_ref().is_some_and(|changes| changes.discard) {
            // An empty line: its exchange is done with as if it had been written.
            return Line { bytes: Vec::new(), place, holds: finished.open.holds, dead: None };
        }
        let mut dead = None;
        let make = |change: &dyn Fn(&mut Exchange<'_>)| {
            self.try_make(&finished, counters, wait_for_earlier, write, change)
        };
        let bytes = make(&|_| {}).unwrap_or_else(|reason| {
            counters.failed.add(1);
            let exchange =
                finished.with_exchange(&self.context, |exchange| raw(&exchange)).unwrap_or_else(|error| {
                    serde_json::json!({ "id": self.context.session, "unreadable": error.to_string() })
                        .to_string()
                });
            dead = Some((reason, exchange));
            make(&|exchange| {
                exchange.request_chunks.clear();
                exchange.gap = true;
                if let Some(response) = &mut exchange.response {
                    response.chunks.clear();
                }
            })
            .unwrap_or_default()
        });
        Line { bytes, place, holds: finished.open.holds, dead }
    }

    fn try_make(
        &self,
        finished: &Finished,
        counters: &Counters,
        wait_for_earlier: &dyn Fn(),
        write: Write,
        change: &dyn Fn(&mut Exchange<'_>),
    ) -> Result<Vec<u8>, String> {
        let made = catch_unwind(AssertUnwindSafe(|| {
            finished.with_exchange(&self.context, |mut exchange| {
                change(&mut exchange);
                let earlier = Resumption::of(&exchange).and_then(|resumption| {
                    wait_for_earlier();
                    self.streams.earlier(resumption)
                });
                let exchange = Exchange { earlier: earlier.as_deref(), ..exchange };
                let mut line = Vec::new();
                let streamed = write(&exchange, finished.changes.as_deref(), &self.options, &mut line);
                counters.sse.reconnects.add(u64::from(earlier.is_some()));
                if let Some(streamed) = streamed {
                    count(&streamed, &counters.sse);
                    self.streams.add(&exchange, streamed);
                }
                line
            })
        }));
        match made {
            Ok(Ok(line)) => Ok(line),
            Ok(Err(error)) => Err(error.to_string()),
            Err(panic) => Err(format!("making the record panicked: {}", words_of(&*panic))),
        }
    }
}

type Write = for<'a> fn(&Exchange<'a>, Option<&'a Changes>, &RecordOptions, &mut Vec<u8>) -> Option<Streamed>;

fn count(streamed: &Streamed, counters: &SseCounters) {
    counters.streams.add(1);
    counters.events.add(streamed.events);
    counters.bytes.add(streamed.bytes);
    counters.cut_lines.add(streamed.cut_lines);
    counters.cut_events.add(streamed.cut_events);
    counters.replayed_events.add(streamed.replayed_events());
}

/// The parts of an exchange as they are.
fn raw(exchange: &Exchange<'_>) -> String {
    let encode = |bytes: &[u8]| STANDARD.encode(bytes);
    let chunks = |chunks: &[Chunk<'_>]| chunks.iter().map(|chunk| encode(chunk.bytes)).collect::<Vec<_>>();
    serde_json::json!({
        "id": exchange.id,
        "started_at": Iso(exchange.started_at).to_string(),
        "request_head": encode(exchange.request_head),
        "request_chunks": chunks(&exchange.request_chunks),
        "response_head": exchange.response.as_ref().map(|response| encode(response.head)),
        "response_chunks": exchange.response.as_ref().map(|response| chunks(&response.chunks)),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assembly::{Applied, Table};
    use crate::exchange::Kind;
    use crate::spool::layout::{EntryHeader, FLAG_INTENT};
    use crate::spool::pool::Hold;
    use crate::spool::segment::Segment;

    fn finished() -> Finished {
        let segment = Arc::new(Segment::in_memory(8192, 1).unwrap());
        let hold = Hold::of_orphan(Arc::clone(&segment));
        let mut writer = segment.claim();
        let mut table = Table::default();
        let entries = [
            (Kind::RequestHead, FLAG_INTENT, &b"POST http://x/v1/messages HTTP/1.1\r\n"[..]),
            (Kind::RequestBody, 0, b"secret of the body"),
            (Kind::Error, 0, b"ECONNRESET\ngone"),
        ];
        for (sequence, (kind, flags, payload)) in entries.into_iter().enumerate() {
            let header = EntryHeader {
                generation: 0,
                exchange: 1,
                sequence: sequence as u64,
                at: 5,
                payload_len: payload.len() as u32,
                kind: kind as u8,
                flags,
                source: 1,
                chain: 0,
                hook_ns: 0,
            };
            let at = writer.append(header, payload, || 0).unwrap();
            if let Applied::Finished(finished) = table.apply(&hold, at, &header) {
                return *finished;
            }
        }
        panic!("the last entry ends it");
    }

    fn recipe() -> Recipe {
        let context = Context { session: "s".into(), pid: 1, recovered: false, zero_latency: true };
        Recipe {
            context,
            options: RecordOptions { max_decoded_bytes: 1024, derive: false },
            streams: Arc::default(),
        }
    }

    #[test]
    fn a_panic_costs_the_bodies_of_that_record_and_nothing_else() {
        let counters = Counters::default();
        let panics_on_bodies: Write = |exchange, changes, options, out| {
            assert!(exchange.request_chunks.is_empty(), "what a body can do");
            write_changed_line(exchange, changes, options, out)
        };
        let line = recipe().make_with(finished(), &counters, &|| {}, panics_on_bodies);
        assert_eq!(counters.failed.get(), 1);
        let record: serde_json::Value = serde_json::from_slice(&line.bytes).unwrap();
        assert_eq!((&record["request"]["method"], &record["trace"]["gap"]), (&"POST".into(), &true.into()));
        let (reason, exchange) = line.dead.unwrap();
        assert_eq!(reason, "making the record panicked: what a body can do");
        assert!(exchange.contains(&STANDARD.encode("secret of the body")));
    }

    #[test]
    fn a_record_that_can_never_be_made_is_a_dead_letter_alone() {
        let line =
            recipe().make_with(finished(), &Counters::default(), &|| {}, |_, _, _, _| panic!("always"));
        assert!(line.bytes.is_empty() && line.dead.is_some());
    }
}
