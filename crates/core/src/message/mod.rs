//! From events to what they say: the message, its tokens and its times.
//!
//! ```text
//!  pieces of a body, ──► sse, frames, array ──► Stream ──► an accumulator of the provider ──► Derived
//!  each with its time                              └──► times of events
//! ```
//!
//! **The provider's own SDK is the measure.** Each accumulator puts a message together as the official SDK does, down to which
//! fields it replaces and which it joins; `__test__/derived.test.js` holds the two against each other on the same streams. What
//! an accumulator does otherwise, and why, stands on top of its file. Where there is no SDK that accumulates (Converse, Gemini),
//! it is the answer that the same API gives without a stream.
//!
//! **Whose stream it is** is told by its events. The URL decides only for a stream that is nothing but an error. What no
//! accumulator knows stays raw: events are counted and timed, and no message is made up.
//!
//! **No input is an error, and none panics.** A value of a wrong type is as good as none, an event of an unknown type is passed
//! over, data that is not JSON is counted. SDKs throw at some of that; a record of a broken stream should show what there is.
//! Indexes from outside never allocate: lists grow by one, and sparse ones are maps.
//!
//! **What it costs.** A message holds no more than its stream does. A delta is read without a copy but for its text: runs of
//! deltas for the same place are gathered in one string (`run`), fields that each chunk repeats are compared and not
//! parsed (`fields`). The target is 0.3 µs to an event; `cargo bench --bench sse` measures it.
//!
//! **Times** belong to pieces: an event came when the piece with its last byte did. Who has a body in one piece, or decoded in a
//! way that hides its pieces, gives no times and gets none.

mod anthropic;
mod array;
mod chat;
mod chat_events;
mod converse;
mod fields;
mod gemini;
mod made;
mod partial_json;
mod provider;
mod responses;
mod run;
mod stream;
#[cfg(test)]
mod tests;
mod text;
mod timing;

pub use made::Usage;
pub use provider::{Framing, Hints, Provider};
pub use stream::{Counts, Derived, Stream};
pub use timing::{STALL_MS, Stalls, Timing};
