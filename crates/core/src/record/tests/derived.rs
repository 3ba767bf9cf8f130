//! What is derived, and when each event of it came.

use super::*;
use std::io::Write;

pub(super) const EVENTS: [&str; 4] = [
    "data: {\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"content\":[],\"usage\":{\"input_tokens\":3}}}\n\n\
     data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n",
    "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" world\"}}\n\n",
    "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":20}}\n\n",
];

fn derived(exchange: &Exchange) -> serde_json::Value {
    let plain = line(exchange);
    let line = line_of(exchange, &RecordOptions { derive: true, ..OPTIONS });
    let mut record: serde_json::Value = serde_json::from_str(&line).unwrap();
    let derived = record.as_object_mut().unwrap().shift_remove("derived").unwrap_or_default();
    assert_eq!(record, serde_json::from_str::<serde_json::Value>(&plain).unwrap(), "the rest is as ever");
    derived
}

#[test]
fn a_stream_has_its_message_its_tokens_and_its_times() {
    let derived = derived(&exchange(&[], &EVENTS.map(str::as_bytes)));
    assert_eq!(derived["message"]["content"][0]["text"], "Hello world");
    assert_eq!(derived["usage"], serde_json::json!({"input_tokens": 3, "output_tokens": 20}));
    assert_eq!((&derived["provider"], &derived["stop_reason"]), (&"anthropic".into(), &"end_turn".into()));
    // Chunks come each millisecond from the twelfth on.
    let times = serde_json::json!({
        "first_byte": 12.0, "first_token": 13.0, "last_token": 14.0, "gap_p50": 1.0, "gap_p99": 1.0, "gap_max": 1.0,
    });
    assert_eq!(derived["timing_ms"], times);
    assert_eq!(derived["tokens_per_second"], 20_000.0);
}

/// A gateway flushes its compressor after each event: then events have times of their own.
#[test]
fn an_encoded_stream_has_the_same_times() {
    let plain = derived(&exchange(&[], &EVENTS.map(str::as_bytes)));
    for encoding in ["gzip", "deflate", "zstd", "br"] {
        let pieces = encoded(encoding);
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: {encoding}\r\n");
        assert_eq!(derived(&with_response_head(exchange(&[], &pieces), &head)), plain, "{encoding}");
    }
}

/// The events, each flushed, and the end of the encoding in the last piece.
fn encoded(encoding: &str) -> Vec<Vec<u8>> {
    fn flushed<W: Write>(
        mut encoder: W,
        bytes_of: impl Fn(&W) -> &Vec<u8>,
        end: impl FnOnce(W) -> Vec<u8>,
    ) -> Vec<Vec<u8>> {
        let (mut pieces, mut taken) = (Vec::new(), 0);
        for event in EVENTS {
            encoder.write_all(event.as_bytes()).unwrap();
            encoder.flush().unwrap();
            let so_far = bytes_of(&encoder);
            pieces.push(so_far[taken..].to_vec());
            taken = so_far.len();
        }
        let whole = end(encoder);
        pieces.last_mut().unwrap().extend_from_slice(&whole[taken..]);
        pieces
    }
    use flate2::write::{GzEncoder, ZlibEncoder};
    let level = flate2::Compression::default();
    match encoding {
        "gzip" => flushed(GzEncoder::new(Vec::new(), level), GzEncoder::get_ref, |e| e.finish().unwrap()),
        "deflate" => {
            flushed(ZlibEncoder::new(Vec::new(), level), ZlibEncoder::get_ref, |e| e.finish().unwrap())
        }
        "zstd" => flushed(zstd::Encoder::new(Vec::new(), 3).unwrap(), zstd::Encoder::get_ref, |e| {
            e.finish().unwrap()
        }),
        _ => flushed(
            brotli::CompressorWriter::new(Vec::new(), 4096, 4, 20),
            brotli::CompressorWriter::get_ref,
            brotli::CompressorWriter::into_inner,
        ),
    }
}

#[test]
fn what_is_no_stream_has_nothing_derived() {
    let json = exchange(&[], &[b"{\"a\":1}"]);
    assert!(derived(&with_response_head(json, JSON_HEAD)).is_null());
    let mut failed = exchange(&[], &[]);
    failed.response = None;
    assert!(derived(&failed).is_null());
}
