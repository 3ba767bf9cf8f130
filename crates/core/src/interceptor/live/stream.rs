//! A stream of server-sent events on its way through the interceptors.

use super::super::batch::{EventBatch, Left};
use super::{Live, MAX_EVENT_BYTES, MAX_WAIT, block};
use crate::jsonrpc::{self, Id, Kind, Message};
use crate::sse;
use std::time::Duration;

/// Bytes that go on, and how long they wait behind those before them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "that is it")]
pub struct Piece {
    pub wait: Duration,
    pub bytes: Vec<u8>,
}

/// Where a stream stands. Offsets are those of what came.
#[derive(Debug)]
pub struct EventStream {
    parser: sse::Parser,
    /// From `gone` on: what has not gone on yet.
    held: Vec<u8>,
    /// Goes to 0 with each piece of the stream.
    gone: usize,
    /// The offset of `held[gone]`.
    held_at: u64,
    /// Where a block begins that is too large and goes on as it comes.
    passing: Option<u64>,
    /// The last event was left out, and so is a line feed that ends its blank line.
    swallows: bool,
    max_event_bytes: u64,
    /// Requests of JSON-RPC to which answers may come.
    asked: Vec<Id>,
}

impl Default for EventStream {
    fn default() -> Self {
        Self::with_limit(MAX_EVENT_BYTES)
    }
}

impl EventStream {
    /// A stream at its start, of whose events no more than that is held.
    pub fn with_limit(max_event_bytes: u64) -> Self {
        // An event's data lie in its block: what is cut here is too large there.
        let most = usize::try_from(max_event_bytes).unwrap_or(usize::MAX);
        let limits = sse::Limits { max_line_bytes: most, max_data_bytes: most };
        Self {
            parser: sse::Parser::new(limits),
            held: Vec::new(),
            gone: 0,
            held_at: 0,
            passing: None,
            swallows: false,
            max_event_bytes,
            asked: Vec::new(),
        }
    }

    /// The answers to these requests of JSON-RPC are given to those who go by messages.
    pub fn answering(self, asked: Vec<Id>) -> Self {
        Self { asked, ..self }
    }

    /// Bytes came, at that time. What goes on now, in order.
    pub fn push(&mut self, live: &mut Live, bytes: &[u8], at: u64) -> Vec<Piece> {
        self.held.extend_from_slice(bytes);
        let mut batch = EventBatch::default();
        let (mut spans, mut answers) = (Vec::new(), Vec::new());
        let mut passed = 0;
        let (most, asked) = (self.max_event_bytes, &self.asked);
        self.parser.push(bytes, |event| {
            let number = live.next_number();
            if event.end - event.start > most {
                passed += 1;
            } else {
                if is_answer(&event, asked) {
                    answers.push(number);
                }
                batch.add(&event, number, at);
                spans.push((number, event.start, event.end));
            }
        });
        if passed > 0 {
            live.passed(passed);
        }
        let touched = live.events(&mut batch);
        let mut out = vec![Piece::default()];
        for (number, start, end) in spans {
            let left = batch.left(number);
            let wait = left.as_ref().map_or(Duration::ZERO, |left| left.wait.min(MAX_WAIT));
            let answer =
                left.as_ref().filter(|_| answers.contains(&number)).and_then(|left| live.answer(left.data));
            let is_touched = touched.contains(&number) || answer.is_some();
            if wait.is_zero() && !is_touched {
                continue;
            }
            self.pass_to(start, &mut out);
            let length = self.length_to(end);
            let comments = block::comments(&self.held()[..length]);
            self.pass_to(self.held_at + comments as u64, &mut out);
            if !wait.is_zero() {
                out.push(Piece { wait, bytes: Vec::new() });
            }
            let event = &self.held()[..self.length_to(end)];
            let text = match &left {
                None => block::remains(event),
                Some(left) if is_touched => {
                    block::replaced(event, &Left { data: answer.as_deref().unwrap_or(left.data), ..*left })
                }
                Some(_) => event.to_vec(),
            };
            // If its blank line is gone, so is the other half of that line's end.
            self.swallows = event.ends_with(b"\r") && !text.ends_with(b"\r");
            self.give(&text, &mut out);
            self.forget_to(end);
        }
        self.pass_rest(&mut out);
        self.held.drain(..std::mem::take(&mut self.gone));
        out.retain(|piece| !piece.bytes.is_empty());
        out
    }

    fn held(&self) -> &[u8] {
        &self.held[self.gone..]
    }

    /// It is over: what is left of it, which is no event.
    pub fn finish(&mut self) -> Vec<u8> {
        self.held_at += self.held.len() as u64;
        std::mem::take(&mut self.held)
    }

    /// Lets go of what belongs to no event that is still to be completed.
    fn pass_rest(&mut self, out: &mut [Piece]) {
        let came = self.held_at + self.held().len() as u64;
        let open = self.parser.undispatched_bytes();
        let settled = came - open;
        if self.passing.is_some_and(|start| start != settled) {
            self.passing = None;
        }
        self.pass_to(settled, out);
        if open > self.max_event_bytes {
            self.passing = Some(settled);
        }
        if self.passing.is_some() {
            self.pass_to(came, out);
        } else {
            self.pass_to(self.held_at + block::comments(self.held()) as u64, out);
        }
    }

    /// What is held up to there goes on as it came.
    fn pass_to(&mut self, offset: u64, out: &mut [Piece]) {
        let length = self.length_to(offset);
        if length == 0 {
            return;
        }
        let skipped = usize::from(std::mem::take(&mut self.swallows) && self.held()[0] == b'\n');
        if let Some(last) = out.last_mut() {
            last.bytes.extend_from_slice(&self.held[self.gone..][skipped..length]);
        }
        self.forget_to(offset);
    }

    fn give(&self, text: &[u8], out: &mut [Piece]) {
        if let Some(last) = out.last_mut() {
            last.bytes.extend_from_slice(text);
        }
    }

    fn length_to(&self, offset: u64) -> usize {
        usize::try_from(offset.saturating_sub(self.held_at)).unwrap_or(0).min(self.held().len())
    }

    fn forget_to(&mut self, offset: u64) {
        let length = self.length_to(offset);
        self.gone += length;
        self.held_at += length as u64;
    }
}

/// Whether an event is the answer to one of these requests.
fn is_answer(event: &sse::Event<'_>, asked: &[Id]) -> bool {
    !asked.is_empty()
        && matches!(event.kind, b"" | b"message")
        && jsonrpc::is_likely(event.data)
        && Message::parse(event.data).is_some_and(|message| {
            message.kind == Kind::Response
                && message.id.and_then(Id::parse).is_some_and(|id| asked.contains(&id))
        })
}
