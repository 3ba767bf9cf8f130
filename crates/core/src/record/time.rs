//! Times as records write them.

use super::json;
use crate::civil::Iso;
use crate::exchange::WallNanos;
use std::io::Write;

/// Appends seconds since the epoch, to the microsecond.
pub(super) fn seconds(at: WallNanos, out: &mut Vec<u8>) {
    json::fraction(at / 1_000, 6, out);
}

/// Appends the milliseconds from `start` to `at`, to the microsecond. A time before the start is none.
pub(super) fn milliseconds_since(start: WallNanos, at: WallNanos, out: &mut Vec<u8>) {
    json::fraction(at.saturating_sub(start) / 1_000, 3, out);
}

/// Appends `YYYY-MM-DDTHH:MM:SS.mmmZ`: `Date.prototype.toISOString`.
pub(super) fn iso(at: WallNanos, out: &mut Vec<u8>) {
    write!(out, "{}", Iso(at)).expect("a Vec takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_dates_as_javascript_does() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_206_489_898, "2026-11-20T20:28:09.898Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (milliseconds, expected) in cases {
            assert_eq!(written(|out| iso(milliseconds * 1_000_000 + 999_999, out)), expected);
        }
    }

    #[test]
    fn writes_spans() {
        assert_eq!(written(|out| seconds(1_795_206_489_072_123_999, out)), "1795206489.072123");
        assert_eq!(written(|out| milliseconds_since(1_000, 1_501_900, out)), "1.5");
        assert_eq!(written(|out| milliseconds_since(2, 1, out)), "0");
    }
}
