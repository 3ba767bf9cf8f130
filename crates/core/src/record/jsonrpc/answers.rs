//! The answers to the requests of one body, wherever they come: alone, in a batch, as JSON or as events of a stream.
//!
//! **Bounded.** [`MAX_ASKED`] requests of a batch are looked for, [`MAX_ERRORS`] errors are told, and what a stream has not answered is
//! kept for those who resume it up to [`MAX_KEPT`] requests of [`MAX_KEPT_BYTES`] together.

use super::super::Message as Half;
use super::super::json::{self, Object};
use crate::exchange::{Unanswered, Waiting};
use crate::jsonrpc::{self, Id, Kind, Message};
use crate::sse;
use std::collections::HashMap;

pub(super) const MAX_ASKED: usize = 10_000;
pub(super) const MAX_ERRORS: usize = 100;
pub(super) const MAX_KEPT: usize = 64;
pub(super) const MAX_KEPT_BYTES: usize = 4096;
/// A method or an id that is longer is not kept.
const MAX_NAME: usize = 256;

/// What is known of the answers to the requests of one body.
#[derive(Default)]
pub(super) struct Answers {
    /// Requests that are not answered yet. Of two with the same id the first.
    waiting: HashMap<Id, Waiting>,
    /// How many elements the batch has that they stand in.
    batch: Option<usize>,
    has_asked: bool,
    answered: u64,
    /// Where the first of the answers is in a stream.
    event: Option<u64>,
    errors: Vec<Error>,
    /// Those for which there is no room.
    more_errors: u64,
}

/// An answer that is an error.
struct Error {
    event: Option<u64>,
    /// What it answers, if that is known.
    to: Option<Waiting>,
    /// As it is spelled.
    code: String,
    message: String,
}

impl Answers {
    /// To a request by itself.
    pub fn to(message: &Message) -> Self {
        let mut answers = Self::default();
        answers.ask(message, 0);
        answers
    }

    /// To those of a batch.
    pub fn to_batch(elements: &[&[u8]]) -> Self {
        let mut answers = Self { batch: Some(elements.len()), ..Self::default() };
        for (index, element) in elements.iter().enumerate() {
            if let Some(message) = Message::parse(element) {
                answers.ask(&message, index);
            }
            if answers.waiting.len() == MAX_ASKED {
                break;
            }
        }
        answers
    }

    /// To those that an earlier stream has not answered.
    pub fn to_rest(unanswered: &Unanswered) -> Self {
        let mut answers = Self { batch: unanswered.batch, ..Self::default() };
        for waiting in &unanswered.requests {
            answers.wait(waiting.clone());
        }
        answers
    }

    fn ask(&mut self, message: &Message, element: usize) {
        if let (Kind::Request, Some(id)) = (message.kind, message.id) {
            let method = message.method.as_deref().unwrap_or_default().to_owned();
            self.wait(Waiting { element, method, id: id.to_owned() });
        }
    }

    fn wait(&mut self, waiting: Waiting) {
        if let Some(id) = Id::parse(&waiting.id) {
            self.has_asked = true;
            self.waiting.entry(id).or_insert(waiting);
        }
    }

    /// Whether there is one to look for.
    pub fn wants_any(&self) -> bool {
        self.has_asked
    }

    /// Reads a whole answer of JSON.
    pub fn read(&mut self, response: &Half) {
        response.body.with_joined(|text| self.take_all(text, None));
    }

    /// Reads a stream of events, up to the last answer.
    pub fn read_stream(&mut self, response: &Half) {
        let (mut parser, mut number) = (sse::Parser::default(), 0);
        response.body.with_pieces(|pieces| {
            for piece in pieces {
                if self.waiting.is_empty() {
                    break;
                }
                parser.push(piece, |event| {
                    if matches!(event.kind, b"" | b"message") && !self.waiting.is_empty() {
                        self.take_all(event.data, Some(number));
                    }
                    number += 1;
                });
            }
        });
    }

