//! Bugs that other parsers had.

use super::{data_of, parse, parse_every_way};
use crate::sse::{Limits, Parser};

/// vercel/ai PR #6200 and eventsource-parser #17: a CRLF split between pieces was taken for two line ends.
#[test]
fn a_crlf_that_is_split_between_pieces_is_one_line_end() {
    let pieces: [&[u8]; 4] = [b"data: a\r", b"\ndata: b\r\n\r", b"\ndata: c\r\n", b"\r\n"];
    let outcome = parse(pieces, Limits::default());
    let data: Vec<&[u8]> = outcome.events.iter().map(|event| event.data.as_slice()).collect();
    assert_eq!(data, [&b"a\nb"[..], b"c"]);
    assert_eq!(outcome.undispatched, 0);
}

/// Parsers that split at `\n\n` alone never saw an event of a server that ends lines with CRLF, as Google's do.
#[test]
fn crlf_and_cr_end_lines() {
    assert_eq!(data_of(b"data: 1\r\n\r\ndata: 2\r\rdata: 3\n\n"), ["1", "2", "3"]);
}

/// Parsers that look for `data: ` lost what came without the space.
#[test]
fn data_without_a_space_is_data() {
    assert_eq!(
        data_of(b"data:{\"a\":1}\n\ndata: {\"a\":1}\n\ndata:  {}\n\n"),
        ["{\"a\":1}", "{\"a\":1}", " {}"]
    );
}

/// Parsers that make text of each piece put U+FFFD where a character was split.
#[test]
fn a_character_that_is_split_between_pieces_stays_whole() {
    assert_eq!(data_of("data: Grüße 日本語 👩‍👩‍👧‍👦\n\n".as_bytes()), ["Grüße 日本語 👩‍👩‍👧‍👦"]);
}

/// A BOM was taken for a part of the first field's name, which lost the first event.
#[test]
fn a_bom_does_not_cost_the_first_event() {
    assert_eq!(data_of("\u{feff}data: first\n\n".as_bytes()), ["first"]);
    assert_eq!(data_of(b"\xef\xbbdata: not a BOM\n\ndata: 2\n\n"), ["2"]);
}

/// claude-code-proxy read lines with a buffer of 64 KB and failed at longer ones.
#[test]
fn a_line_of_more_than_64_kb_is_read() {
    let long = "x".repeat(1 << 20);
    let stream = format!("data: {long}\n\ndata: after\n\n");
    for size in [1000, 4096, 65_536, 2 << 20] {
        let events = parse(stream.as_bytes().chunks(size), Limits::default()).events;
        assert_eq!(events.len(), 2);
        assert!(events[0].data == long.as_bytes() && !events[0].cut, "in pieces of {size}");
    }
}

/// Parsers that wait to see whether an LF follows a CR show an event late: with the next one.
#[test]
fn the_cr_of_a_blank_line_dispatches_at_once() {
    let mut parser = Parser::default();
    let mut seen = 0;
    parser.push(b"data: 1\r\n\r", |event| {
        assert_eq!((event.data, event.end), (&b"1"[..], 10));
        seen += 1;
    });
    assert_eq!(seen, 1);
}

#[test]
fn an_event_in_one_piece_is_not_copied() {
    let piece = b"event: message\ndata: {\"a\":1}\n\ndata: b\ndata: c\n\n";
    let within = piece.as_ptr_range();
    let mut lies_within = Vec::new();
    Parser::default().push(piece, |event| lies_within.push(within.contains(&event.data.as_ptr())));
    assert_eq!(lies_within, [true, false], "data of two lines has to be joined");
}

#[test]
fn what_broke_off_is_counted() {
    for (stream, undispatched) in [
        (&b"data: 1\n\ndata: 2"[..], 7),
        (b"data: 1\n\n", 0),
        (b"data: 1\r\n\r\n", 0),
        (b"data: 1\n", 8),
        (b"", 0),
        (b"\xef\xbb", 2),
        (b"\xef\xbb\xbf", 0),
        (b"data: 1\n\n: comment\n", 10),
    ] {
        assert_eq!(parse_every_way(stream).undispatched, undispatched, "{stream:?}");
    }
}
