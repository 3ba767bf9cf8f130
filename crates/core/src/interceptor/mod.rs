//! Interceptors: user code that sees what is recorded, in batches, and may change the recorded copy.
//!
//! ```text
//!  pieces of bodies ─► Stage ─► parser ─► EventBatch ─► local interceptors (this thread) ─┐
//!   (as they come)       │                    ▲          remote ones (a Mailbox) ─ answers ┤
//!                        └── at its end: Changes ◄───────────── verdicts ──────────────────┘
//! ```
//!
//! **Nothing here knows of transports, spool or files.** [`Interceptor`] and [`EventBatch`] are plain values; the [`Stage`] is
//! given bytes and times and returns [`Changes`]. The recorder feeds it what its assembler reads from the spool, off the
//! path of the client. [`live`] runs the same trait on the path of the bytes, for those who ask; [`rules`] are interceptors for
//! it that a file describes.
//!
//! **The stage has no thread and no clock.** Whoever runs it says what time it is, so batches by time are tested without
//! sleeping. In zero-latency mode the thread `ct-intercept` runs it, which starts with the first exchange that an interceptor
//! matches; in standard mode the pushing thread does.
//!
//! **Without interceptors it costs nothing:** the assembler asks an atomic when an exchange begins. An exchange that none
//! matches is not looked at again. One of which nobody wants events is not parsed.
//!
//! **Batches.** Events are copied into one buffer and given when there are `max_events` of them, [`BATCH_BYTES`], or when the
//! oldest has waited `max_delay`; of several interceptors that match, the least limits hold. An exchange has one batch
//! under way: what comes meanwhile gathers for the next, so a slow interceptor sees larger batches and not more of them.
//! The hooks of an exchange are called in the order request, response, events, end; interceptors by their order.
//!
//! **Messages of MCP are events** on any transport, so that one interceptor sees both (`messages`). Those of a request come before its
//! response's head, in a batch of their own ([`EventBatch::is_of_request`]); then those of its answer: each event of a stream, or
//! the whole JSON when it has arrived. They are numbered through, request first. A message that is left out leaves an
//! empty body, or `null` in a batch of JSON-RPC.
//!
//! **Bounds.** All batches together hold [`MAX_BUFFERED_BYTES`]. An event for which there is no room is recorded and not given;
//! that is counted (`passed`) and stands in the record. A remote interceptor that has not answered within its timeout
//! is given nothing more of that exchange, and the record is made without waiting for it; so is an end that waits
//! longer. Nothing here is ever waited for by the thread that records.
//!
//! **Failures.** A panic or an error of an interceptor takes it out of that exchange, together with everything it has
//! wanted there: the record is as if it had not been. Others, and other exchanges, go on. It is counted and named in the
//! record.
//!
//! **The spool keeps the only copy.** Verdicts hold places in the (decoded) body and what stands there instead; the worker
//! applies them when it makes the record. So a process that dies leaves everything as it was received: its records are recovered
//! *without* interceptors, which are code that is gone.
//!
//! **What will sit here too.** Sampling is [`End::discard`], which exists. Redaction of recorded bodies that are no streams would
//! have the worker call [`Interceptor::on_body`], which the live path alone does now; events are redacted by `Replace`.

mod adapter;
mod batch;
pub mod builtin;
mod changes;
mod heads;
mod hooks;
mod intake;
mod ledger;
pub mod live;
mod measure;
mod messages;
mod reader;
mod registry;
mod remote;
mod rule;
pub mod rules;
mod stage;
mod step;
#[cfg(test)]
mod tests;
mod watched;

pub use adapter::{AsyncEventInterceptor, EventInterceptor, OwnedEvent, PerEvent, PerEventAsync};
pub use batch::{Event, EventBatch, Replacement, Verdict};
pub use changes::{Account, Annotation, Changes, Edit, Editor, Failure};
pub use heads::{HeaderChange, changed_head};
pub use hooks::{Body, End, Failed, Hooks, Instead, Interceptor, Message, Outcome, Reply};
pub use measure::{InterceptorStats, Spread, Stats, Totals};
pub use messages::may_be_mcp;
pub use registry::{Limits, Maker, Registered, Registration, Registry, Watch};
pub use remote::{Answer, Content, Delivery, Mailbox, PLACES, PackedEvents, Said};
pub use rule::{Call, Pattern, Rule};
pub use stage::{Key, Stage};

/// A batch of that many bytes waits for no more.
pub const BATCH_BYTES: usize = 256 * 1024;
/// What all batches may hold.
pub const MAX_BUFFERED_BYTES: usize = 32 * 1024 * 1024;
