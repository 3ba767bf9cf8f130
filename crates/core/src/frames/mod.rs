//! Frames of `application/vnd.amazon.eventstream`, the binary stream of Amazon Bedrock.
//!
//! ```text
//!  total length │ headers' length │ CRC-32 of these 8 │ headers │ payload │ CRC-32 of all before
//!       u32     │       u32       │        u32        │         │         │        u32            big endian
//! ```
//!
//! Push-style as `sse` is, with the same promises: the same frames however the stream is cut, no copy of one that lies in
//! one piece, bounded, and no input an error. A frame whose checksum is wrong is passed over and counted. Behind a prelude
//! whose checksum is wrong nothing says where a next frame would begin, so the rest of the stream is passed over.
//!
//! **Why not `aws-smithy-eventstream`.** Its decoder wants the bytes in a buffer of its own and ends a stream at the first
//! frame that is damaged, and it brings `aws-smithy-types` with a dozen crates; this is a page beside crc32fast, which flate2
//! brings already.

mod headers;
mod parser;
#[cfg(test)]
pub(crate) mod tests;

pub use headers::{Header, Headers, Value};
pub use parser::{Frame, Parser};
