//! Random streams in random pieces: the same events as the oracle's.

use super::{oracle, parse};
use crate::sse::Limits;
use proptest::prelude::*;

/// Lines that mean something, lines that nearly do, and bytes that mean nothing.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        8 => "(data|event|id|retry)(: ?|)[a-zé0-9: \u{0}😀]{0,12}".prop_map(String::into_bytes),
        2 => "retry: ?[0-9]{1,30}".prop_map(String::into_bytes),
        2 => ":[a-z]{0,20}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => Just(b"\xef\xbb\xbf".to_vec()),
        4 => Just(Vec::new()),
    ];
    let end = prop_oneof![
        Just(&b"\n"[..]),
        Just(&b"\r"[..]),
        Just(&b"\r\n"[..]),
        Just(&b"\n\n"[..]),
        Just(&b""[..])
    ];
    prop::collection::vec((line, end), 0..24)
        .prop_map(|lines| lines.into_iter().flat_map(|(line, end)| [line, end.to_vec()].concat()).collect())
}

/// Cuts where the sizes say, over and over.
fn cut<'a>(stream: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let (mut pieces, mut rest) = (Vec::new(), stream);
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_the_oracle(stream in stream(), sizes in prop::collection::vec(1_usize..24, 1..8)) {
        let limits = Limits::default();
        let expected = oracle::read(&stream, limits.max_line_bytes, limits.max_data_bytes);
        prop_assert_eq!(parse(cut(&stream, &sizes), limits), expected);
    }

    #[test]
    fn agrees_with_the_oracle_where_limits_are_reached(
        stream in stream(),
        sizes in prop::collection::vec(1_usize..24, 1..8),
        max_line_bytes in 0_usize..16,
        max_data_bytes in 0_usize..16,
    ) {
        let limits = Limits { max_line_bytes, max_data_bytes };
        let expected = oracle::read(&stream, max_line_bytes, max_data_bytes);
        prop_assert_eq!(parse(cut(&stream, &sizes), limits), expected);
    }
}

#[test]
fn a_cut_event_says_so_and_the_next_one_is_whole() {
    let limits = Limits { max_line_bytes: 12, max_data_bytes: 8 };
    let outcome = parse(
        [&b"data: 123456789\n\ndata: 1\ndata: 234567\n\n: a comment beyond it\ndata: 1\n\n"[..]],
        limits,
    );
    let events: Vec<(&[u8], bool)> = outcome.events.iter().map(|event| (&*event.data, event.cut)).collect();
    assert_eq!(events, [(&b"123456"[..], true), (b"1\n234567", false), (b"1", false)]);
}
