//! A finished exchange as a line: checking, minifying, escaping.

use super::exchanges::{Exchanges, Kind};
use claude_trace_core::exchange::{Chunk, End, Exchange, Response, Source};
use claude_trace_core::record::{RecordOptions, write_line};
use criterion::{Criterion, Throughput};
use std::hint::black_box;

const AT: u64 = 1_795_206_489_072_000_000;

pub fn lines(c: &mut Criterion) {
    let mut group = c.benchmark_group("record");
    let cases = [
        ("stream of 150-byte chunks", Exchanges::new(Kind::Sse, 65536), Body::AsRecorded),
        ("stream of large chunks", Exchanges::new(Kind::SseLarge, 65536), Body::AsRecorded),
        ("small JSON", Exchanges::new(Kind::Json, 2048), Body::AsRecorded),
        ("100 KB JSON request", Exchanges::new(Kind::Json, 2048), Body::Request { is_pretty: false }),
        (
            "100 KB JSON request with white space",
            Exchanges::new(Kind::Json, 2048),
            Body::Request { is_pretty: true },
        ),
    ];
    for (name, exchanges, body) in cases {
        let request = body.of(&exchanges);
        let exchange = whole(&exchanges, &request);
        let options = RecordOptions { max_decoded_bytes: 1 << 28, derive: false };
        let mut line = Vec::new();
        let bytes = request.len() + exchanges.response_bytes();
        write_line(&exchange, &options, &mut line);
        assert!(line.len() > bytes / 2 && line.ends_with(b"}\n"), "a line comes of it");
        group.throughput(Throughput::Bytes(bytes as u64)).bench_function(name, |b| {
            b.iter(|| {
                line.clear();
                write_line(black_box(&exchange), &options, &mut line);
            });
        });
    }
}

enum Body {
    AsRecorded,
    Request { is_pretty: bool },
}

impl Body {
    fn of(&self, exchanges: &Exchanges) -> Vec<u8> {
        let Self::Request { is_pretty } = self else { return exchanges.request_body.clone() };
        let tool = serde_json::json!({ "name": "Read", "description": "Reads a \"file\".\n", "lines": [1, 2.5, null] });
        let turns: Vec<_> = (0..1000).map(|_| &tool).collect();
        let json = serde_json::json!({ "model": "claude-mock-1", "messages": turns });
        let text = if *is_pretty { serde_json::to_vec_pretty(&json) } else { serde_json::to_vec(&json) };
        text.expect("it is JSON")
    }
}

fn whole<'a>(exchanges: &'a Exchanges, request: &'a [u8]) -> Exchange<'a> {
    Exchange {
        id: "0123456789abcdef.0.1",
        pid: 4711,
        source: Source::Undici,
        started_at: AT,
        request_head: &exchanges.request_head,
        request_chunks: vec![Chunk { at: AT, bytes: request }],
        request_sent_at: Some(AT + 1_000_000),
        response: Some(Response {
            at: AT + 300_000_000,
            head: &exchanges.response_head,
            chunks: exchanges
                .response()
                .zip(0..)
                .map(|(bytes, n)| Chunk { at: AT + 300_000_000 + n * 12_345_678, bytes })
                .collect(),
            trailers: b"",
        }),
        ended_at: AT + 9_000_000_000,
        end: End::Complete,
        gap: false,
        recovered: false,
        zero_latency: true,
        rules: b"",
        earlier: None,
    }
}
