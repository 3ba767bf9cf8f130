//! What an event of a stream costs, for `benchmark/sse`: `sse_cost FILE EVENTS PIECE_BYTES…` prints a line of JSON for each size
//! of piece, with nanoseconds an event: `split` into events alone, and read into a `message`, each the median of rounds.

use claude_trace_core::message::{Hints, Stream};
use claude_trace_core::sse::Parser;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Each figure takes at least that long, and so many rounds.
const AT_LEAST: Duration = Duration::from_millis(300);
const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let body = std::fs::read(args.next().ok_or("FILE is missing")?)?;
    let events: usize = args.next().ok_or("EVENTS is missing")?.parse()?;
    for size in args {
        let piece_bytes: usize = size.parse()?;
        assert_eq!(split(&body, piece_bytes), events, "the stream has other events than it should");
        assert_eq!(message(&body, piece_bytes), events);
        let figures = serde_json::json!({
            "pieceBytes": piece_bytes,
            "split": nanos_an_event(events, || split(&body, piece_bytes)),
            "message": nanos_an_event(events, || message(&body, piece_bytes)),
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

fn nanos_an_event(events: usize, run: impl Fn() -> usize) -> f64 {
    let mut rounds = Vec::new();
    let begun = Instant::now();
    while rounds.len() < ROUNDS || begun.elapsed() < AT_LEAST {
        let start = Instant::now();
        black_box(run());
        rounds.push(start.elapsed().as_nanos() as f64 / events as f64);
    }
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}
