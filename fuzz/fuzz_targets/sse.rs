//! Any bytes as a stream of events, in any pieces and under any limits: the parser must say what its oracle says.
//! `crates/core/src/sse/tests/` holds the same with streams that look like streams.

#![no_main]

use claude_trace_core::sse::{Limits, Parser};
use libfuzzer_sys::fuzz_target;
use oracle::{Outcome, Owned};

#[allow(missing_docs)]
#[path = "../../crates/core/src/sse/oracle.rs"]
mod oracle;

// The first byte chooses the limits, the second and third the pieces.
fuzz_target!(|data: &[u8]| {
    let [how, first, then, stream @ ..] = data else { return };
    let limits = match how {
        0..=127 => Limits::default(),
        _ => Limits { max_line_bytes: usize::from(how % 8) * 4, max_data_bytes: usize::from(how / 8 % 8) * 4 },
    };
    let expected = oracle::read(stream, limits.max_line_bytes, limits.max_data_bytes);
    assert_eq!(parse(stream, &[stream.len()], limits), expected, "whole");
    assert_eq!(parse(stream, &[usize::from(*first), usize::from(*then) + 1], limits), expected, "in pieces");
});

fn parse(stream: &[u8], sizes: &[usize], limits: Limits) -> Outcome {
    let mut parser = Parser::new(limits);
    let mut events = Vec::new();
    let mut rest = stream;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        rest = after;
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
