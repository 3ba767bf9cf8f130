//! What can be wrong with a log.

use serde::Serialize;
use std::fmt::Write;

/// The kinds of problems. Their names in JSON are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A run of NUL bytes: a hole that a crash has left.
    NulBytes,
    /// A line breaks off in the middle.
    CutOff,
    /// A line is not UTF-8.
    NotUtf8,
    /// A line is not JSON.
    NotJson,
    /// A line is JSON, but no record.
    NotARecord,
    /// A line is longer than the limit, and was not looked into.
    TooLong,
    /// No line feed follows a whole record.
    NoLineFeed,
    /// The packing (gzip, zstd) ends early or is corrupt.
    BrokenPacking,
    /// Another record has the same id.
    DuplicateId,
    /// The record is of a newer format, and its trace was not looked into.
    NewerVersion,
    /// `trace` lacks a key or has one of the wrong type.
    BadTrace,
    /// `trace.chunks` does not add up.
    BadChunks,
    /// A body is not there, is there twice, or has another length than the trace says.
    BadBody,
    /// What is marked as base64 is not.
    BadBase64,
}

impl Kind {
    /// Whether bytes are damaged, which a repair cuts out. The other kinds concern whole records, which it keeps.
    pub fn is_damage(self) -> bool {
        use Kind::*;
        matches!(self, NulBytes | CutOff | NotUtf8 | NotJson | NotARecord | TooLong)
    }
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The line, from 1. In a packed log, lines and offsets are those of the text.
    pub line: u64,
    /// Where the bytes begin, from 0.
    pub offset: u64,
    /// How many they are, a line feed that ends them included.
    pub length: u64,
    /// What kind of problem.
    pub kind: Kind,
    /// In words.
    pub message: String,
}

/// What is wrong with some bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) kind: Kind,
    pub(crate) message: String,
}

impl Flaw {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// Longest excerpt of a log in a message: a log holds what is nobody's business, and lines of a gigabyte.
const EXCERPT: usize = 80;

/// `text` for a message: short, and without anything that a terminal would obey.
pub(crate) fn excerpt(text: &str) -> String {
    let mut out = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == EXCERPT {
            out.push('…');
            break;
        }
        if character.is_control() {
            let _ = write!(out, "{}", character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}
