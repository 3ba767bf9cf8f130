//! Numbers for people.

use claude_trace_core::civil::Civil;
use std::fmt;

/// A number of bytes: `512 bytes`, `3.4 MB`.
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let mut rest = self.0 as f64;
        for unit in ["bytes", "kB", "MB", "GB", "TB"] {
            // What would be rounded to 1000 goes to the next unit.
            if rest < 999.5 || unit == "TB" {
                return match unit {
                    "bytes" => write!(f, "{}", Count(self.0, "byte")),
                    _ if rest < 9.95 => write!(f, "{rest:.1} {unit}"),
                    _ => write!(f, "{rest:.0} {unit}"),
                };
            }
            rest /= 1000.0;
        }
        Ok(())
    }
}

/// A number of things: `1 record`, `2 records`, `0 entries`.
pub struct Count(pub u64, pub &'static str);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match (self.0, self.1.strip_suffix('y')) {
            (1, _) => write!(f, "1 {}", self.1),
            (count, Some(stem)) => write!(f, "{count} {stem}ies"),
            (count, None) => write!(f, "{count} {}s", self.1),
        }
    }
}

/// A moment, UTC: `2026-11-20 20:28:09`.
pub struct Moment(pub u64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Civil { date: (year, month, day), time: (hour, minute, second, _) } = Civil::of(self.0);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
    }
}

/// Reads a number of bytes: `1000000`, `64MiB`, `1GiB`.
pub fn parse_size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err("allowed: a number of bytes, or of KiB, MiB or GiB".into()),
    };
    let bytes = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(unit));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| "allowed: 1 or more, such as 64MiB".into())
}

/// Reads a switch as the variables of the recorder have them.
pub fn flag_of(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// Reads digits alone.
pub fn whole_number(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, words) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (9_949, "9.9 kB"),
            (12_345, "12 kB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (3_400_000, "3.4 MB"),
            (10_737_418_240, "11 GB"),
        ] {
            assert_eq!(Size(bytes).to_string(), words);
        }
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse_size("1000"), Ok(1000));
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        for wrong in ["", "0", "-1", "1.5GiB", "1GB", "99999999999GiB", "é"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
