//! What an interceptor is, and what its hooks are given.

use super::EventBatch;
use super::heads::HeaderChange;
use crate::head::{Fields, RequestHead, ResponseHead};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

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

    /// A body that is no stream of events is there, whole. On the live path alone.
    fn on_body(&mut self, _body: &mut Body<'_>) -> Result<(), Failed> {
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
    pub request_body: bool,
    pub response_body: bool,
    pub events: bool,
    pub end: bool,
}

impl Hooks {
    /// None of them.
    pub const NONE: Self = Self {
        request: false,
        response: false,
        request_body: false,
        response_body: false,
        events: false,
        end: false,
    };
    /// All that there are for what is recorded.
    pub const ALL: Self = Self { request: true, response: true, events: true, end: true, ..Self::NONE };
    /// Events alone.
    pub const EVENTS: Self = Self { events: true, ..Self::NONE };
    /// The two heads.
    pub const HEADS: Self = Self { request: true, response: true, ..Self::NONE };
}

/// What an interceptor wants beside the verdicts on events.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    Header(HeaderChange),
    Note(Box<RawValue>),
    Discard,
    /// These two on the live path alone.
    Delay(Duration),
    Instead(Instead),
}

/// What a client gets in place of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instead {
    /// An answer that is not the upstream's.
    Answer(Reply),
    /// The error of a JSON-RPC request, with these words.
    Refuse(String),
    /// Nothing: its connection breaks off.
    Abort,
}

/// An answer that is not the upstream's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub status: u16,
    /// Names and values, `content-type` among them; not the length.
    pub headers: Vec<(String, String)>,
    /// What it says.
    pub body: Vec<u8>,
}

impl Reply {
    /// What its body says in words: for a transport that has no answers of that kind.
    pub fn words(&self) -> Cow<'_, str> {
        #[derive(Deserialize)]
        struct Told {
            error: Error,
        }
        #[derive(Deserialize)]
        struct Error {
            message: String,
        }
        match serde_json::from_slice::<Told>(&self.body) {
            Ok(Told { error }) => Cow::Owned(error.message),
            Err(_) => String::from_utf8_lossy(&self.body),
        }
    }
}

/// A whole body: of a request or of a response.
#[derive(Debug)]
pub struct Body<'a> {
    /// Whether it is the request's.
    pub is_request: bool,
    /// As the interceptors before have left it, decoded.
    pub bytes: &'a [u8],
    pub(super) replaced: Option<Vec<u8>>,
}

impl Body<'_> {
    /// Puts another in its place.
    pub fn replace(&mut self, bytes: Vec<u8>) {
        self.replaced = Some(bytes);
    }
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

    /// Lets it wait before it goes on. On the live path alone.
    pub fn delay(&mut self, wait: Duration) {
        self.wishes.push(Wish::Delay(wait));
    }

    /// Keeps a request from its upstream: this is what becomes of it. On the live path alone.
    pub fn answer(&mut self, instead: Instead) {
        self.wishes.push(Wish::Instead(instead));
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
