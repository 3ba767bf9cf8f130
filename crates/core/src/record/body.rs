//! How a body stands in a record: as the JSON it is, as text, or as base64.

use std::borrow::Cow;
use std::io::Write;

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;

use super::escape::escape;
use super::headers::Headers;
use super::json::Object;
use super::minify::minify;
use super::utf8::{self, Text};
use crate::decode::{Decoded, Failure, decode, decode_as_it_came};
use crate::exchange::Chunk;
use crate::interceptor::{Edit, Editor};

/// One body and what its head says of it.
pub(super) struct Body<'a> {
    wire: Vec<&'a [u8]>,
    decoded: Decoded,
    /// To be made in what was decoded.
    edits: &'a [Edit],
    /// `content-encoding`, as it was sent.
    pub(super) encoding: Vec<u8>,
    /// What decoding came to, where it did not simply succeed: a word of `trace.decoding`.
    pub(super) decoding: Option<&'static str>,
    /// Bytes on the wire.
    pub(super) length: u64,
}

impl<'a> Body<'a> {
    /// `is_decoded`: the chunks are what the client read, whatever the head says.
    pub(super) fn of(chunks: &[Chunk<'a>], headers: &Headers, is_decoded: bool, max_bytes: usize) -> Self {
        let wire: Vec<&[u8]> = chunks.iter().map(|chunk| chunk.bytes).collect();
        let encoding = headers.get("content-encoding");
        let decoded = if is_decoded { Decoded::AsSent } else { decode(&encoding, &wire, max_bytes) };
        let length = wire.iter().map(|bytes| bytes.len() as u64).sum();
        let decoding = match &decoded {
            Decoded::AsSent if is_decoded && length > 0 && !encoding.is_empty() => Some("by_client"),
            Decoded::AsSent | Decoded::Bytes { partial: false, .. } => None,
            Decoded::Bytes { partial: true, .. } => Some("truncated"),
            Decoded::Failed(Failure::Corrupt) => Some("corrupt"),
            Decoded::Failed(Failure::TooLarge) => Some("too_large"),
            Decoded::Failed(Failure::Unsupported) => Some("unsupported"),
        };
        Self { wire, decoded, edits: &[], encoding, decoding, length }
    }

    /// What follows is of the body with these edits. Their places are of the decoded body: one that cannot be decoded stays.
    pub(super) fn edit(&mut self, edits: &'a [Edit]) {
        if !matches!(self.decoded, Decoded::Failed(_)) {
            self.edits = edits;
        }
    }

    pub(super) fn is_edited(&self) -> bool {
        !self.edits.is_empty()
    }

    /// Whether the encoded bytes end before they should.
    pub(super) fn is_truncated(&self) -> bool {
        matches!(self.decoded, Decoded::Bytes { partial: true, .. })
    }

    /// Adds `body`. JSON is embedded whatever the content type says; a string at the top is not, since it could not be
    /// told from text that is no JSON.
    pub(super) fn write_request(&self, object: &mut Object) {
        self.with_pieces(|pieces| {
            let out = object.member("body");
            if self.length == 0 {
                out.extend_from_slice(b"null");
            } else if !(may_be_json(pieces) && minify(&joined(pieces), out)) {
                write_text(object, pieces, utf8::check(pieces) == Text::Whole);
            }
        });
    }

    /// Adds `body` (JSON, if `is_json` says that it should be) or `body_raw` (all else).
    ///
    /// Of a response that `is_cut` the last character may be unfinished: its one to three bytes are returned, and the
    /// text is without them. In a whole response such an end is damage like any other, and the body goes to base64.
    pub(super) fn write_response(&self, object: &mut Object, is_json: bool, is_cut: bool) -> Option<Vec<u8>> {
        self.with_pieces(|pieces| {
            if is_json {
                let mark = object.mark();
                if minify(&joined(pieces), object.member("body")) {
                    return None;
                }
                object.rewind(mark);
            }
            object.member("body_raw");
            match utf8::check(pieces) {
                Text::Cut(length) if is_cut => {
                    let (text, end) = split_end(pieces, length);
                    write_text(object, &text, true);
                    Some(end)
                }
                text => {
                    write_text(object, pieces, text == Text::Whole);
                    None
                }
            }
        })
    }

    /// Gives the body in the pieces it came in, decoded, each with the index of the chunk that it could be read at.
    pub(super) fn as_it_came(&self, mut on_bytes: impl FnMut(&[u8], usize)) {
        let mut editor = Editor::new(self.edits);
        let on_bytes = |bytes: &[u8], index: usize| editor.push(bytes, |bytes| on_bytes(bytes, index));
        self.as_received(on_bytes);
    }

    fn as_received(&self, mut on_bytes: impl FnMut(&[u8], usize)) {
        match self.decoded {
            Decoded::Bytes { .. } => decode_as_it_came(&self.encoding, &self.wire, on_bytes),
            Decoded::AsSent | Decoded::Failed(_) => {
                for (index, bytes) in self.wire.iter().enumerate() {
                    on_bytes(bytes, index);
                }
            }
        }
    }

    /// Lends the body in one piece.
    pub(super) fn with_joined<T>(&self, look: impl FnOnce(&[u8]) -> T) -> T {
        self.with_pieces(|pieces| look(&joined(pieces)))
    }

    /// Lends the body as it is read: decoded, where that was possible, and edited.
    pub(super) fn with_pieces<T>(&self, look: impl FnOnce(&[&[u8]]) -> T) -> T {
        if self.edits.is_empty() {
            return self.with_received(look);
        }
        let mut edited = Vec::new();
        let mut editor = Editor::new(self.edits);
        self.with_received(|pieces| {
            pieces.iter().for_each(|piece| editor.push(piece, |bytes| edited.extend_from_slice(bytes)));
        });
        look(&[&edited])
    }

    fn with_received<T>(&self, look: impl FnOnce(&[&[u8]]) -> T) -> T {
        match &self.decoded {
            Decoded::Bytes { bytes, .. } => look(&[bytes]),
            // What cannot be decoded is kept as it came, and read as if it were not encoded: servers and proxies do
            // forget what they have undone.
            Decoded::AsSent | Decoded::Failed(_) => look(&self.wire),
        }
    }
}

/// Whether a response of that `content-type` is JSON: `application/json`, `application/problem+json` and their like,
/// with any parameters.
pub(super) fn is_json(content_type: &[u8]) -> bool {
    let essence =
        content_type.split(|byte| matches!(byte, b';' | b',')).next().unwrap_or_default().trim_ascii();
    let essence = essence.to_ascii_lowercase();
    let subtype = essence.strip_prefix(b"application/");
    subtype.is_some_and(|subtype| subtype == b"json" || subtype.ends_with(b"+json"))
}

/// Whether the first byte that says anything can begin a value other than a string. Spares forms and files the joining.
fn may_be_json(pieces: &[&[u8]]) -> bool {
    let first = pieces.iter().copied().flatten().find(|byte| !byte.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'[' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'))
}

/// The validator wants one slice. A body mostly is one: clients send it so.
fn joined<'a>(pieces: &[&'a [u8]]) -> Cow<'a, [u8]> {
    match pieces {
        [one] => Cow::Borrowed(one),
        _ => Cow::Owned(pieces.concat()),
    }
}

