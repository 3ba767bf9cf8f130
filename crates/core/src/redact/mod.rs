//! Takes credentials out of heads before anything is kept of them.
//!
//! Runs on the host's JS thread inside the hook that saw the head, before the spool: what is hidden here was never
//! written anywhere. One pass, no regular expressions, no allocation beyond `out`; a head of 20 fields and 1.5 KB has a
//! budget of 2 µs. Plain stretches are copied in one piece, so fields that hold no credential stay as they were, byte
//! for byte.
//!
//! Hidden are the values of fields and URL parameters *named* like credentials (`names`), the user part of URLs, and
//! `Bearer …`/`Basic …` under any name. Not looked into: bodies, URL paths, URLs percent-encoded inside a parameter.

mod names;
#[cfg(test)]
mod tests;
mod urls;

use crate::head::{Fields, RequestLine, first_line};

/// Stands for a hidden value.
const REDACTED: &[u8] = b"[REDACTED]";

/// A longer value than this shows its ends, as upstream's log does: 10 + 4 bytes, so at least half stays hidden.
const SHOWN_IN_PART_FROM: usize = 28;
const SHOWN_AT_START: usize = 10;
const SHOWN_AT_END: usize = 4;

/// Room for the first few values that grow by being hidden.
const SLACK: usize = 128;

/// Appends the request head `head` with an absolute URL as its target: `origin` (`scheme://host[:port]`) is put before
/// an origin-form target, an absolute one stays. A fragment is cut off, since it is no part of a request.
pub fn request_head(origin: &str, head: &[u8], out: &mut Vec<u8>) {
    out.reserve(origin.len() + head.len() + SLACK);
    let (line, rest) = first_line(head);
    let RequestLine { method, target, version } = RequestLine::parse(line);
    out.extend_from_slice(method);
    out.push(b' ');
    let target = &target[..memchr::memchr(b'#', target).unwrap_or(target.len())];
    if !is_absolute(target) {
        urls::redact(origin.as_bytes(), out);
        // `*` and whatever else is no path: still one URL under that origin.
        if !matches!(target.first(), Some(b'/' | b'?') | None) {
            out.push(b'/');
        }
    }
    urls::redact(target, out);
    if !version.is_empty() {
        out.push(b' ');
        out.extend_from_slice(version);
    }
    out.extend_from_slice(&head[line.len()..head.len() - rest.len()]);
    fields(rest, out);
}

/// Appends the response head `head`.
pub fn response_head(head: &[u8], out: &mut Vec<u8>) {
    out.reserve(head.len() + SLACK);
    let (line, rest) = first_line(head);
    if line.starts_with(b"HTTP/") {
        out.extend_from_slice(&head[..head.len() - rest.len()]);
        fields(rest, out);
    } else {
        fields(head, out);
    }
}

/// Appends the trailer lines `lines`.
pub fn trailers(lines: &[u8], out: &mut Vec<u8>) {
    out.reserve(lines.len() + SLACK);
    fields(lines, out);
}

/// Appends the error text `text`: messages like to quote the URL that failed.
pub fn error_text(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(text.len() + SLACK);
    urls::redact(text, out);
}

/// What is to be done with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Treatment {
    Keep,
    /// Redact the URLs in it.
    Urls,
    /// Hide it, but for the ends of a long one: enough to tell two keys apart.
    Middle,
    /// Hide all of it: its ends may be whole secrets (the first cookie, a password).
    Whole,
}

fn fields(block: &[u8], out: &mut Vec<u8>) {
    // All before this is in `out`.
    let mut copied = 0;
    for field in Fields::new(block) {
        let treatment = treatment(field.name, field.value);
        if treatment == Treatment::Keep || field.value.is_empty() {
            continue;
        }
        out.extend_from_slice(&block[copied..field.value_at]);
        copied = field.value_at + field.value.len();
        match treatment {
            Treatment::Keep => {}
            Treatment::Urls => urls::redact(field.value, out),
            Treatment::Middle => hide_middle(field.value, out),
            Treatment::Whole => out.extend_from_slice(REDACTED),
        }
    }
    out.extend_from_slice(&block[copied..]);
}

fn treatment(name: &[u8], value: &[u8]) -> Treatment {
    use names::Meaning;
    match names::of_field(name) {
        // The user's name and password stand at the ends of what Basic carries.
        Meaning::Credential if has_scheme(value, b"basic ") => Treatment::Whole,
        Meaning::Credential => Treatment::Middle,
        Meaning::Secret => Treatment::Whole,
        Meaning::Urls => Treatment::Urls,
        // Browsers cannot set headers on a WebSocket: keys travel as a subprotocol (OpenAI, Kubernetes).
        Meaning::Subprotocols if names::speaks_of_credentials(value) => Treatment::Whole,
        Meaning::Subprotocols | Meaning::Challenge => Treatment::Keep,
        Meaning::Other => match value.first().map(u8::to_ascii_lowercase) {
            Some(b'b') if has_scheme(value, b"bearer ") => Treatment::Middle,
            Some(b'b') if has_scheme(value, b"basic ") => Treatment::Whole,
            Some(b'h') if has_scheme(value, b"http://") || has_scheme(value, b"https://") => Treatment::Urls,
            Some(b'w') if has_scheme(value, b"ws://") || has_scheme(value, b"wss://") => Treatment::Urls,
            _ => Treatment::Keep,
        },
    }
}

fn hide_middle(value: &[u8], out: &mut Vec<u8>) {
    if value.len() < SHOWN_IN_PART_FROM {
        out.extend_from_slice(REDACTED);
        return;
    }
    // Cut outside of UTF-8 sequences, towards showing less.
    let is_inside = |at: usize| value[at] & 0b1100_0000 == 0b1000_0000;
    let mut start = SHOWN_AT_START;
    while start > 0 && is_inside(start) {
        start -= 1;
    }
    let mut end = value.len() - SHOWN_AT_END;
    while end < value.len() && is_inside(end) {
        end += 1;
    }
    out.extend_from_slice(&value[..start]);
    out.extend_from_slice(b"...");
    out.extend_from_slice(&value[end..]);
}

fn has_scheme(value: &[u8], scheme: &[u8]) -> bool {
    value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

/// Whether a target brings its own scheme (`https://…`); a `://` further on is part of a path or query.
fn is_absolute(target: &[u8]) -> bool {
    match memchr::memchr3(b':', b'/', b'?', target) {
        Some(at @ 1..) => target[at..].starts_with(b"://"),
        _ => false,
    }
}
