//! What an event of a stream costs, for `benchmark/sse`: `sse_cost FILE EVENTS ROUNDS PIECE_BYTES…` prints a line of JSON for each
//! size of piece, with nanoseconds an event: `split` into events alone, and read into a `message`, each the median of rounds.

use claude_trace_core::message::{Hints, Stream};
use claude_trace_core::sse::Parser;
use std::hint::black_box;
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let mut next = |name: &str| args.next().ok_or(format!("{name} is missing"));
    let body = std::fs::read(next("FILE")?)?;
    let events: usize = next("EVENTS")?.parse()?;
    let rounds: usize = next("ROUNDS")?.parse()?;
    for size in args {
        let piece_bytes: usize = size.parse()?;
        let figures = serde_json::json!({
            "pieceBytes": piece_bytes,
            "split": nanos_an_event(events, rounds, || split(&body, piece_bytes)),
            "message": nanos_an_event(events, rounds, || message(&body, piece_bytes)),
        });
        println!("{figures}");
    }
    Ok(())
}

fn split(body: &[u8], piece_bytes: usize) -> usize {
    let (mut parser, mut events) = (Parser::default(), 0);
    for piece in body.chunks(piece_bytes) {
        parser.push(black_box(piece), |event| {
            black_box(event);
            events += 1;
        });
    }
    events
}

fn message(body: &[u8], piece_bytes: usize) -> usize {
    let hints = Hints { content_type: b"text/event-stream", url: b"https://x/" };
    let mut stream = Stream::of(&hints).expect("a stream of events");
    for (at, piece) in body.chunks(piece_bytes).enumerate() {
        stream.push(black_box(piece), Some(at as u64));
    }
    let derived = black_box(stream.finish());
    assert!(derived.message.is_some() && derived.events.unread == 0);
    derived.events.count as usize
}

/// The median of rounds, after as many that do not count.
fn nanos_an_event(events: usize, rounds: usize, run: impl Fn() -> usize) -> f64 {
    let mut figures: Vec<f64> = (0..2 * rounds)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(run(), events, "the stream has other events than it should");
            start.elapsed().as_nanos() as f64 / events as f64
        })
        .skip(rounds)
        .collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
