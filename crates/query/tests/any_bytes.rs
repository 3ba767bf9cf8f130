//! No bytes make the reader panic, loop or use more than its limits; and what it makes of them is always the same.

mod support;

use claude_trace_query::{Limits, Source, verify};
use proptest::prelude::*;
use std::io::{Cursor, Read};
use support::{Part, fixtures, naive_records, parts, record, report};

/// What happens to logs.
#[derive(Clone, Debug)]
enum Accident {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index, prop::sample::Index),
    Hole(prop::sample::Index, usize),
    Insert(prop::sample::Index, Vec<u8>),
    Truncate(prop::sample::Index),
}

impl Accident {
    fn happen(&self, log: &mut Vec<u8>) {
        if log.is_empty() {
            return;
        }
        let length = log.len();
        match self {
            Self::Flip(at, bit) => log[at.index(length)] ^= 1 << (bit % 8),
            Self::Cut(a, b) => drop(log.drain(a.index(length).min(b.index(length))..b.index(length))),
            Self::Hole(at, size) => {
                let start = at.index(length);
                let end = (start + size).min(length);
                log[start..end].fill(0);
            }
            Self::Insert(at, bytes) => {
                drop(log.splice(at.index(length)..at.index(length), bytes.iter().copied()))
            }
            Self::Truncate(at) => log.truncate(at.index(length)),
        }
    }
}

fn accidents() -> impl Strategy<Value = Vec<Accident>> {
    let at = || any::<prop::sample::Index>();
    prop::collection::vec(
        prop_oneof![
            (at(), any::<u8>()).prop_map(|(at, bit)| Accident::Flip(at, bit)),
            (at(), at()).prop_map(|(a, b)| Accident::Cut(a, b)),
            (at(), 1usize..300).prop_map(|(at, size)| Accident::Hole(at, size)),
            (at(), prop::collection::vec(any::<u8>(), 0..40))
                .prop_map(|(at, bytes)| Accident::Insert(at, bytes)),
            at().prop_map(Accident::Truncate),
        ],
        0..5,
    )
}

/// Logs of real lines to which something has happened.
fn damaged_logs() -> impl Strategy<Value = Vec<u8>> {
    let lines = prop::collection::vec(prop::sample::select(fixtures()), 0..6);
    (lines, accidents()).prop_map(|(lines, accidents)| {
        let mut log = lines.concat();
        accidents.iter().for_each(|accident| accident.happen(&mut log));
        log
    })
}

/// Bytes that have never been a log, but look a little like one.
fn any_logs() -> impl Strategy<Value = Vec<u8>> {
    let words = prop_oneof![
        any::<Vec<u8>>(),
        Just(record("a").into_bytes()),
        prop::sample::select(vec![
            "{\"request\":{\"timestamp\":",
            "{",
            "}",
            "[",
            "]",
            "\"",
            "\n",
            "\0\0",
            ",",
            " ",
            "\\u12",
            "null"
        ])
        .prop_map(|word| word.as_bytes().to_vec()),
    ];
    prop::collection::vec(words, 0..30).prop_map(|words| words.concat())
}

fn logs() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![damaged_logs(), any_logs()]
}

/// What a repair would keep, as in `repair.rs`.
fn kept(parts: &[Part]) -> Vec<u8> {
    let mut log = Vec::new();
    for part in parts {
        match part {
            Part::Record(bytes) => {
                log.extend_from_slice(bytes.strip_suffix(b"\n").unwrap_or(bytes));
                log.push(b'\n');
            }
            Part::Blank(bytes) => log.extend_from_slice(bytes),
            Part::Damage(_) => {}
        }
    }
    log
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn items_tile_the_log_wherever_its_reads_are_split(log in logs(), buffer in 1usize..100) {
        let whole = parts(&log, Limits::default(), 1 << 16);
        prop_assert_eq!(whole.iter().map(Part::bytes).collect::<Vec<_>>().concat(), log.clone());
        prop_assert_eq!(whole, parts(&log, Limits::default(), buffer));
    }

    #[test]
    fn every_line_that_a_naive_reader_takes_is_kept(log in logs()) {
        let records: Vec<Vec<u8>> = parts(&log, Limits::default(), 1 << 16)
            .into_iter()
            .filter_map(|part| match part {
                Part::Record(mut bytes) => {
                    if bytes.ends_with(b"\n") { bytes.pop(); }
                    Some(bytes)
                }
                _ => None,
            })
            .collect();
        let mut rest = records.iter();
        for line in naive_records(&log) {
            prop_assert!(rest.any(|record| *record == line), "lost: {}", String::from_utf8_lossy(&line));
        }
    }

    #[test]
    fn what_is_kept_is_a_whole_log_and_repairing_it_changes_nothing(log in logs()) {
        let once = kept(&parts(&log, Limits::default(), 1 << 16));
        let again = parts(&once, Limits::default(), 1 << 16);
        prop_assert!(again.iter().all(|part| !matches!(part, Part::Damage(_))));
        prop_assert_eq!(kept(&again), once.clone());
        let report = report(&once);
        prop_assert_eq!(report.counts.damaged_bytes, 0);
        prop_assert!(report.problems.iter().all(|problem| !problem.kind.is_damage()));
    }

    #[test]
    fn a_line_limit_of_any_size_tiles_the_log_too(log in logs(), max_line_bytes in 0usize..2000) {
        let limits = Limits { max_line_bytes };
        let all = parts(&log, limits, 64);
        prop_assert_eq!(all.iter().map(Part::bytes).collect::<Vec<_>>().concat(), log.clone());
        for part in all {
            prop_assert!(matches!(part, Part::Damage(_)) || part.bytes().len() <= max_line_bytes.max(1) + 1);
        }
    }

    #[test]
    fn counts_agree_with_the_items(log in logs()) {
        let all = parts(&log, Limits::default(), 1 << 16);
        let report = report(&log);
        let counts = report.counts;
        let length = |damage: bool| all.iter().filter(|part| !damage || matches!(part, Part::Damage(_)))
            .map(|part| part.bytes().len() as u64).sum::<u64>();
        prop_assert_eq!(counts.records, all.iter().filter(|part| matches!(part, Part::Record(_))).count() as u64);
        prop_assert_eq!(counts.records, counts.complete + counts.partial + counts.failed + counts.orphaned);
        prop_assert_eq!((counts.bytes, counts.damaged_bytes), (length(false), length(true)));
        let named: u64 = report.problems.iter().filter(|p| p.kind.is_damage()).map(|p| p.length).sum();
        prop_assert_eq!(named, counts.damaged_bytes, "every damaged byte is named: {:?}", report.problems);
    }

    #[test]
    fn packed_logs_that_are_damaged_end_somewhere(
        log in damaged_logs(), zstd: bool, accidents in accidents(),
    ) {
        let mut packed = if zstd {
            zstd::encode_all(&*log, 1).unwrap()
        } else {
            let mut bytes = Vec::new();
            flate2::read::GzEncoder::new(&*log, flate2::Compression::fast()).read_to_end(&mut bytes).unwrap();
            bytes
        };
        accidents.iter().for_each(|accident| accident.happen(&mut packed));
        let source = Source::new(Cursor::new(packed)).unwrap();
        verify(source, Limits { max_line_bytes: 1 << 20 }, 10, || false).unwrap();
    }
}

#[test]
fn problems_are_kept_up_to_a_number_and_counted_past_it() {
    let log = "no record\n".repeat(1000);
    let report = verify(support::source(log.as_bytes()), Limits::default(), 7, || false).unwrap();
    assert_eq!((report.problems.len(), report.problem_count), (7, 1000));
}
