//! What a response of server-sent events holds besides its text: how many events there are, their ids, and which of them an
//! earlier exchange had already. Splitting costs 20 ns an event; data is not looked at.

use super::Message;
use crate::exchange::{Earlier, Exchange, Unanswered};
use crate::message::{Framing, Hints};
use crate::sse::{Gathered, Id, Ids, Parser};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Fits into the nearest cache.
const BLOCK_BYTES: usize = 16 * 1024;

/// A response of server-sent events, as it was received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Streamed {
    /// Events.
    pub events: u64,
    /// Bytes of the body, decoded.
    pub bytes: u64,
    /// Lines that were longer than what is kept of one.
    pub cut_lines: u64,
    /// Events that were, or had such lines.
    pub cut_events: u64,
    /// Events that the exchange which this one resumes had already: the first of a run, and how many.
    pub replayed: Vec<(u64, u64)>,
    /// What the stream can be resumed from, and recognised by in the one that resumes it.
    pub ids: Ids,
    /// The JSON-RPC requests that it was to answer and did not.
    pub unanswered: Option<Unanswered>,
}

impl Streamed {
    /// How many events were replayed.
    pub fn replayed_events(&self) -> u64 {
        self.replayed.iter().map(|(_, count)| count).sum()
    }
}

/// `None`: the response is no stream of server-sent events, or reading it failed, which is our bug and costs nothing else.
pub(super) fn of(exchange: &Exchange, response: &Message) -> Option<Streamed> {
    is_one(response)
        .then(|| catch_unwind(AssertUnwindSafe(|| read(response, exchange.earlier))).ok())
        .flatten()
}

/// Whether the response is a stream of server-sent events.
pub(super) fn is_one(response: &Message) -> bool {
    let hints = Hints { content_type: &response.content_type, url: b"" };
    hints.framing() == Some(Framing::Sse)
}

fn read(response: &Message, earlier: Option<&Earlier>) -> Streamed {
    let (mut streamed, mut gathered, mut parser) =
        (Streamed::default(), Gathered::default(), Parser::default());
    response.body.with_pieces(|pieces| {
        in_blocks(pieces, |block| {
            streamed.bytes += block.len() as u64;
            parser.push(block, |event| {
                let number = streamed.events;
                streamed.events += 1;
                streamed.cut_events += u64::from(event.cut);
                // An event without an id of its own says nothing of whether it has been here before.
                let Some(id) = Id::of(event.id).filter(|_| event.has_id) else { return };
                if earlier.is_some_and(|earlier| earlier.ids.contains(id)) {
                    add_to_runs(&mut streamed.replayed, number);
                } else {
                    gathered.add(id);
                }
            });
        });
    });
    streamed.cut_lines = parser.cut_lines();
    streamed.ids = gathered.into_ids(Id::of(parser.last_event_id()), earlier.map(|earlier| &earlier.ids));
    streamed
}

/// Small pieces together: where they end does not matter here, and to the parser each has a cost of its own.
fn in_blocks(pieces: &[&[u8]], mut on_block: impl FnMut(&[u8])) {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    for piece in pieces {
        if block.len() + piece.len() > BLOCK_BYTES {
            on_block(&block);
            block.clear();
        }
        if piece.len() > BLOCK_BYTES {
            on_block(piece);
        } else {
            block.extend_from_slice(piece);
        }
    }
    on_block(&block);
}

fn add_to_runs(runs: &mut Vec<(u64, u64)>, number: u64) {
    match runs.last_mut() {
        Some((first, count)) if *first + *count == number => *count += 1,
        _ => runs.push((number, 1)),
    }
}
