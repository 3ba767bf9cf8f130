//! A finished exchange as one line of the log.
//!
//! `docs/format.md` is the contract. What must hold: one line whatever the bytes; JSON bodies as the bytes that were
//! sent, everything else exactly recoverable; upstream's keys first and in upstream's order, so that its viewer reads
//! the log. Bodies go from the spool's chunks to the line without a value tree in between.

mod body;
mod derived;
mod escape;
mod headers;
mod json;
mod jsonrpc;
mod minify;
mod stream;
#[cfg(test)]
mod tests;
mod time;
mod trace;
mod utf8;

use crate::exchange::{Chunk, End, Exchange, Response, Source};
use crate::head::{Fields, RequestHead, ResponseHead};
use crate::interceptor::{Account, Changes};
use body::Body;
use headers::Headers;
use json::Object;

pub use stream::Streamed;

/// The number that `trace.v` carries.
pub const FORMAT_VERSION: u64 = 1;

/// How records are written.
#[derive(Clone, Copy, Debug)]
pub struct RecordOptions {
    /// A content-encoded body that is larger than this when decoded stays encoded.
    pub max_decoded_bytes: usize,
    /// What a stream of events comes to (its message, tokens and times) is written as well.
    pub derive: bool,
}

/// Appends the record of `exchange`, including the newline. What its response streamed, if it did.
pub fn write_line(exchange: &Exchange, options: &RecordOptions, out: &mut Vec<u8>) -> Option<Streamed> {
    write_changed_line(exchange, None, options, out)
}

/// The same with what interceptors want changed. What was measured stays as it was: `trace` tells of the wire.
pub fn write_changed_line<'a>(
    exchange: &Exchange<'a>,
    changes: Option<&'a Changes>,
    options: &RecordOptions,
    out: &mut Vec<u8>,
) -> Option<Streamed> {
    out.reserve(expected_length(exchange));
    let mut record = Object::begin(out);
    let request = write_request(exchange, changes, options, record.member("request"));
    let response = match &exchange.response {
        Some(response) => {
            Some(write_response(exchange, response, changes, options, record.member("response")))
        }
        None => {
            record.member("response").extend_from_slice(b"null");
            None
        }
    };
    if let Some(note) = note(exchange) {
        json::string(note.as_bytes(), record.member("note"));
    }
    let logged_at = record.member("logged_at");
    logged_at.push(b'"');
    time::iso(exchange.ended_at, logged_at);
    logged_at.push(b'"');
    if exchange.zero_latency {
        record.member("zeroLatency").extend_from_slice(b"true");
    }
    let mut streamed = response.as_ref().and_then(|response| stream::of(exchange, response));
    let unanswered =
        trace::write(exchange, &request, response.as_ref(), streamed.as_ref(), record.member("trace"));
    if let Some(streamed) = &mut streamed {
        streamed.unanswered = unanswered;
    }
    if options.derive
        && let Some(response) = &response
        && let Some(derived) = derived::of(exchange, response, streamed.as_ref())
    {
        record.member("derived").extend_from_slice(&derived);
    }
    if let Some(changes) = changes {
        let is_unchanged = (!changes.request_body.is_empty() && !request.body.is_edited())
            || (!changes.body.is_empty() && response.as_ref().is_none_or(|it| !it.body.is_edited()));
        let intercepted = Intercepted { account: &changes.account, body_unchanged: is_unchanged };
        let out = record.member("intercepted");
        out.extend_from_slice(&serde_json::to_vec(&intercepted).unwrap_or_else(|_| b"{}".to_vec()));
    }
    record.end();
    out.push(b'\n');
    streamed
}

#[derive(serde::Serialize)]
struct Intercepted<'a> {
    #[serde(flatten)]
    account: &'a Account,
    /// The body could not be decoded after all: it stands there as it came.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    body_unchanged: bool,
}

/// What `trace` tells of a message, beside the exchange.
struct Message<'a> {
    version: &'a [u8],
    /// Of a response.
    content_type: Vec<u8>,
    body: Body<'a>,
    is_partial: bool,
    /// Bytes of an unfinished character that follow the text.
    tail: Option<Vec<u8>>,
}

