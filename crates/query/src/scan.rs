//! A log as a row of items: whole records, blank lines, and damaged bytes with what is wrong with them.

use crate::pieces::{End, Kind as PieceKind, Limits, Piece, Pieces};
use crate::problem::{Flaw, Kind};
use crate::record::Record;
use crate::salvage;
use std::collections::VecDeque;
use std::io::{self, BufRead};
use std::ops::Range;

/// Where an item stands. The items of a log tile it: each begins where the one before it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: u64,
    /// Of the first byte, from 0.
    pub offset: u64,
    /// How many bytes, a line feed that ends them included.
    pub length: u64,
}

/// A part of a log.
#[derive(Debug)]
pub struct Item<'a> {
    /// Where it stands.
    pub place: Place,
    /// Its bytes, without the line feed that ends them.
    pub bytes: Bytes<'a>,
    /// Whether a line feed follows the bytes.
    pub line_feed: bool,
    /// What it is.
    pub what: What,
}

/// Bytes of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bytes<'a> {
    /// As they stand there.
    Text(&'a [u8]),
    /// That many NUL bytes.
    Nuls(u64),
}

/// What a part of a log is.
#[derive(Debug)]
pub enum What {
    /// A whole record.
    Record {
        /// What it says.
        record: Box<Record>,
        /// Another record follows it, or the file's end, where a line feed should be.
        lacks_line_feed: bool,
    },
    /// Nothing but white space.
    Blank,
    /// Not a whole record, or not all of one.
    Damage {
        /// What kind of damage.
        kind: Kind,
        /// In words.
        message: String,
        /// It is the same damage as in the item before it, which was too long for one.
        goes_on: bool,
    },
}

/// Reads the items of a log.
pub struct Scanner<R> {
    pieces: Pieces<R>,
    piece: Option<Piece>,
    /// What is left of the piece.
    parts: VecDeque<Part>,
    /// The item before this one was damage, and on this line.
    after_damage: bool,
}

/// A part of the text of a piece.
struct Part {
    range: Range<usize>,
    what: What,
}

impl<R: BufRead> Scanner<R> {
    /// A scanner at the start of `text`.
    pub fn new(text: R, limits: Limits) -> Self {
        Self { pieces: Pieces::new(text, limits), piece: None, parts: VecDeque::new(), after_damage: false }
    }

    /// What it reads from.
    pub fn text(&self) -> &R {
        self.pieces.text()
    }

    /// The next item; `None` at the end.
    pub fn next_item(&mut self) -> io::Result<Option<Item<'_>>> {
        while self.parts.is_empty() {
            let Some(piece) = self.pieces.next()? else { return Ok(None) };
            self.piece = Some(piece);
            if piece.starts_line {
                self.after_damage = false;
            }
            match piece.kind {
                PieceKind::Nuls(count) => {
                    self.after_damage = true;
                    return Ok(Some(nuls(piece, count)));
                }
                PieceKind::Text(end) => self.take_apart(piece, end),
            }
        }
        Ok(self.parts.pop_front().zip(self.piece).map(|(part, piece)| self.item(piece, part)))
    }

    fn item(&self, piece: Piece, Part { range, what }: Part) -> Item<'_> {
        let line_feed = self.parts.is_empty() && piece.kind == PieceKind::Text(End::LineFeed);
        let place = Place {
            line: piece.line,
            offset: piece.offset + range.start as u64,
            length: range.len() as u64 + u64::from(line_feed),
        };
        Item { place, bytes: Bytes::Text(&self.pieces.bytes()[range]), line_feed, what }
    }

    /// Sorts the text of a piece into `parts`: at least one.
    fn take_apart(&mut self, piece: Piece, end: End) {
        let bytes = self.pieces.bytes();
        let what = if end == End::Limit || piece.continues {
            let message = "longer than the limit for a line, and not looked into".into();
            What::Damage { kind: Kind::TooLong, message, goes_on: piece.continues }
        } else if !bytes.trim_ascii().is_empty() {
            match Record::read(bytes) {
                Ok(record) => record_of(record, end == End::File),
                Err(flaw) => return salvage_parts(bytes, end, cut_by(end, flaw), &mut self.parts),
            }
        } else if self.after_damage || end == End::Nuls {
            // What is left of a line beside a hole belongs to the hole.
            let message = "white space before NUL bytes".into();
            What::Damage { kind: Kind::NulBytes, message, goes_on: self.after_damage }
        } else {
            What::Blank
        };
        self.parts.push_back(Part { range: 0..bytes.len(), what });
    }
}

/// Sorts a text that is no whole record into records and damage.
fn salvage_parts(bytes: &[u8], end: End, flaw: Flaw, parts: &mut VecDeque<Part>) {
    let mut records = salvage::whole_records(bytes).into_iter().peekable();
    if records.peek().is_none() {
        parts.push_back(Part { range: 0..bytes.len(), what: damage(flaw) });
        return;
    }
    let mut at = 0;
    while let Some((range, record)) = records.next() {
        if at < range.start {
            parts.push_back(Part {
                what: damage(beside_records(&bytes[at..range.start])),
                range: at..range.start,
            });
        }
        at = range.end;
        let another_follows = records.peek().is_some_and(|(next, _)| next.start == at);
        let ends_the_file = at == bytes.len() && end == End::File;
        parts.push_back(Part { range, what: record_of(record, another_follows || ends_the_file) });
    }
    if at < bytes.len() {
        parts.push_back(Part { what: damage(beside_records(&bytes[at..])), range: at..bytes.len() });
    }
}

fn record_of(record: Record, lacks_line_feed: bool) -> What {
    What::Record { record: Box::new(record), lacks_line_feed }
}

fn damage(Flaw { kind, message }: Flaw) -> What {
    What::Damage { kind, message, goes_on: false }
}

fn nuls(piece: Piece, count: u64) -> Item<'static> {
    // A block is the least that a crash leaves out; a byte or two were hit some other way.
    let message = match count {
        1 => "a NUL byte".into(),
        2..512 => format!("{count} NUL bytes"),
        _ => format!("{count} NUL bytes: a hole that a crash has left"),
    };
    Item {
        place: Place { line: piece.line, offset: piece.offset, length: count },
        bytes: Bytes::Nuls(count),
        line_feed: false,
        what: What::Damage { kind: Kind::NulBytes, message, goes_on: false },
    }
}

/// What is wrong with bytes that share their line with whole records.
fn beside_records(bytes: &[u8]) -> Flaw {
    if bytes.trim_ascii_start().starts_with(b"{") {
        Flaw::new(Kind::CutOff, "cut off, on one line with a whole record")
    } else {
        Flaw::new(Kind::NotJson, "no part of a record, on one line with a whole one")
    }
}

/// A line that a hole or the file's end has cut says so, whatever a parser thinks of it.
fn cut_by(end: End, flaw: Flaw) -> Flaw {
    match (end, flaw.kind) {
        (End::Nuls, _) => Flaw::new(Kind::CutOff, "cut off by NUL bytes"),
        (End::File, Kind::CutOff) => {
            Flaw::new(Kind::CutOff, "torn: the file ends in the middle of this line")
        }
        _ => flaw,
    }
}
