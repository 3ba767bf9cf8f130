//! The last head, as what the next one will look like.
//!
//! A client sends nearly the same head request after request, and so does its server: between two of them a length, a date
//! and an id have changed. A line that is the same as before needs no look at its name, so a head is compared to the last
//! one, and what is judged anew are the lines that differ. This takes a quarter of the time where all code and data are at
//! hand, and a sixth where the processor has lost them to the host's work in between.
//!
//! What is remembered is what was written: redacted. A line in which something was hidden is a *stop*, never equal to
//! anything, so that what is remembered decides about no other credential.

use memchr::{memchr, memrchr};

/// A head's field lines. Empty after a head in which a line belonged to the field above it: the meaning of such a line is
/// not its own, so there is nothing to compare to.
#[derive(Debug, Default)]
pub(super) struct Template {
    /// Field lines as they were written.
    lines: Vec<u8>,
    /// Where in `lines` those start in which something was hidden.
    stops: Vec<usize>,
}

impl Template {
    /// Begins to compare a head's field lines.
    pub(super) fn cursor(&self) -> Cursor<'_> {
        Cursor { lines: &self.lines, stops: &self.stops, at: 0 }
    }

    /// Takes the place of what was remembered. `lines` as they were written.
    pub(super) fn remember(&mut self, lines: &[u8], notes: &Notes) {
        self.lines.clear();
        self.stops.clear();
        if !notes.has_stray {
            self.lines.extend_from_slice(lines);
            self.stops.extend_from_slice(&notes.stops);
        }
    }
}

/// What is noted of a head on the way, for [`Template::remember`].
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Where in what was written the lines start in which something was hidden.
    pub stops: Vec<usize>,
    /// A line belonged to the field above it.
    pub has_stray: bool,
}

impl Notes {
    pub(super) fn clear(&mut self) {
        self.stops.clear();
        self.has_stray = false;
    }
}

/// Walks through the last head beside the new one.
pub(super) struct Cursor<'a> {
    lines: &'a [u8],
    /// Those from `at` on.
    stops: &'a [usize],
    /// Start of a line.
    at: usize,
}

impl Cursor<'_> {
    /// How many bytes at the start of `block` are whole lines that stood in the last head, in this place and unhidden.
    pub(super) fn same(&mut self, block: &[u8]) -> usize {
        let until = self.stops.first().copied().unwrap_or(self.lines.len());
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

    /// The next line, which begins with `name`, was not the same. Goes behind the line of that name, if it is one of those to
    /// come; else the line is new, or all that follows is.
    pub(super) fn pass(&mut self, name: &[u8]) {
        let mut at = self.at;
        while at < self.lines.len() {
            let line = &self.lines[at..];
            at += memchr(b'\n', line).map_or(line.len(), |end| end + 1);
            if line.starts_with(name) && line.get(name.len()) == Some(&b':') {
                self.at = at;
                while self.stops.first().is_some_and(|start| *start < at) {
                    self.stops = &self.stops[1..];
                }
                return;
            }
        }
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
