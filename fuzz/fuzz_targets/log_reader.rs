//! Any bytes as a log: the items must tile it, what is kept must be a whole log, and neither packing nor limits may break
//! that. `crates/query/tests/any_bytes.rs` holds the same with logs that look like logs.

#![no_main]

use claude_trace_query::{Bytes, Limits, Scanner, Source, What, verify};
use libfuzzer_sys::fuzz_target;
use std::io::{Cursor, Read};

/// A packed log can hold a thousand times its size: more than this of it says nothing new.
const MAX_TEXT: u64 = 16 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((first, log)) = data.split_first() else { return };
    // The first byte chooses the limit, so that the same bytes meet several.
    let limits = match first {
        0..=3 => Limits { max_line_bytes: 1 << (2 * first) },
        _ => Limits::default(),
    };
    let kept = part(log, limits);
    if limits == Limits::default() {
        assert_eq!(part(&kept, limits), kept, "repairing what was repaired changes nothing");
    }
    if let Ok(source) = Source::new(Cursor::new(log.to_vec())) {
        let text = Source::new(source.take(MAX_TEXT)).and_then(|text| verify(text, limits, 3, || false));
        if let Ok(report) = text {
            let counts = report.counts;
            assert_eq!(counts.records, counts.complete + counts.partial + counts.failed + counts.orphaned);
            assert!(counts.damaged_bytes <= counts.bytes && report.problems.len() <= 3);
        }
    }
});

/// The log without its damage.
fn part(log: &[u8], limits: Limits) -> Vec<u8> {
    let mut scanner = Scanner::new(log, limits);
    let (mut offset, mut kept) = (0, Vec::new());
    while let Some(item) = scanner.next_item().expect("memory can be read") {
        assert_eq!(item.place.offset, offset);
        assert!(item.place.length > 0);
        let here = &log[offset as usize..][..item.place.length as usize];
        offset += item.place.length;
        match item.bytes {
            Bytes::Text(bytes) => {
                assert_eq!(here.strip_suffix(b"\n").filter(|_| item.line_feed).unwrap_or(here), bytes);
                match item.what {
                    What::Record { .. } => kept.extend_from_slice(&[bytes, b"\n"].concat()),
                    What::Blank => kept.extend_from_slice(here),
                    What::Damage { .. } => {}
                }
            }
            Bytes::Nuls(count) => assert!(here.len() as u64 == count && here.iter().all(|byte| *byte == 0)),
        }
    }
    assert_eq!(offset, log.len() as u64);
    kept
}
