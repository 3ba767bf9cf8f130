//! The last head, as what the next one will look like.
//!
//! A client sends nearly the same head request after request, and so does its server: between two of them a length, a date
//! and an id have changed. A line that is the same as before needs no look at its name, so a head is compared to the last
//! one, and what is judged anew are the lines that differ. This takes a quarter of the time where all code and data are at
//! hand, and a sixth where the processor has lost them to the host's work in between.
//!
//! What is remembered is what was written: redacted. A line whose value had to be looked into is a *stop*. It is the same
//! line again if its bytes have the same length and checksum; should they ever have those by chance, what is written is what
//! another value looks like when hidden.

use memchr::{memchr, memrchr};

/// A line whose value was looked into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stop {
    /// Where in what was written it starts.
    start: usize,
    /// Where it ends there.
    end: usize,
    /// Bytes of the line as it was given.
    length: usize,
    /// Their checksum.
    checksum: u32,
}

/// A head's field lines. Empty after a head in which a line belonged to the field above it: the meaning of such a line is
/// not its own, so there is nothing to compare to.
#[derive(Debug, Default)]
pub(super) struct Template {
    /// Field lines as they were written.
    lines: Vec<u8>,
    stops: Vec<Stop>,
}

impl Template {
    /// Begins to compare a head's field lines.
    pub(super) fn cursor(&self) -> Cursor<'_> {
        Cursor { lines: &self.lines, stops: &self.stops, at: 0 }
    }

    /// Takes the place of what was remembered. `lines` as they were written.
    pub(super) fn remember(&mut self, lines: &[u8], notes: &mut Notes) {
        self.lines.clear();
        self.stops.clear();
        if !notes.has_stray {
            self.lines.extend_from_slice(lines);
            std::mem::swap(&mut self.stops, &mut notes.stops);
        }
    }
}

/// What is noted of a head on the way, for [`Template::remember`].
#[derive(Debug, Default)]
pub(super) struct Notes {
    stops: Vec<Stop>,
    has_stray: bool,
}

impl Notes {
    pub(super) fn clear(&mut self) {
        self.stops.clear();
        self.has_stray = false;
    }

    /// A line belonged to the field above it.
    pub(super) fn stray(&mut self) {
        self.has_stray = true;
    }

    /// The value of `line` was looked into, and `written` is where the result lies.
    pub(super) fn stop(&mut self, line: &[u8], written: std::ops::Range<usize>) {
        let checksum = crc32c::crc32c(line);
        self.stops.push(Stop { start: written.start, end: written.end, length: line.len(), checksum });
    }
}

/// Walks through the last head beside the new one.
pub(super) struct Cursor<'a> {
    lines: &'a [u8],
    /// Those from `at` on.
    stops: &'a [Stop],
    /// Start of a line.
    at: usize,
}

impl<'a> Cursor<'a> {
    /// How many bytes at the start of `block` are whole lines that stood in the last head, in this place, with nothing in them to look
    /// into.
    pub(super) fn same(&mut self, block: &[u8]) -> usize {
        let until = self.stops.first().map_or(self.lines.len(), |stop| stop.start);
        let expected = &self.lines[self.at..until];
        let common = common_prefix(block, expected);
        let whole = if common == expected.len() && expected.ends_with(b"\n") {
            common
        } else {
            memrchr(b'\n', &block[..common]).map_or(0, |end| end + 1)
        };
        self.at += whole;
        whole
    }

    /// If `block` begins with the line that was looked into in this place of the last head: its length, and what was written
    /// for it.
    pub(super) fn same_stop(&mut self, block: &[u8]) -> Option<(usize, &'a [u8])> {
        let (stop, others) = self.stops.split_first()?;
        let line = block.get(..stop.length)?;
        if stop.start != self.at || !line.ends_with(b"\n") || crc32c::crc32c(line) != stop.checksum {
            return None;
        }
        self.stops = others;
        self.at = stop.end;
        Some((stop.length, &self.lines[stop.start..stop.end]))
    }

    /// The next line, which begins with `name`, was not the same. Goes behind the line of that name, if it is one of those to
    /// come; else the line is new, or all that follows is. Tells whether the value of that line was not looked into: then
    /// the name means nothing.
    pub(super) fn pass(&mut self, name: &[u8]) -> bool {
        let mut at = self.at;
        while at < self.lines.len() {
            let line = &self.lines[at..];
            let length = memchr(b'\n', line).map_or(line.len(), |end| end + 1);
            if line.starts_with(name) && line.get(name.len()) == Some(&b':') {
                while self.stops.first().is_some_and(|stop| stop.end <= at) {
                    self.stops = &self.stops[1..];
                }
                self.at = at + length;
                // A stop takes in the empty lines before it.
                let is_stop = self.stops.first().is_some_and(|stop| stop.start <= at);
                if is_stop {
                    self.stops = &self.stops[1..];
                }
                return !is_stop;
            }
            at += length;
        }
        false
    }
}

/// How many bytes at the start are the same.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    const STEP: usize = 16;
    let length = a.len().min(b.len());
    let (a, b) = (&a[..length], &b[..length]);
    let mut at = 0;
    while let (Some(x), Some(y)) = (a[at..].first_chunk::<STEP>(), b[at..].first_chunk::<STEP>()) {
        let different = u128::from_le_bytes(*x) ^ u128::from_le_bytes(*y);
        if different != 0 {
            return at + different.trailing_zeros() as usize / 8;
        }
        at += STEP;
    }
    at + a[at..].iter().zip(&b[at..]).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_the_first_difference(same in prop::collection::vec(any::<u8>(), 0..70), a: Vec<u8>, b: Vec<u8>) {
            let [x, y] = [&a, &b].map(|rest| [&same[..], rest].concat());
            let naive = x.iter().zip(&y).take_while(|(x, y)| x == y).count();
            prop_assert_eq!(common_prefix(&x, &y), naive);
        }
    }
}
