//! What the decoders read from, and what surrounds them.

use std::cell::Cell;
use std::io::{self, BufRead, ErrorKind, Read};

/// Pieces of a body as one stream. Never fails.
pub(super) struct Slices<'a> {
    /// What is left of the current piece.
    current: &'a [u8],
    rest: &'a [&'a [u8]],
    /// How many pieces have been begun.
    begun: &'a Cell<usize>,
}

impl<'a> Slices<'a> {
    pub(super) fn new(pieces: &'a [&'a [u8]], begun: &'a Cell<usize>) -> Self {
        Self { current: b"", rest: pieces, begun }
    }
}

impl BufRead for Slices<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.current.is_empty() {
            let Some((next, rest)) = self.rest.split_first() else { break };
            self.current = next;
            self.rest = rest;
            self.begun.set(self.begun.get() + 1);
        }
        Ok(self.current)
    }

    fn consume(&mut self, amount: usize) {
        self.current = &self.current[amount..];
    }
}

impl Read for Slices<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(into)?;
        self.consume(amount);
        Ok(amount)
    }
}

/// A decoder whose input may end early: that is an end here, and noted. An outer decoder then still gives what it holds,
/// where an error from below would make it drop that.
pub(super) struct CutIsEnd<'a, R> {
    decoder: R,
    cut: &'a Cell<bool>,
}

impl<'a, R> CutIsEnd<'a, R> {
    pub(super) fn new(decoder: R, cut: &'a Cell<bool>) -> Self {
        Self { decoder, cut }
    }
}

impl<R: Read> Read for CutIsEnd<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.decoder.read(into) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                self.cut.set(true);
                Ok(0)
            }
            result => result,
        }
    }
}

/// A decoder that would leave what follows its stream unread: bytes that would be lost without a word.
pub(super) struct NothingAfter<D, R> {
    decoder: D,
    source: fn(&mut D) -> &mut R,
}

impl<D, R> NothingAfter<D, R> {
    pub(super) fn new(decoder: D, source: fn(&mut D) -> &mut R) -> Self {
        Self { decoder, source }
    }
}

impl<D: Read, R: BufRead> Read for NothingAfter<D, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let amount = self.decoder.read(into)?;
        if amount == 0 && !into.is_empty() && !(self.source)(&mut self.decoder).fill_buf()?.is_empty() {
            return Err(io::Error::new(ErrorKind::InvalidData, "bytes after the end of the stream"));
        }
        Ok(amount)
    }
}
