//! What an interceptor is, and what its hooks are given.

use super::EventBatch;
use super::heads::HeaderChange;
use crate::head::{Fields, RequestHead, ResponseHead};
use serde_json::value::RawValue;
use std::fmt;

/// User code that sees one exchange. Every hook has a default that does nothing; which of them are called at all is
/// said by [`Hooks`] when it is registered.
///
/// An interceptor belongs to one exchange and is called by one thread at a time: it may keep what it wants between the
/// calls. It may take its time, but others wait for it.
pub trait Interceptor: Send {
    /// The request's head is there.
    fn on_request(&mut self, _request: &mut Message<'_>) -> Result<(), Failed> {
        Ok(())
    }

    /// The response's head is there.
    fn on_response(&mut self, _response: &mut Message<'_>) -> Result<(), Failed> {
        Ok(())
    }

    /// Events came.
    fn on_events(&mut self, _batch: &mut EventBatch) -> Result<(), Failed> {
        Ok(())
    }

    /// The exchange is over.
    fn on_end(&mut self, _end: &mut End<'_>) -> Result<(), Failed> {
        Ok(())
    }
}

/// Why an interceptor could not go on, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed(pub String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

/// Which hooks an interceptor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named for the hooks")]
pub struct Hooks {
    pub request: bool,
    pub response: bool,
    pub events: bool,
    pub end: bool,
}

impl Hooks {
    /// All of them.
    pub const ALL: Self = Self { request: true, response: true, events: true, end: true };
    /// Events alone.
    pub const EVENTS: Self = Self { request: false, response: false, events: true, end: false };
    /// The two heads.
    pub const HEADS: Self = Self { request: true, response: true, events: false, end: false };
}

/// What an interceptor wants beside the verdicts on events.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    Header(HeaderChange),
    Note(Box<RawValue>),
    Discard,
}

/// A head: of a request or of a response.
#[derive(Debug)]
pub struct Message<'a> {
    head: &'a [u8],
    pub(super) wishes: Vec<Wish>,
}

impl<'a> Message<'a> {
    pub(super) fn new(head: &'a [u8]) -> Self {
        Self { head, wishes: Vec::new() }
    }

    /// As HTTP/1.1 would write it, credentials redacted, changed by the interceptors before.
    pub fn head(&self) -> &'a [u8] {
        self.head
    }

    /// Read as a request's.
    pub fn as_request(&self) -> RequestHead<'a> {
        RequestHead::parse(self.head)
    }

    /// Read as a response's.
    pub fn as_response(&self) -> ResponseHead<'a> {
        ResponseHead::parse(self.head)
    }

    /// The value under that (lower-case) name, if there is exactly one or the first of several.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let (_line, fields) = crate::head::first_line(self.head);
        Fields::new(fields).find(|field| field.is(name)).map(|field| field.value)
    }

    /// Changes a header of the recorded copy.
    pub fn change(&mut self, change: HeaderChange) {
        self.wishes.push(Wish::Header(change));
    }

    /// Says something of the exchange in its record.
    pub fn annotate(&mut self, note: Box<RawValue>) {
        self.wishes.push(Wish::Note(note));
    }
}

/// How an exchange ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The response arrived whole.
    Complete,
    /// It failed.
    Error {
        /// `ECONNRESET`, …; may be empty.
        code: String,
        /// In words.
        message: String,
    },
    /// It was cut off, for that reason.
    Cut(String),
}

/// The end of an exchange.
#[derive(Debug)]
pub struct End<'a> {
    /// How it ended.
    pub outcome: &'a Outcome,
    /// Events of its stream.
    pub events: u64,
    /// Of these, those that no interceptor was given because there was no room.
    pub passed: u64,
    /// When it began, and when it ended.
    pub times: (u64, u64),
    pub(super) wishes: Vec<Wish>,
}

impl End<'_> {
    /// Says something of the exchange in its record.
    pub fn annotate(&mut self, note: Box<RawValue>) {
        self.wishes.push(Wish::Note(note));
    }

    /// Wants no record of the exchange at all.
    pub fn discard(&mut self) {
        self.wishes.push(Wish::Discard);
    }
}
