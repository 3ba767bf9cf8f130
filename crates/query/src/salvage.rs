//! Finds whole records in a line that is not one.
//!
//! Half a line and a whole one stand on one line when a writer died before its line feed and another went on in the
//! file; two whole ones do when the line feed between them was hit. The records in such a line begin as every writer begins
//! them ([`START`]). A record's end must be where a line could have ended: one that lies inside another's body, whose
//! own line is damaged, is followed by what closes that body, and is no record of this log.

use crate::record::Record;
use memchr::memmem;
use std::ops::Range;

/// claude-trace 1.0.9 and version 1 write the keys in this order.
const START: &[u8] = b"{\"request\":{\"timestamp\":";

/// Bytes that may be parsed for each byte of the line. Parsing stops at the damage, so a line that was damaged once costs
/// about 1; one made to have many false starts is given up, and kept as it is.
const EFFORT: usize = 8;

/// The whole records in `bytes`, in order.
pub(crate) fn whole_records(bytes: &[u8]) -> Vec<(Range<usize>, Record)> {
    let mut found = Vec::new();
    let finder = memmem::Finder::new(START);
    let mut effort = bytes.len().saturating_mul(EFFORT);
    let mut from = 0;
    while let Some(start) = finder.find(&bytes[from..]).map(|at| from + at) {
        let used = match Record::read_first(&bytes[start..]) {
            Ok((used, record)) if could_end_a_line(&bytes[start + used..]) => {
                found.push((start..start + used, record));
                from = start + used;
                used
            }
            Ok((used, _)) | Err(used) => {
                from = start + 1;
                used
            }
        };
        match effort.checked_sub(used.max(START.len())) {
            Some(left) => effort = left,
            None => break,
        }
    }
    found
}

/// Whether what follows a value cannot be the rest of a value around it.
fn could_end_a_line(rest: &[u8]) -> bool {
    rest.iter()
        .find(|byte| !byte.is_ascii_whitespace())
        .is_none_or(|byte| !matches!(byte, b',' | b']' | b'}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"request":{"timestamp":1.5,"method":"GET","url":"http://x/","headers":{},"body":null},"response":null,"logged_at":"2026-11-20T20:28:09.907Z"}"#;

    fn found(line: &str) -> Vec<Range<usize>> {
        whole_records(line.as_bytes()).into_iter().map(|(range, _)| range).collect()
    }

    #[test]
    fn a_record_after_half_a_record() {
        for cut in 1..RECORD.len() {
            let line = format!("{}{RECORD}", &RECORD[..cut]);
            assert_eq!(found(&line), std::slice::from_ref(&(cut..cut + RECORD.len())), "cut at {cut}");
        }
    }

    #[test]
    fn records_whose_line_feed_was_hit_or_is_gone() {
        let length = RECORD.len();
        // Every byte that is one bit away from a line feed.
        for bit in 0..8 {
            let hit = char::from(b'\n' ^ (1 << bit));
            let gap = hit.len_utf8();
            let line = format!("{RECORD}{hit}{RECORD}");
            assert_eq!(found(&line), [0..length, length + gap..2 * length + gap], "{hit:?}");
        }
        assert_eq!(found(&format!("{RECORD}{RECORD}")).len(), 2);
    }

    #[test]
    fn a_record_in_the_body_of_a_damaged_one_is_left_there() {
        for body in [format!("[{RECORD},{RECORD}]"), format!("{{\"a\":{RECORD}}}"), format!("[{RECORD} ]")] {
            let outer = RECORD.replace("\"body\":null", &format!("\"body\":{body}"));
            assert_eq!(found(&outer).first(), Some(&(0..outer.len())));
            // Damage before the inner records, and after them.
            assert!(found(&outer.replacen("GET", "G\"T", 1)).is_empty());
            assert!(found(&outer[..outer.len() - 9]).is_empty());
        }
    }

    #[test]
    fn a_line_of_false_starts_is_given_up() {
        let line = String::from_utf8(START.repeat(100_000)).unwrap();
        let started = std::time::Instant::now();
        assert!(found(&line).is_empty());
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }
}