fn write_request<'a>(
    exchange: &Exchange<'a>,
    changes: Option<&'a Changes>,
    options: &RecordOptions,
    out: &mut Vec<u8>,
) -> Message<'a> {
    let head = RequestHead::parse(exchange.request_head);
    let headers = Headers::of(head.fields);
    let mut body = Body::of(&exchange.request_chunks, &headers, false, options.max_decoded_bytes);
    if let Some(changes) = changes {
        body.edit(&changes.request_body);
    }
    let mut request = Object::begin(out);
    time::seconds(exchange.started_at, request.member("timestamp"));
    json::string(head.line.method, request.member("method"));
    json::string(head.line.target, request.member("url"));
    match changes.and_then(|changes| changes.request_head.as_deref()) {
        Some(changed) => Headers::of(RequestHead::parse(changed).fields).write(request.member("headers")),
        None => headers.write(request.member("headers")),
    }
    body.write_request(&mut request);
    request.end();
    let content_type = Vec::new();
    Message { version: head.line.version, content_type, body, is_partial: false, tail: None }
}

fn write_response<'a>(
    exchange: &Exchange<'a>,
    response: &Response<'a>,
    changes: Option<&'a Changes>,
    options: &RecordOptions,
    out: &mut Vec<u8>,
) -> Message<'a> {
    let head = ResponseHead::parse(response.head);
    let headers = Headers::of(head.fields);
    // The wrapper around a fetch reads what the client reads: decoded, under a head that still names the encoding.
    let is_decoded = exchange.source == Source::Fetch;
    let mut body = Body::of(&response.chunks, &headers, is_decoded, options.max_decoded_bytes);
    if let Some(changes) = changes {
        body.edit(&changes.body);
    }
    let is_partial = exchange.end != End::Complete || exchange.gap || body.is_truncated();
    let mut object = Object::begin(out);
    time::seconds(response.at, object.member("timestamp"));
    json::integer(head.status.unwrap_or(0).into(), object.member("status_code"));
    match changes.and_then(|changes| changes.response_head.as_deref()) {
        Some(changed) => Headers::of(ResponseHead::parse(changed).fields).write(object.member("headers")),
        None => headers.write(object.member("headers")),
    }
    let content_type = headers.get("content-type");
    let is_json = body::is_json(&content_type);
    let tail = body.write_response(&mut object, is_json, is_partial);
    let trailers = Headers::of(Fields::new(response.trailers));
    if !trailers.is_empty() {
        trailers.write(object.member("trailers"));
    }
    object.end();
    Message { version: head.version, content_type, body, is_partial, tail }
}

fn note(exchange: &Exchange) -> Option<String> {
    let reason = match exchange.end {
        End::Complete => None,
        End::Error { code, message } => Some(match (code, message) {
            ("", "") => "unknown error".to_string(),
            ("", only) | (only, "") => only.to_string(),
            (code, message) => format!("{code}: {message}"),
        }),
        End::Cut(reason) => Some(reason.to_string()),
    };
    match (&exchange.response, exchange.end, reason) {
        (Some(_), _, reason) => reason.map(|reason| format!("PARTIAL_RESPONSE - {reason}")),
        (None, End::Error { .. }, Some(reason)) => Some(format!("REQUEST_FAILED - {reason}")),
        // Upstream's words. An end without a response and without an error says no more than that.
        (None, ..) => Some("ORPHANED_REQUEST - No matching response received".to_string()),
    }
}

/// A guess that spares most records a second allocation.
fn expected_length(exchange: &Exchange) -> usize {
    let bytes = |chunks: &[Chunk]| chunks.iter().map(|chunk| chunk.bytes.len()).sum::<usize>();
    let response = exchange.response.as_ref().map_or(0, |response| {
        let body = bytes(&response.chunks);
        // Events are full of quotes; each chunk also has a time and a length in the trace.
        response.head.len() + body + body / 4 + response.chunks.len() * 12
    });
    exchange.request_head.len() + bytes(&exchange.request_chunks) + response + 1024
}
