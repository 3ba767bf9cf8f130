//! One event, borrowed from the piece it came in or from the parser.

use std::borrow::Cow;

/// An event as it is dispatched. Lives until the parser goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The `data` lines, joined by line feeds. Raw: [`text_of`] makes text of it.
    pub data: &'a [u8],
    /// The `event` field as it stood; empty means `message`.
    pub kind: &'a [u8],
    /// The last event id of the stream so far; empty if there is none.
    pub id: &'a [u8],
    /// That id stood in this event: it is not one that an earlier event has left.
    pub has_id: bool,
    /// A `retry` (milliseconds) that stood in this event.
    pub retry: Option<u64>,
    /// The byte of the stream at which its first line begins, comments that stand in its block included.
    pub start: u64,
    /// Behind which byte of the stream it is complete: the first byte of the line end that closes its blank line.
    pub end: u64,
    /// A limit was reached: its lines or its data are not whole.
    pub cut: bool,
}

/// The text of a field or of data: what is no UTF-8 becomes U+FFFD.
pub fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    match simdutf8::basic::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(String::from_utf8_lossy(bytes).into_owned()),
    }
}
