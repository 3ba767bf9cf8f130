//! Cuts a text where lines end and where NUL bytes begin and end, in bounded memory.
//!
//! NUL bytes cannot stand in a line of JSON. A run of them is the hole that a crash leaves when a file's length reached
//! the disk and its blocks did not; on a sparse file it can be far longer than the data. So runs are counted, not kept.

use memchr::memchr2;
use std::io::{self, BufRead, ErrorKind};

/// 1 GiB: four times the largest body that the recorder decodes by default, so that no record of its making is too long.
pub const DEFAULT_MAX_LINE_BYTES: usize = 1024 * 1024 * 1024;

/// A buffer that has grown for one huge line is given back for the next.
const KEPT: usize = 4 * 1024 * 1024;

/// What a reader may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a line that are kept in memory. A longer line is not looked into.
    pub max_line_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_line_bytes: DEFAULT_MAX_LINE_BYTES }
    }
}

/// What ended a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// A line feed, which counts to the piece's length and is not in its bytes.
    LineFeed,
    /// NUL bytes follow.
    Nuls,
    /// The file's end.
    File,
    /// The limit: the line goes on in the next piece.
    Limit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// [`Pieces::bytes`].
    Text(End),
    /// That many NUL bytes.
    Nuls(u64),
}

/// A part of a line; mostly all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// From 1.
    pub(crate) line: u64,
    /// Of its first byte.
    pub(crate) offset: u64,
    /// It is the first of its line.
    pub(crate) starts_line: bool,
    /// The piece before it was ended by the limit.
    pub(crate) continues: bool,
    pub(crate) kind: Kind,
}

/// The pieces of a text. They tile it: each begins where the one before it has ended.
pub(crate) struct Pieces<R> {
    text: R,
    limits: Limits,
    /// The current text piece. Never longer than the limit.
    buffer: Vec<u8>,
    line: u64,
    offset: u64,
    starts_line: bool,
    continues: bool,
}

impl<R: BufRead> Pieces<R> {
    pub(crate) fn new(text: R, limits: Limits) -> Self {
        let limits = Limits { max_line_bytes: limits.max_line_bytes.max(1) };
        Self { text, limits, buffer: Vec::new(), line: 1, offset: 0, starts_line: true, continues: false }
    }

    /// The bytes of the text piece that was returned last.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    pub(crate) fn text(&self) -> &R {
        &self.text
    }

    /// The next piece; `None` at the end. No piece is empty but a text ended by a line feed.
    pub(crate) fn next(&mut self) -> io::Result<Option<Piece>> {
        self.buffer.clear();
        self.buffer.shrink_to(KEPT);
        let kind = match self.read_nuls()? {
            0 => match self.read_text()? {
                Some(end) => Kind::Text(end),
                None => return Ok(None),
            },
            count => Kind::Nuls(count),
        };
        let piece = Piece {
            line: self.line,
            offset: self.offset,
            starts_line: self.starts_line,
            continues: self.continues,
            kind,
        };
        let line_ends = kind == Kind::Text(End::LineFeed);
        self.offset += match kind {
            Kind::Nuls(count) => count,
            Kind::Text(_) => self.buffer.len() as u64 + u64::from(line_ends),
        };
        self.line += u64::from(line_ends);
        self.starts_line = line_ends;
        self.continues = kind == Kind::Text(End::Limit);
        Ok(Some(piece))
    }

    fn read_nuls(&mut self) -> io::Result<u64> {
        let mut count = 0;
        loop {
            let bytes = fill(&mut self.text)?;
            let run = leading_nuls(bytes);
            let ends = run < bytes.len() || bytes.is_empty();
            self.text.consume(run);
            count += run as u64;
            if ends {
                return Ok(count);
            }
        }
    }

    fn read_text(&mut self) -> io::Result<Option<End>> {
        loop {
            let bytes = fill(&mut self.text)?;
            let Some(first) = bytes.first() else {
                return Ok((!self.buffer.is_empty()).then_some(End::File));
            };
            let room = self.limits.max_line_bytes - self.buffer.len();
            if room == 0 && *first != b'\n' && *first != 0 {
                return Ok(Some(End::Limit));
            }
            let bytes = &bytes[..bytes.len().min(room.max(1))];
            let end = memchr2(b'\n', 0, bytes);
            let text = &bytes[..end.unwrap_or(bytes.len())];
            grow(&mut self.buffer, text.len(), self.limits.max_line_bytes);
            self.buffer.extend_from_slice(text);
            let used = text.len();
            let end = end.map(|at| if bytes[at] == b'\n' { End::LineFeed } else { End::Nuls });
            self.text.consume(used + usize::from(end == Some(End::LineFeed)));
            if end.is_some() {
                return Ok(end);
            }
        }
    }
}

