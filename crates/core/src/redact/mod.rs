//! Takes credentials out of heads before anything is kept of them.
//!
//! Runs on the host's JS thread inside the hook that saw the head, before the spool: what is hidden here was never
//! written anywhere. One pass, no regular expressions, no allocation once the buffers have grown; a head of 20 fields and
//! 1.5 KB has a budget of 1 µs. Plain stretches are copied in one piece, so fields that hold no credential stay as they
//! were, byte for byte.
//!
//! Hidden are the values of fields and URL parameters *named* like credentials (`names`), the user part of URLs, and
//! `Bearer …`/`Basic …` under any name. Not looked into: bodies, URL paths, URLs percent-encoded inside a parameter.

mod names;
mod template;
#[cfg(test)]
mod tests;
mod urls;

use crate::head::{Fields, RequestLine, first_line};
use names::Meaning;
use template::{Notes, Template};

/// Stands for a hidden value.
const REDACTED: &[u8] = b"[REDACTED]";

/// A longer value than this shows its ends, as upstream's log does: 10 + 4 bytes, so at least half stays hidden.
const SHOWN_IN_PART_FROM: usize = 28;
const SHOWN_AT_START: usize = 10;
const SHOWN_AT_END: usize = 4;

/// Redacts what one recorder sees, and lends out the result until the next call.
#[derive(Debug, Default)]
pub struct Redactor {
    out: Vec<u8>,
    first_line: FirstLine,
    requests: Template,
    responses: Template,
    notes: Notes,
}

impl Redactor {
    /// The request head `head` with an absolute URL as its target: `origin` (`scheme://host[:port]`) is put before an
    /// origin-form target, an absolute one stays. A fragment is cut off, since it is no part of a request.
    pub fn request_head(&mut self, origin: &str, head: &[u8]) -> &[u8] {
        let Self { out, first_line: known, requests, notes, .. } = self;
        out.clear();
        let (line, rest) = first_line(head);
        known.write(origin.as_bytes(), line, out);
        out.extend_from_slice(&head[line.len()..head.len() - rest.len()]);
        fields(rest, requests, notes, out);
        out
    }

    /// The response head `head`.
    pub fn response_head(&mut self, head: &[u8]) -> &[u8] {
        let Self { out, responses, notes, .. } = self;
        out.clear();
        let (line, rest) = first_line(head);
        if line.starts_with(b"HTTP/") {
            out.extend_from_slice(&head[..head.len() - rest.len()]);
            fields(rest, responses, notes, out);
        } else {
            fields(head, responses, notes, out);
        }
        out
    }

    /// The trailer lines `lines`.
    pub fn trailers(&mut self, lines: &[u8]) -> &[u8] {
        self.out.clear();
        if !lines.is_empty() {
            fields(lines, &mut Template::default(), &mut self.notes, &mut self.out);
        }
        &self.out
    }

    /// The error text `text`: messages like to quote the URL that failed.
    pub fn error_text(&mut self, text: &[u8]) -> &[u8] {
        self.out.clear();
        urls::redact(text, &mut self.out);
        &self.out
    }
}

/// The last request line in which nothing can be hidden, and what was written for it.
#[derive(Debug, Default)]
struct FirstLine {
    origin: Vec<u8>,
    line: Vec<u8>,
    written: Vec<u8>,
}

impl FirstLine {
    fn write(&mut self, origin: &[u8], line: &[u8], out: &mut Vec<u8>) {
        if self.line == line && self.origin == origin {
            out.extend_from_slice(&self.written);
            return;
        }
        request_line(origin, RequestLine::parse(line), out);
        // What `urls` looks for begins with one of these.
        if ![origin, line].iter().any(|text| text.iter().any(|byte| b"@?&;#".contains(byte))) {
            self.origin = origin.to_vec();
            self.line = line.to_vec();
            self.written = out.clone();
        }
    }
}

fn request_line(origin: &[u8], RequestLine { method, target, version }: RequestLine<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(method);
    out.push(b' ');
    let target = &target[..memchr::memchr(b'#', target).unwrap_or(target.len())];
    if !is_absolute(target) {
        urls::redact(origin, out);
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

fn fields(block: &[u8], template: &mut Template, notes: &mut Notes, out: &mut Vec<u8>) {
    notes.clear();
    let written_from = out.len();
    let mut last = template.cursor();
    let mut fields = Fields::new(block);
    // All before this is in `out`.
    let mut copied = 0;
    loop {
        fields.skip_lines(last.same(fields.rest()));
        let line_at = fields.at();
        if let Some((length, written)) = last.same_stop(fields.rest()) {
            fields.skip_lines(length);
            out.extend_from_slice(&block[copied..line_at]);
            copied = fields.at();
            let start = out.len() - written_from;
            out.extend_from_slice(written);
            notes.stop(&block[line_at..copied], start..out.len() - written_from);
            continue;
        }
        let Some(field) = fields.next() else { break };
        if field.is_stray {
            notes.stray();
        }
        let means_nothing = last.pass(field.name) && !field.is_stray;
        let meaning = if means_nothing { Meaning::Other } else { names::of_field(field.name) };
        let treatment = treatment(meaning, field.value);
        // Also where there is nothing to hide, as in an empty value: the name does mean something.
        if meaning == Meaning::Other && treatment == Treatment::Keep {
            continue;
        }
        out.extend_from_slice(&block[copied..line_at]);
        let start = out.len() - written_from;
        out.extend_from_slice(&block[line_at..field.value_at]);
        match treatment {
            _ if field.value.is_empty() => {}
            Treatment::Keep => out.extend_from_slice(field.value),
            Treatment::Urls => urls::redact(field.value, out),
            Treatment::Middle => hide_middle(field.value, out),
            Treatment::Whole => out.extend_from_slice(REDACTED),
        }
        copied = fields.at();
        out.extend_from_slice(&block[field.value_at + field.value.len()..copied]);
        notes.stop(&block[line_at..copied], start..out.len() - written_from);
    }
    out.extend_from_slice(&block[copied..]);
    template.remember(&out[written_from..], notes);
}

fn treatment(meaning: Meaning, value: &[u8]) -> Treatment {
    match meaning {
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