/// Appends the value of the member just begun, and says so if it is base64.
fn write_text(object: &mut Object, pieces: &[&[u8]], is_text: bool) {
    let out = object.value();
    out.push(b'"');
    if is_text {
        for piece in pieces {
            escape(piece, out);
        }
        out.push(b'"');
        return;
    }
    let mut encoder = EncoderWriter::new(&mut *out, &STANDARD);
    for piece in pieces {
        // A Vec takes all: no error can come of it.
        let _ = encoder.write_all(piece);
    }
    let _ = encoder.finish();
    drop(encoder);
    out.push(b'"');
    object.member("body_encoding").extend_from_slice(b"\"base64\"");
}

/// The pieces without their last `length` bytes, and those.
fn split_end<'a>(pieces: &[&'a [u8]], length: usize) -> (Vec<&'a [u8]>, Vec<u8>) {
    let mut text = pieces.to_vec();
    let mut end = Vec::new();
    while end.len() < length {
        let Some(last) = text.last_mut() else { break };
        match last.split_last() {
            Some((byte, rest)) => {
                end.insert(0, *byte);
                *last = rest;
            }
            None => {
                text.pop();
            }
        }
    }
    (text, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_json_by_its_content_type() {
        for json in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/problem+json ;x",
            "application/json,",
        ] {
            assert!(is_json(json.as_bytes()), "{json}");
        }
        for other in [
            "",
            "text/json",
            "application/jsonl",
            "application/x-ndjson",
            "application/",
            "text/event-stream",
            "json",
        ] {
            assert!(!is_json(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn splits_an_end_that_lies_in_several_pieces() {
        let (text, end) = split_end(&[b"ab", b"\xf0", b"", b"\x9f"], 2);
        assert_eq!((text.concat(), end), (b"ab".to_vec(), b"\xf0\x9f".to_vec()));
    }
}
