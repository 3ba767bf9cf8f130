//! Lines of a stream that comes in any pieces.

use memchr::memchr;

/// What a piece of the stream holds, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A whole line, without its line feed. What [`Piece::Part`] gave of it is in it.
    Line(&'a [u8]),
    /// More of a line that has not ended yet, or is too long for [`Piece::Line`].
    Part(&'a [u8]),
    /// The line that was too long has ended: its parts were all of it.
    End,
}

/// Cuts a stream into lines, and keeps one that is not whole: up to a limit, past which its parts are all there is of it.
#[derive(Debug)]
pub struct Lines {
    /// What has come of a line; empty if its parts are too many.
    held: Vec<u8>,
    is_too_long: bool,
    max: usize,
}

/// What stays allocated between lines.
const KEPT: usize = 1 << 20;

impl Lines {
    /// Lines of up to `max` bytes.
    pub fn new(max: usize) -> Self {
        Self { held: Vec::new(), is_too_long: false, max }
    }

    /// Takes the next bytes of the stream.
    pub fn push(&mut self, mut bytes: &[u8], mut see: impl FnMut(Piece<'_>)) {
        while let Some(end) = memchr(b'\n', bytes) {
            let line = &bytes[..end];
            bytes = &bytes[end + 1..];
            if self.is_too_long || self.held.len() + line.len() > self.max {
                see(Piece::Part(line));
                see(Piece::End);
            } else if self.held.is_empty() {
                see(Piece::Line(line));
            } else {
                self.held.extend_from_slice(line);
                see(Piece::Line(&self.held));
            }
            self.begin();
        }
        if bytes.is_empty() {
            return;
        }
        see(Piece::Part(bytes));
        if self.held.len() + bytes.len() > self.max {
            self.is_too_long = true;
            self.held = Vec::new();
        } else if !self.is_too_long {
            self.held.extend_from_slice(bytes);
        }
    }

    fn begin(&mut self) {
        self.is_too_long = false;
        self.held.clear();
        self.held.shrink_to(KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Lines, and those that were too long with their parts joined.
    fn read(max: usize, pieces: &[&[u8]]) -> (Vec<(bool, Vec<u8>)>, Vec<u8>) {
        let (mut lines, mut whole, mut parts) = (Lines::new(max), Vec::new(), Vec::new());
        for piece in pieces {
            lines.push(piece, |piece| match piece {
                Piece::Line(line) => {
                    assert!(line.starts_with(&parts), "the parts of a line are its beginning");
                    parts.clear();
                    whole.push((true, line.to_vec()));
                }
                Piece::Part(part) => parts.extend_from_slice(part),
                Piece::End => whole.push((false, std::mem::take(&mut parts))),
            });
            assert!(lines.held.len() <= max);
        }
        (whole, parts)
    }

    proptest! {
        #[test]
        fn no_split_changes_a_line(
            stream in prop::collection::vec(prop_oneof![3 => any::<u8>(), 1 => Just(b'\n')], 0..80),
            mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            max in 0_usize..20,
        ) {
            cuts.sort_by_key(|cut| cut.index(stream.len() + 1));
            let (mut pieces, mut from) = (Vec::new(), 0);
            for cut in &cuts {
                let to = cut.index(stream.len() + 1);
                pieces.push(&stream[from..to]);
                from = to;
            }
            pieces.push(&stream[from..]);
            let (lines, rest) = read(max, &pieces);
            let mut naive: Vec<_> = stream.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            prop_assert_eq!(rest, naive.pop().unwrap());
            let naive: Vec<_> = naive.into_iter().map(|line| (line.len() <= max, line)).collect();
            prop_assert_eq!(lines, naive);
        }
    }
}
