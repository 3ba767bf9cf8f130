//! A relay between an MCP client and a server on its standard streams.
//!
//! ```text
//!  client ──stdin──► pump ──► server           each pump: read, tell the ear, write, tell the ear
//!         ◄─stdout── pump ◄──                  ear: lines ─► messages ─► exchanges on the tape
//! ```
//!
//! **What passes.** Every byte as it came, in both directions: what one read has brought is written on before the next, and
//! nothing is kept back until a line or a message is whole. A pump that cannot write does not read: back-pressure is that of
//! the pipes. The end of one side's stream is the end of the other's; who closes a reading end has the writer hear of it.
//!
//! **What is on record.** One exchange for each JSON-RPC message that is not an answer: a request with its answer, whichever
//! side asks; a notification, an answer that nobody waits for, and a line that is no message each alone, with the status 202
//! that Streamable HTTP gives them (`docs/format.md`). It is told to the tape before it is passed on, and its end after, so
//! that nothing a side has received is missing when the relay is killed. The part of a line that one read has brought is on
//! record as an exchange of its own until its line is whole and can be told of.
//!
//! **Bounded.** A line is kept until it is whole, up to [`MAX_LINE`]; a longer one is on record by itself, unmatched. Of
//! each side's requests [`MAX_OPEN`] may be open; past that the oldest is given up. Ids count from 0 again when a client
//! is started anew, so a request whose id is used again is given up, too.
//!
//! **Failures.** A pump that can no longer be listened to (a panic in an ear) goes on pumping.
//!
//! **Interceptors** of recorded copies see these exchanges as they see those of HTTP: whose heads and bodies they have, each message an
//! event (`claude_trace_core::interceptor`). Rules, which change what passes, stand between an ear and its pump's write, if
//! there are any (`ruled`): then, and only then, a message passes when it is whole, and what passes is what they say.

mod book;
mod ear;
mod lines;
mod pump;
mod ruled;
mod told;

pub use ear::{Ear, Ears};
pub use lines::{Lines, Piece};
pub use pump::{End, Input, Output, Way, pump, pump_ruled};

/// A line that is longer is on record by itself. The official SDK takes 10 MiB.
pub const MAX_LINE: usize = 64 << 20;
/// The error that a blocked request is answered with. JSON-RPC leaves -32000 to -32099 to implementations.
pub(crate) const BLOCKED: i32 = -32003;
/// Requests of one side that wait for their answers.
pub const MAX_OPEN: usize = 10_000;
