//! Reads logs. Knows the format (`docs/format.md`) and nothing of those who write it; of the core it uses what is pure: `message`.
//!
//! From the bottom up: [`Source`] undoes the compression; `pieces` cuts the text where lines end, in bounded memory;
//! `record` says whether a line is a whole record, and `salvage` which parts of one that is not are; [`Scanner`] puts
//! them together into [`Item`]s that tile the log without gap or overlap. [`verify`] counts them, [`repair`] sorts them.
//! [`derived`] says what the stream in a record came to.
//!
//! **Memory.** One line and a buffer, whatever the size of the log; [`Limits`] bounds the line.
//!
//! **Trust.** A log is input like any other: no bytes make the reader panic, loop, or allocate more than its limits say.
//! `tests/any_bytes.rs` and `fuzz/` hold it to that.

mod derive;
mod error;
mod files;
mod pieces;
mod problem;
mod record;
mod repair;
mod salvage;
mod scan;
mod source;
mod text;
mod trace;
mod verify;

pub use derive::{derive, derived};
pub use error::{Error, Result};
pub use files::has_writer;
pub use pieces::{DEFAULT_MAX_LINE_BYTES, Limits};
pub use problem::{Kind, Problem};
pub use record::{Outcome, Record};
pub use repair::{Cut, Plan, Repaired, Target, repair};
pub use scan::{Bytes, Item, Place, Scanner, What};
pub use source::{Encoding, Source};
pub use verify::{Counts, Report, verify};
