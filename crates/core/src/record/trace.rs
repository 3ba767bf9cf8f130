//! The `trace` object: what upstream's log does not know of an exchange.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;

use super::json::{self, Object};
use super::{FORMAT_VERSION, Message, Streamed, jsonrpc, time};
use crate::exchange::{Chunk, End, Exchange, Source, Unanswered};
use crate::head::ResponseHead;

/// Writes it. What it returns: see [`jsonrpc::write`].
pub(super) fn write(
    exchange: &Exchange,
    request: &Message,
    response: Option<&Message>,
    streamed: Option<&Streamed>,
    out: &mut Vec<u8>,
) -> Option<Unanswered> {
    let chunks: &[Chunk] = exchange.response.as_ref().map_or(&[], |response| &response.chunks);
    let mut trace = Object::begin(out);
    json::integer(FORMAT_VERSION, trace.member("v"));
    json::string(exchange.id.as_bytes(), trace.member("id"));
    json::string(exchange.source.name().as_bytes(), trace.member("via"));
    json::integer(exchange.pid.into(), trace.member("pid"));
    json::string(http_version(exchange.source, request, response), trace.member("http"));
    write_timing(exchange, chunks, trace.member("timing_ms"));
    json::integer(request.body.length, trace.member("request_bytes"));
    json::integer(response.map_or(0, |response| response.body.length), trace.member("response_bytes"));
    if let Some(response) = response {
        if !response.body.encoding.is_empty() {
            json::string(&response.body.encoding, trace.member("content_encoding"));
        }
        write_chunks(exchange, chunks, trace.member("chunks"));
        if is_switched(exchange) {
            write_chunks(exchange, &exchange.request_chunks, trace.member("request_chunks"));
        }
        if response.is_partial {
            trace.member("partial").extend_from_slice(b"true");
        }
    }
    match exchange.end {
        End::Complete => {}
        End::Error { code, message } => {
            let mut error = Object::begin(trace.member("error"));
            json::string(code.as_bytes(), error.member("code"));
            json::string(message.as_bytes(), error.member("message"));
            error.end();
        }
        End::Cut(reason) => json::string(reason.as_bytes(), trace.member("cut")),
    }
    if exchange.gap {
        trace.member("gap").extend_from_slice(b"true");
    }
    if exchange.recovered {
        trace.member("recovered").extend_from_slice(b"true");
    }
    if !request.body.encoding.is_empty() {
        json::string(&request.body.encoding, trace.member("request_content_encoding"));
    }
    if let Some(word) = request.body.decoding {
        json::string(word.as_bytes(), trace.member("request_decoding"));
    }
    if let Some(word) = response.and_then(|response| response.body.decoding) {
        json::string(word.as_bytes(), trace.member("decoding"));
    }
    if let Some(tail) = response.and_then(|response| response.tail.as_ref()) {
        json::string(STANDARD.encode(tail).as_bytes(), trace.member("tail_base64"));
    }
    if let Some(earlier) = exchange.earlier {
        let replayed = streamed.map_or(&[][..], |streamed| &streamed.replayed);
        write_resumes(&earlier.id, replayed, trace.member("resumes"));
    }
    let unanswered = jsonrpc::write(exchange, request, response, &mut trace);
    // Ours, on one line; a part of it would break the line.
    if serde_json::from_slice::<IgnoredAny>(exchange.rules).is_ok() && !exchange.rules.contains(&b'\n') {
        trace.member("rules").extend_from_slice(exchange.rules);
    }
    trace.end();
    unanswered
}

fn write_resumes(id: &str, replayed: &[(u64, u64)], out: &mut Vec<u8>) {
    let mut resumes = Object::begin(out);
    json::string(id.as_bytes(), resumes.member("id"));
    if !replayed.is_empty() {
        write_array(resumes.member("replayed"), replayed, |(first, count), out| {
            write_array(out, &[*first, *count], |number, out| json::integer(*number, out));
        });
    }
    resumes.end();
}

/// Whether both sides went on to another protocol, in which each speaks when it likes.
fn is_switched(exchange: &Exchange) -> bool {
    exchange.response.as_ref().is_some_and(|response| ResponseHead::parse(response.head).status == Some(101))
}

/// Milliseconds from the request to what followed. What was not seen has no key.
fn write_timing(exchange: &Exchange, chunks: &[Chunk], out: &mut Vec<u8>) {
    let points = [
        ("request_sent", exchange.request_sent_at),
        ("headers", exchange.response.as_ref().map(|response| response.at)),
        ("first_chunk", chunks.first().map(|chunk| chunk.at)),
        ("end", Some(exchange.ended_at)),
    ];
    let mut timing = Object::begin(out);
    for (name, at) in points {
        if let Some(at) = at {
            time::milliseconds_since(exchange.started_at, at, timing.member(name));
        }
    }
    timing.end();
}

/// Two arrays and not one of pairs: half the bytes, and what a reader plots.
fn write_chunks(exchange: &Exchange, chunks: &[Chunk], out: &mut Vec<u8>) {
    let mut columns = Object::begin(out);
    write_array(columns.member("at_ms"), chunks, |chunk, out| {
        time::milliseconds_since(exchange.started_at, chunk.at, out);
    });
    write_array(columns.member("bytes"), chunks, |chunk, out| json::integer(chunk.bytes.len() as u64, out));
    columns.end();
}

fn write_array<T>(out: &mut Vec<u8>, of: &[T], write: impl Fn(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, item) in of.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// The version that was spoken. HTTP/2 has none in its heads: hooks write them the way HTTP/1.1 would.
fn http_version<'a>(source: Source, request: &Message<'a>, response: Option<&Message<'a>>) -> &'a [u8] {
    match source {
        Source::Http2 => return b"2",
        // None was: their heads are ours.
        Source::McpClient | Source::McpServer => return b"",
        _ => {}
    }
    let answered = response.map_or(&b""[..], |response| response.version);
    let version = if answered.is_empty() { request.version } else { answered };
    version.strip_prefix(b"HTTP/").unwrap_or(version)
}
