//! What an event costs to split off, by its size and by the pieces that the stream comes in. `-- --test` runs each once.
//!
//!     cargo bench -p claude-trace-core --bench sse

#![allow(missing_docs, reason = "criterion_group! makes a public function")]

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

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1));
    targets = split
}
criterion_main!(benches);
