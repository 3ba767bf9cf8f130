//! What rules make of a message. Only a relay that was given some comes here.
//!
//! **Whole messages pass.** A line is kept back until it is whole; one that is longer than [`super::MAX_LINE`], and one that is no
//! message, passes as it came. A line of which nothing is changed passes byte for byte. An element of a batch is a message
//! like others: of one that is touched the rest is a batch anew.
//!
//! **In order.** A message that waits has those behind it wait: both sides may rely on the order of a stream.
//!
//! **Who asks is answered.** A request that is blocked gets an error as its answer, which goes back to the side that asked between
//! two lines of the other; the other side hears nothing. A notification that is blocked is left out.

use super::BLOCKED;
use super::told::Told;
use claude_trace_core::interceptor::live::{Fate, Live};
use claude_trace_core::interceptor::{Call, Instead, Registry};
use claude_trace_core::jsonrpc::{self, Kind, Message};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// What an answer's head would be.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";

/// The rules of a relay, and what they have made of the lines that one side has said.
pub struct Ruled {
    registry: Arc<Registry>,
    /// The part of a line that has not ended.
    held: Vec<u8>,
    /// The line in hand is too long to be kept.
    is_too_long: bool,
    /// The messages of the line in hand that go on, and whether that is not what came.
    going: Vec<Vec<u8>>,
    is_touched: bool,
    next: Step,
    steps: Vec<Step>,
}

/// What is to be done next with what one side has said.
#[derive(Default)]
pub struct Step {
    /// Before anything else.
    pub wait: Duration,
    /// Goes on to the other side.
    pub on: Vec<u8>,
    /// Goes back to the side that said it.
    pub back: Vec<u8>,
    /// Is over when that is done.
    pub told: Vec<Told>,
}

/// What becomes of a message that asks for something or tells it.
pub enum Ruling<'m> {
    /// It goes on so.
    On(Cow<'m, [u8]>),
    /// It does not; the error that answers it, if it wants an answer.
    Blocked(Option<Vec<u8>>),
}

impl Ruled {
    pub fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            held: Vec::new(),
            is_too_long: false,
            going: Vec::new(),
            is_touched: false,
            next: Step::default(),
            steps: Vec::new(),
        }
    }

    /// A part of a line.
    pub fn part(&mut self, bytes: &[u8], max: usize) {
        self.held.extend_from_slice(bytes);
        self.is_too_long |= self.held.len() > max;
        if self.is_too_long {
            let held = self.rest();
            self.step(held, Vec::new());
        }
    }

    /// What is kept back.
    pub fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// A line is whole, and its messages have been ruled. `told`: what is over when it has been passed on.
    pub fn end_of_line(&mut self, line: &[u8], is_batch: bool, told: Vec<Told>) {
        self.held.clear();
        self.is_too_long = false;
        let going = std::mem::take(&mut self.going);
        let on = match (std::mem::take(&mut self.is_touched), &going[..]) {
            (false, _) => [line, b"\n"].concat(),
            (true, []) => Vec::new(),
            (true, _) if is_batch => [&b"["[..], &going.join(&b','), b"]\n"].concat(),
            (true, _) => [&going.join(&b'\n')[..], b"\n"].concat(),
        };
        self.step(on, told);
    }

    fn step(&mut self, on: Vec<u8>, told: Vec<Told>) {
        let next = std::mem::take(&mut self.next);
        self.steps.push(Step { on, told, ..next });
    }

    /// What is to be done, in order.
    pub fn take_steps(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.steps)
    }

    /// A message goes on as it came.
    pub fn keep(&mut self, text: &[u8]) {
        self.going.push(text.to_vec());
    }

    /// A request or a notification: what becomes of it, and who is on its way.
    pub fn ask<'m>(
        &mut self,
        origin: &str,
        text: &'m [u8],
        message: &Message<'_>,
        at: u64,
    ) -> (Ruling<'m>, Option<Live>) {
        let method = message.method.as_deref().unwrap_or_default();
        let (tool, url) = (message.tool(), format!("{origin}/{method}"));
        let call = Call { method, tool: tool.as_deref() };
        let Some(mut live) = Live::of_call(&self.registry, b"POST", url.as_bytes(), call) else {
            self.keep(text);
            return (Ruling::On(Cow::Borrowed(text)), None);
        };
        let plan = live.request(format!("POST {url}\r\ncontent-type: application/json\r\n").as_bytes());
        self.wait(plan.wait);
        if let Some(instead) = plan.instead {
            self.is_touched = true;
            let answer = message.id.filter(|_| message.kind == Kind::Request).map(|id| error(id, &instead));
            if let Some(answer) = &answer {
                self.next.back.extend_from_slice(answer);
                self.next.back.push(b'\n');
            }
            return (Ruling::Blocked(answer), Some(live));
        }
        let mut now = Cow::Borrowed(text);
        if let Some(other) = live.body(true, &now) {
            now = Cow::Owned(in_a_line(other));
        }
        if message.kind == Kind::Notification {
            let (fate, wait) = live.message(method.as_bytes(), &now, at);
            self.wait(wait);
            match fate {
                Fate::Keep => {}
                Fate::Replace(other) => now = Cow::Owned(in_a_line(other)),
                Fate::Drop => {
                    self.is_touched = true;
                    return (Ruling::Blocked(None), Some(live));
                }
            }
        }
        match &now {
            Cow::Borrowed(text) => self.keep(text),
            Cow::Owned(text) => self.change_to(text),
        }
        (Ruling::On(now), Some(live))
    }

    /// The answer to a request that those are on the way of.
    pub fn answer(&mut self, text: &[u8], live: &mut Live) {
        let plan = live.response(ANSWER);
        self.wait(plan.wait);
        match live.body(false, text) {
            Some(other) => self.change_to(&in_a_line(other)),
            None => self.keep(text),
        }
    }

    fn change_to(&mut self, text: &[u8]) {
        self.is_touched = true;
        self.keep(text);
    }

    fn wait(&mut self, wait: Duration) {
        self.next.wait = self.next.wait.saturating_add(wait);
    }
}

/// A line feed is white space to JSON, and would end the line.
fn in_a_line(mut text: Vec<u8>) -> Vec<u8> {
    text.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
    text
}

fn error(id: &str, instead: &Instead) -> Vec<u8> {
    let words = match instead {
        Instead::Refuse(words) => Cow::Borrowed(words.as_str()),
        Instead::Answer(reply) => reply.words(),
        Instead::Abort => Cow::Borrowed("blocked by a rule"),
    };
    jsonrpc::error(id, BLOCKED, &words)
}