    fn take_all(&mut self, text: &[u8], event: Option<u64>) {
        if !jsonrpc::is_likely(text) {
            return;
        }
        match Message::parse(text) {
            Some(message) => self.take(&message, event, event.is_none()),
            None => {
                for element in jsonrpc::batch(text).unwrap_or_default() {
                    if let Some(message) = Message::parse(element) {
                        self.take(&message, event, event.is_none() && self.batch.is_some());
                    }
                }
            }
        }
    }

    /// `is_ours`: it can be no answer to others.
    fn take(&mut self, message: &Message, event: Option<u64>, is_ours: bool) {
        if message.kind != Kind::Response {
            return;
        }
        let id = message.id.and_then(Id::parse);
        let to = match &id {
            // An error without an id answers what could not be read: that is a request by itself, if there is one.
            None if self.batch.is_none() => self.waiting.drain().next().map(|(_, waiting)| waiting),
            None => None,
            Some(id) => self.waiting.remove(id),
        };
        // Some servers make an id up for what they have refused whole.
        if to.is_none() && id.is_some() && !is_ours {
            return;
        }
        self.answered += u64::from(to.is_some());
        self.event = self.event.or(event);
        if let Some((code, message)) = message.error() {
            if self.errors.len() < MAX_ERRORS {
                self.errors.push(Error { event, to, code: code.to_owned(), message: message.into_owned() });
            } else {
                self.more_errors += 1;
            }
        }
    }

    /// Adds what is known of them.
    pub fn write(&self, out: &mut Object) {
        let Some(_) = self.batch else {
            if let Some(event) = self.event {
                json::integer(event, out.member("answer_event"));
            }
            return self.write_first(out);
        };
        json::integer(self.answered, out.member("answered"));
        self.write_first(out);
        if self.errors.is_empty() {
            return;
        }
        let list = out.member("errors");
        for (index, error) in self.errors.iter().enumerate() {
            list.push(if index == 0 { b'[' } else { b',' });
            error.write(list);
        }
        list.push(b']');
        if self.more_errors > 0 {
            json::integer(self.more_errors, out.member("more_errors"));
        }
    }

    fn write_first(&self, out: &mut Object) {
        if let Some(error) = self.errors.first() {
            let mut first = Object::begin(out.member("error"));
            error.write_words(&mut first);
            first.end();
        }
    }

    /// What has not been answered, as far as it is kept.
    pub fn rest(self) -> Option<Unanswered> {
        let is_kept = |waiting: &Waiting| waiting.method.len().max(waiting.id.len()) <= MAX_NAME;
        let mut requests: Vec<_> = self.waiting.into_values().filter(is_kept).collect();
        requests.sort_by_key(|waiting| waiting.element);
        let mut room = MAX_KEPT_BYTES;
        let fits = requests.iter().take(MAX_KEPT).take_while(|waiting| {
            let length = waiting.method.len() + waiting.id.len();
            let fits = length <= room;
            room = room.saturating_sub(length);
            fits
        });
        let kept = fits.count();
        requests.truncate(kept);
        (!requests.is_empty()).then_some(Unanswered { requests, batch: self.batch })
    }
}

impl Error {
    fn write(&self, out: &mut Vec<u8>) {
        let mut error = Object::begin(out);
        if let Some(Waiting { element, method, id }) = &self.to {
            json::integer(*element as u64, error.member("element"));
            json::string(method.as_bytes(), error.member("method"));
            error.member("id").extend_from_slice(id.as_bytes());
        }
        if let Some(event) = self.event {
            json::integer(event, error.member("answer_event"));
        }
        self.write_words(&mut error);
        error.end();
    }

    fn write_words(&self, error: &mut Object) {
        error.member("code").extend_from_slice(self.code.as_bytes());
        json::string(self.message.as_bytes(), error.member("message"));
    }
}
