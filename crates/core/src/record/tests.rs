//! Records as a reader meets them. `golden` holds them byte for byte, `recovery` reads every body back.

mod derived;
mod golden;
mod jsonrpc;
mod recovery;
mod streams;
mod upstream;

use super::*;
use crate::exchange::WallNanos;

pub(super) const START: WallNanos = 1_795_206_489_072_123_000;
pub(super) const MILLISECOND: u64 = 1_000_000;

const OPTIONS: RecordOptions = RecordOptions { max_decoded_bytes: 1 << 20, derive: false };

fn line(exchange: &Exchange) -> String {
    line_of(exchange, &OPTIONS)
}

fn line_of(exchange: &Exchange, options: &RecordOptions) -> String {
    let mut out = Vec::new();
    let _ = write_line(exchange, options, &mut out);
    String::from_utf8(out).unwrap()
}

fn record(exchange: &Exchange) -> serde_json::Value {
    serde_json::from_str(&line(exchange)).unwrap()
}

/// Chunks that arrive a millisecond after each other, the first at `START + from` ms.
fn chunks<'a>(from: u64, pieces: &[&'a [u8]]) -> Vec<Chunk<'a>> {
    (from..).zip(pieces).map(|(at, bytes)| Chunk { at: START + at * MILLISECOND, bytes }).collect()
}

