//! Server-sent events, as the WHATWG's HTML standard reads them (§9.2.6), from bytes that come in any pieces.
//!
//! ```text
//!  pieces of a body ──push()──► Parser ──► Event (borrowed) ──► message, or batches of interceptors
//! ```
//!
//! **The same events however the stream is cut.** Nothing waits for a byte that the standard does not need: the CR of a
//! blank line dispatches at once, and an LF that follows it, maybe in the next piece, is passed over. So an event belongs
//! to the piece that its last byte came in, and [`Event::end`] is the same at every split: times follow from it.
//!
//! **No copy** of an event whose data is one line inside one piece: [`Event::data`] then lies in the piece itself. What a
//! piece ends in the middle of is kept, so is data of several lines; a parser between events holds nothing but the id.
//!
//! **No input is an error.** Unknown fields are passed over, a `retry` that is no number too, and bytes are bytes: whether
//! data is UTF-8 is asked by who makes text of it ([`text_of`]: U+FFFD for what is not, as the standard says).
//!
//! **Bounded.** A line keeps its first [`Limits::max_line_bytes`], the data of an event its first
//! [`Limits::max_data_bytes`]; what is past them is dropped and the event says [`Event::cut`]. That, too, does not depend on
//! how the stream is cut.
//!
//! **The end of a stream** dispatches nothing (the standard again). [`Parser::undispatched_bytes`] tells how much of a stream
//! that broke off was not an event yet.
//!
//! **What it costs**, by `cargo bench --bench sse`: two searches of memchr and two comparisons to a typical event. The figures
//! stand in `benchmark/README.md`.
//!
//! **What stands on it.** `message` makes messages of events. A batch of events for interceptors is made by copying
//! the fields of [`Event`] into one buffer and places in it; [`Event::id`] is what a reconnection resumes from, and
//! [`Ids`] what it is recognised by.

mod event;
mod ids;
#[cfg(test)]
mod oracle;
mod parser;
#[cfg(test)]
mod tests;

pub use event::{Event, text_of};
pub use ids::{Gathered, Id, Ids};
pub use parser::{Limits, Parser};
