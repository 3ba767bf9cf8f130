//! The parser against the standard's vectors, against bugs that others had, and against its oracle.

mod bugs;
mod splits;
mod vectors;

use super::oracle::{self, Outcome, Owned};
use super::{Limits, Parser};

/// What the parser makes of a stream in these pieces.
fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: Limits) -> Outcome {
    let mut parser = Parser::new(limits);
    let mut events = Vec::new();
    for piece in pieces {
        parser.push(piece, |event| {
            events.push(Owned {
                data: event.data.to_vec(),
                kind: event.kind.to_vec(),
                id: event.id.to_vec(),
                has_id: event.has_id,
                retry: event.retry,
                end: event.end,
                cut: event.cut,
            });
        });
    }
    Outcome {
        events,
        undispatched: parser.undispatched_bytes(),
        last_id: parser.last_event_id().to_vec(),
        retry: parser.retry_ms(),
        cut_lines: parser.cut_lines(),
    }
}

/// What it makes of a stream whole, at every split in two, and byte by byte: the same, and what the oracle makes of it.
fn parse_every_way(stream: &[u8]) -> Outcome {
    let limits = Limits::default();
    let expected = oracle::read(stream, limits.max_line_bytes, limits.max_data_bytes);
    assert_eq!(parse([stream], limits), expected, "whole");
    assert_eq!(parse(stream.chunks(1), limits), expected, "byte by byte");
    for split in 0..=stream.len() {
        let (start, end) = stream.split_at(split);
        assert_eq!(parse([start, b"", end], limits), expected, "split at {split}");
    }
    expected
}

fn data_of(stream: &[u8]) -> Vec<String> {
    let events = parse_every_way(stream).events;
    events.iter().map(|event| String::from_utf8_lossy(&event.data).into_owned()).collect()
}
