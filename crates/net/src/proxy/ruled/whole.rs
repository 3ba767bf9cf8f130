//! What can be known of a whole body before and after it was read. Pure.

use claude_trace_core::decode::{self, Decoded, Failure};
use claude_trace_core::interceptor::rules::MAX_TEXT_BYTES;
use http::HeaderValue;
use http::header::{CONTENT_TYPE, HeaderMap};
use std::borrow::Cow;

/// Types that are sent piece by piece, and whose end a client does not wait for.
const STREAMS: [&str; 6] = [
    "text/event-stream",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/json-seq",
    "application/stream+json",
];
const TEXTS: [&str; 6] = [
    "application/json",
    "application/xml",
    "application/javascript",
    "application/graphql",
    "application/x-www-form-urlencoded",
    "application/problem+json",
];

/// Why a body of such a type is not read; `None`: it is text, or nothing is said of it.
pub fn why_no_text(headers: &HeaderMap) -> Option<String> {
    let field = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let field = String::from_utf8_lossy(field).to_ascii_lowercase();
    let kind = field.split(';').next().unwrap_or_default().trim();
    if STREAMS.contains(&kind) {
        return Some(format!("{kind} comes piece by piece"));
    }
    let is_text = kind.is_empty()
        || kind.starts_with("text/")
        || TEXTS.contains(&kind)
        || kind.ends_with("+json")
        || kind.ends_with("+xml");
    (!is_text).then(|| format!("{} is no text", kind.chars().take(100).collect::<String>()))
}

/// What a body says; or why that cannot be known.
pub fn decoded<'b>(encoding: &[u8], bytes: &'b [u8]) -> Result<Cow<'b, [u8]>, String> {
    let why = match decode::decode(encoding, &[bytes], MAX_TEXT_BYTES) {
        Decoded::AsSent => return Ok(Cow::Borrowed(bytes)),
        Decoded::Bytes { bytes, partial: false } => return Ok(Cow::Owned(bytes)),
        Decoded::Bytes { .. } | Decoded::Failed(Failure::Corrupt) => "is not what it is encoded in",
        Decoded::Failed(Failure::TooLarge) => "is larger than 64 MiB when it is decoded",
        Decoded::Failed(Failure::Unsupported) => "is encoded in what is not known here",
    };
    let encoding: String = String::from_utf8_lossy(encoding).chars().take(100).collect();
    Err(format!("it {why}: content-encoding {encoding}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_known_by_its_type() {
        let why = |kind: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
            why_no_text(&headers)
        };
        for kind in
            ["", "application/json; charset=utf-8", "TEXT/plain", "application/vnd.x+json", "text/html"]
        {
            assert_eq!(why(kind), None, "{kind}");
        }
        for kind in ["image/png", "application/vnd.amazon.eventstream", "multipart/form-data; boundary=x"] {
            assert!(why(kind).unwrap().ends_with("is no text"), "{kind}");
        }
        assert_eq!(why("text/event-stream; x").unwrap(), "text/event-stream comes piece by piece");
        assert_eq!(why_no_text(&HeaderMap::new()), None);
    }

    #[test]
    fn what_cannot_be_decoded_is_not_looked_at() {
        assert_eq!(decoded(b"", b"x").unwrap(), &b"x"[..]);
        assert_eq!(
            decoded(b"gzip", b"no").unwrap_err(),
            "it is not what it is encoded in: content-encoding gzip"
        );
        assert!(decoded(b"own", b"no").unwrap_err().contains("not known here"));
    }
}