/// An answered request with the content type of an event stream.
fn exchange<'a>(request: &[&'a [u8]], response: &[&'a [u8]]) -> Exchange<'a> {
    Exchange {
        id: "s1.0.1",
        pid: 42,
        source: Source::Undici,
        started_at: START,
        request_head: b"POST https://api.anthropic.com/v1/messages?beta=true HTTP/1.1\r\n\
            content-type: application/json\r\nX-Api-Key: sk-ant-api...zzzz\r\n",
        request_chunks: chunks(1, request),
        request_sent_at: Some(START + 2 * MILLISECOND),
        response: Some(Response {
            at: START + 10 * MILLISECOND,
            head: b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n",
            chunks: chunks(12, response),
            trailers: b"",
        }),
        ended_at: START + 20 * MILLISECOND + 500_000,
        end: End::Complete,
        gap: false,
        recovered: false,
        zero_latency: false,
        rules: b"",
        earlier: None,
    }
}

fn with_response_head<'a>(mut exchange: Exchange<'a>, head: &'a str) -> Exchange<'a> {
    exchange.response.as_mut().unwrap().head = head.as_bytes();
    exchange
}

const JSON_HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json; charset=utf-8\r\n";

#[test]
fn embeds_request_json_of_any_content_type_as_it_was_sent() {
    for (sent, expected) in [
        ("{ \"b\": 1.0,\n\"a\": 1e400, \"b\": \"\\u00e9\" }", "{\"b\":1.0,\"a\":1e400,\"b\":\"\\u00e9\"}"),
        ("[1, 2]", "[1,2]"),
        ("-0", "-0"),
        ("null", "null"),
        (" true", "true"),
        ("\"text\"", "\"\\\"text\\\"\""),
        ("{\"a\":1", "\"{\\\"a\\\":1\""),
        ("a=1&b=2\n", "\"a=1&b=2\\n\""),
        ("", "null"),
        (" ", "\" \""),
    ] {
        let text = line(&exchange(&[sent.as_bytes()], &[]));
        assert!(text.contains(&format!(",\"body\":{expected}}},\"response\":")), "{sent}: {text}");
    }
}

#[test]
fn what_rules_have_done_is_told_if_it_is_whole() {
    for (mark, told) in
        [(&b"[{\"name\":\"a\"}]"[..], true), (b"", false), (b"[{\"na", false), (b"[\n]", false)]
    {
        let exchange = Exchange { rules: mark, ..exchange(&[], &[]) };
        assert_eq!(record(&exchange)["trace"].get("rules").is_some(), told);
    }
}

#[test]
fn marks_bodies_that_are_not_text() {
    let record = record(&exchange(&[b"\xff\x00", b"\x01"], &[b"\x00\xff"]));
    assert_eq!(record["request"]["body"], "/wAB");
    assert_eq!(record["request"]["body_encoding"], "base64");
    assert_eq!(record["response"]["body_raw"], "AP8=");
    assert_eq!(record["response"]["body_encoding"], "base64");
}

#[test]
fn puts_json_responses_into_body_and_all_else_into_body_raw() {
    let body = |head, pieces: &[&'static [u8]]| {
        record(&with_response_head(exchange(&[], pieces), head))["response"].clone()
    };
    assert_eq!(body(JSON_HEAD, &[b"{\"a\"", b": [1]}"])["body"], serde_json::json!({"a": [1]}));
    assert_eq!(body(JSON_HEAD, &[b"\"text\""])["body"], "text");
    assert_eq!(body(JSON_HEAD, &[b"{\"a\": "])["body_raw"], "{\"a\": ");
    assert_eq!(body(JSON_HEAD, &[])["body_raw"], "");
    assert_eq!(body("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n", &[b"{}"])["body_raw"], "{}");
    assert_eq!(body("HTTP/1.1 204 No Content\r\n", &[])["body_raw"], "");
    assert!(body(JSON_HEAD, &[b"1"]).get("body_raw").is_none());
}

#[test]
fn tells_how_an_exchange_went_wrong() {
    let cut = End::Cut("process ended");
    let error = End::Error { code: "ECONNRESET", message: "read ECONNRESET" };
    for (end, answered, note) in [
        (error, true, Some("PARTIAL_RESPONSE - ECONNRESET: read ECONNRESET")),
        (cut, true, Some("PARTIAL_RESPONSE - process ended")),
        (End::Complete, true, None),
        (error, false, Some("REQUEST_FAILED - ECONNRESET: read ECONNRESET")),
        (End::Error { code: "", message: "gone" }, false, Some("REQUEST_FAILED - gone")),
        (End::Error { code: "E", message: "" }, false, Some("REQUEST_FAILED - E")),
        (End::Error { code: "", message: "" }, false, Some("REQUEST_FAILED - unknown error")),
        (cut, false, Some("ORPHANED_REQUEST - No matching response received")),
        (End::Complete, false, Some("ORPHANED_REQUEST - No matching response received")),
    ] {
        let mut exchange = exchange(&[], &[b"data: 1\n\n"]);
        exchange.end = end;
        if !answered {
            exchange.response = None;
        }
        let record = record(&exchange);
        assert_eq!(record.get("note").and_then(|note| note.as_str()), note);
        assert_eq!(record["response"].is_null(), !answered);
        assert_eq!(record["trace"].get("partial").is_some(), answered && end != End::Complete);
        assert_eq!(record["trace"].get("error").is_some(), matches!(end, End::Error { .. }));
        assert_eq!(record["trace"].get("cut").is_some(), end == cut);
    }
}

#[test]
fn keeps_a_character_that_was_cut_in_two() {
    let mut cut = exchange(&[], &[b"data: \xf0\x9f", b"\x98"]);
    cut.end = End::Cut("killed");
    let record_of_cut = record(&cut);
    assert_eq!(record_of_cut["response"]["body_raw"], "data: ");
    assert_eq!(record_of_cut["trace"]["tail_base64"], "8J+Y");

    // A response that is whole and ends so is no text.
    cut.end = End::Complete;
    let record_of_whole = record(&cut);
    assert_eq!(record_of_whole["response"]["body_encoding"], "base64");
    assert!(record_of_whole["trace"].get("tail_base64").is_none());
}

#[test]
fn decodes_bodies_and_says_where_it_cannot() {
    let text = b"{\"a\": 1}";
    let encoded = zstd::encode_all(&text[..], 3).unwrap();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nContent-Encoding: zstd\r\n";
    let of = |bytes: &[u8], head: &str| record(&with_response_head(exchange(&[], &[bytes]), head));

    let whole = of(&encoded, head);
    assert_eq!(whole["response"]["body"]["a"], 1);
    assert_eq!(whole["trace"]["content_encoding"], "zstd");
    assert_eq!(whole["trace"]["response_bytes"], encoded.len());
    assert!(whole["trace"].get("decoding").is_none() && whole["trace"].get("partial").is_none());

    let truncated = of(&encoded[..encoded.len() - 1], head);
    assert_eq!(
        (&truncated["trace"]["decoding"], &truncated["trace"]["partial"]),
        (&"truncated".into(), &true.into())
    );

    let corrupt = of(b"\xff\xff\xff\xff\xff", head);
    assert_eq!(corrupt["response"]["body_raw"], "//////8=");
    assert_eq!(corrupt["trace"]["decoding"], "corrupt");

    // A proxy decoded it and left the field.
    let mislabelled = of(text, head);
    assert_eq!(mislabelled["response"]["body"]["a"], 1);
    assert_eq!(mislabelled["trace"]["decoding"], "corrupt");

    let unknown = of(b"\xff", "HTTP/1.1 200 OK\r\ncontent-encoding: zstd, x-own\r\n");
    assert_eq!(unknown["response"]["body_encoding"], "base64");
    assert_eq!(unknown["trace"]["decoding"], "unsupported");

    let large = zstd::encode_all(&vec![b'a'; OPTIONS.max_decoded_bytes + 1][..], 3).unwrap();
    let too_large = of(&large, head);
    assert_eq!(too_large["response"]["body_encoding"], "base64");
    assert_eq!(too_large["trace"]["decoding"], "too_large");
}

#[test]
fn decodes_requests_too() {
    let encoded = zstd::encode_all(&b"{\"a\": 1}"[..], 3).unwrap();
    let mut sent = exchange(&[&encoded], &[]);
    sent.request_head = b"POST https://h/ HTTP/1.1\r\ncontent-encoding: zstd\r\n";
    let record = record(&sent);
    assert_eq!(record["request"]["body"]["a"], 1);
    assert_eq!(record["trace"]["request_content_encoding"], "zstd");
    assert_eq!(record["trace"]["request_bytes"], encoded.len());
}

#[test]
fn takes_what_a_fetch_gave_for_decoded() {
    let mut read = exchange(&[], &[b"data: 1\n\n"]);
    read.source = Source::Fetch;
    read.response.as_mut().unwrap().head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n";
    let record = record(&read);
    assert_eq!(record["response"]["body_raw"], "data: 1\n\n");
    assert_eq!(record["trace"]["decoding"], "by_client");
}

#[test]
fn survives_heads_that_are_none() {
    let mut odd = exchange(&[], &[]);
    odd.request_head = b"\xff\n\n";
    odd.response.as_mut().unwrap().head = b"what is this";
    let record = record(&odd);
    assert_eq!(record["request"]["method"], "ÿ");
    assert_eq!(record["response"]["status_code"], 0);
    assert_eq!(record["response"]["headers"][""], "what is this");
}