fn fill(text: &mut impl BufRead) -> io::Result<&[u8]> {
    loop {
        match text.fill_buf() {
            Ok(_) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    // What is buffered is not read again.
    text.fill_buf()
}

/// Doubles like a `Vec`, but not past the limit.
fn grow(buffer: &mut Vec<u8>, more: usize, limit: usize) {
    let needed = buffer.len() + more;
    if needed > buffer.capacity() {
        let capacity = needed.max(buffer.capacity() * 2).min(limit.max(needed));
        buffer.reserve_exact(capacity - buffer.len());
    }
}

/// A word at a time: holes are read at the speed of memory.
fn leading_nuls(bytes: &[u8]) -> usize {
    let (words, _) = bytes.as_chunks::<32>();
    let whole = words.iter().take_while(|word| **word == [0; 32]).count() * 32;
    whole + bytes[whole..].iter().take_while(|byte| **byte == 0).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::BufReader;

    fn all(text: &[u8], max_line_bytes: usize, buffer: usize) -> Vec<(Piece, Vec<u8>)> {
        let mut pieces = Pieces::new(BufReader::with_capacity(buffer, text), Limits { max_line_bytes });
        let mut found = Vec::new();
        while let Some(piece) = pieces.next().unwrap() {
            assert!(pieces.buffer.capacity() <= max_line_bytes.max(1) * 2);
            found.push((piece, pieces.bytes().to_vec()));
        }
        found
    }

    fn put_together(pieces: &[(Piece, Vec<u8>)]) -> Vec<u8> {
        let mut text = Vec::new();
        for (piece, bytes) in pieces {
            assert_eq!(piece.offset, text.len() as u64);
            assert_eq!(piece.line, 1 + text.iter().filter(|byte| **byte == b'\n').count() as u64);
            assert_eq!(piece.starts_line, text.last().is_none_or(|byte| *byte == b'\n'));
            text.extend_from_slice(bytes);
            match piece.kind {
                Kind::Nuls(count) => text.resize(text.len() + count as usize, 0),
                Kind::Text(End::LineFeed) => text.push(b'\n'),
                Kind::Text(_) => assert!(!bytes.is_empty()),
            }
        }
        text
    }

    fn kinds(text: &[u8], max: usize) -> Vec<Kind> {
        all(text, max, 64).into_iter().map(|(piece, _)| piece.kind).collect()
    }

    #[test]
    fn lines_end_where_they_should() {
        use End::*;
        assert_eq!(kinds(b"", 9), []);
        assert_eq!(kinds(b"a\n\nb", 9), [Kind::Text(LineFeed), Kind::Text(LineFeed), Kind::Text(File)]);
        assert_eq!(
            kinds(b"a\0\0b\n\0", 9),
            [Kind::Text(Nuls), Kind::Nuls(2), Kind::Text(LineFeed), Kind::Nuls(1)]
        );
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_whole() {
        use End::*;
        assert_eq!(kinds(b"abc\n", 3), [Kind::Text(LineFeed)]);
        assert_eq!(kinds(b"abcd\n", 3), [Kind::Text(Limit), Kind::Text(LineFeed)]);
        assert_eq!(kinds(b"abc\0", 3), [Kind::Text(Nuls), Kind::Nuls(1)]);
        assert_eq!(kinds(b"abc", 3), [Kind::Text(File)]);
    }

    fn texts() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(&b"ab\n\0"[..]), 0..200)
    }

    proptest! {
        #[test]
        fn pieces_tile_the_text_wherever_it_is_split(text in texts(), max in 1usize..20, buffer in 1usize..50) {
            let pieces = all(&text, max, buffer);
            prop_assert_eq!(put_together(&pieces), text.clone());
            prop_assert_eq!(pieces, all(&text, max, 4096));
        }

        #[test]
        fn runs_of_nuls_are_measured_right(count in 0usize..200, after in prop::collection::vec(any::<u8>(), 0..50)) {
            let mut bytes = vec![0; count];
            bytes.push(1);
            bytes.extend(after);
            prop_assert_eq!(leading_nuls(&bytes), count);
        }
    }
}
