//! What an event costs: to split off, by its size and by the pieces that the stream comes in; and to be read into a message, by
//! provider. `-- --test` runs each once.
//!
//!     cargo bench -p claude-trace-core --bench sse

#![allow(missing_docs, reason = "criterion_group! makes a public function")]

use claude_trace_core::message::{Hints, Stream};
use claude_trace_core::sse::Parser;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

/// Events of each stream: it is larger than the caches that a real one meets.
const EVENTS: usize = 2000;

/// A stream of text deltas as Anthropic sends them, each of that size; and its piece sizes.
fn stream(event_bytes: usize) -> Vec<u8> {
    let event = if event_bytes < 110 {
        framed("event: delta\ndata: ", "", "\n\n", event_bytes)
    } else {
        let head = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
            {\"type\":\"text_delta\",\"text\":\"";
        framed(head, "", "\"}}\n\n", event_bytes)
    };
    assert_eq!(event.len(), event_bytes);
    event.repeat(EVENTS)
}

fn framed(head: &str, text: &str, tail: &str, length: usize) -> Vec<u8> {
    let filler = "word ".chars().cycle().take(length - head.len() - text.len() - tail.len());
    format!("{head}{text}{}{tail}", filler.collect::<String>()).into_bytes()
}

fn count_events(stream: &[u8], piece_bytes: usize) -> usize {
    let (mut parser, mut events) = (Parser::default(), 0);
    for piece in stream.chunks(piece_bytes) {
        parser.push(black_box(piece), |event| {
            black_box(event);
            events += 1;
        });
    }
    events
}

fn split(criterion: &mut Criterion) {
    for event_bytes in [64, 150, 2048] {
        let stream = stream(event_bytes);
        let mut group = criterion.benchmark_group(format!("sse_split_{event_bytes}_byte_events"));
        // The figure of an "element" is that of an event.
        group.throughput(Throughput::Elements(EVENTS as u64));
        for (name, piece_bytes) in [
            ("whole", stream.len()),
            ("64KB", 65_536),
            ("16KB", 16_384),
            ("1KB", 1024),
            ("100B", 100),
            ("1B", 1),
        ] {
            assert_eq!(count_events(&stream, piece_bytes), EVENTS);
            group.bench_with_input(
                BenchmarkId::from_parameter(name),
                &piece_bytes,
                |bencher, piece_bytes| {
                    bencher.iter(|| count_events(&stream, *piece_bytes));
                },
            );
        }
    }
}

/// The event that nearly all of a stream is made of, and those that it needs before it.
const DELTAS: [(&str, &str, &str); 4] = [
    (
        "anthropic_text",
        concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\n",
            "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
        ),
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
            {\"type\":\"text_delta\",\"text\":\" a dozen letters\"}}\n\n",
    ),
    (
        "anthropic_tool_input",
        concat!(
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\n",
            "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"tool_use\",\"input\":{}}}\n\n",
        ),
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":\
            {\"type\":\"input_json_delta\",\"partial_json\":\"\\\"a\\\": [1, 2\"}}\n\n",
    ),
    (
        "openai_chat_content",
        "",
        "data: {\"id\":\"chatcmpl-BmFgC0vVQ3kZq1kGgKHV9EtIVvnRb\",\"object\":\"chat.completion.chunk\",\"created\":1750000000,\
            \"model\":\"gpt-5.4-2026-03-05\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_50cad350e4\",\
            \"choices\":[{\"index\":0,\"delta\":{\"content\":\" a dozen letters\"},\"logprobs\":null,\
            \"finish_reason\":null}],\"usage\":null,\"obfuscation\":\"aBcDeFgH\"}\n\n",
    ),
    (
        "openai_responses_text",
        concat!(
            "data: {\"type\":\"response.created\",\"response\":{\"output\":[{\"type\":\"message\",\"content\":[",
            "{\"type\":\"output_text\",\"text\":\"\"}]}]}}\n\n",
        ),
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":7,\
            \"item_id\":\"msg_68506f0b3f0c819e\",\"output_index\":0,\"content_index\":0,\"delta\":\" a dozen letters\",\
            \"logprobs\":[],\"obfuscation\":\"aBcDeFgH\"}\n\n",
    ),
];

/// Splitting included, in pieces of 16 KB.
fn read_into_messages(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sse_message");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (name, start, delta) in DELTAS {
        let body = [start, &delta.repeat(EVENTS)].concat();
        let hints = Hints { content_type: b"text/event-stream", url: b"https://x/" };
        let derive = || {
            let mut stream = Stream::of(&hints).expect("a stream of events");
            for (at, piece) in body.as_bytes().chunks(16_384).enumerate() {
                stream.push(black_box(piece), Some(at as u64 * 1_000_000));
            }
            stream.finish()
        };
        let derived = derive();
        assert!(
            derived.message.is_some() && derived.events.unread == 0 && derived.events.count >= EVENTS as u64
        );
        group.bench_function(name, |bencher| bencher.iter(derive));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1));
    targets = split, read_into_messages
}
criterion_main!(benches);
