//! Interceptors on the path of the bytes: what they say happens to what a client gets, not to a copy of it.
//!
//! ```text
//!  transport ── heads, bodies, pieces of a stream, messages ──► Live ──► what goes on instead, and after what wait
//!                                                                │
//!                                                                └─► mark(): what was done, for the record
//! ```
//!
//! **The same trait**, [`Interceptor`](super::Interceptor), from the same [`Registry`], run where the transport runs. There is no
//! thread, no clock and no socket here: [`Live`] is one exchange, takes bytes and gives bytes. Interceptors behind a
//! mailbox have no part: nobody here waits for another thread.
//!
//! **Nothing for those who do not ask.** [`Live::of`] is `None` for an exchange that no interceptor matches; a transport then does
//! what it does without this module.
//!
//! **An event waits for itself alone.** A batch is what one piece of the stream completes; it is given at once. Held back
//! are the bytes of an event whose end has not come (a client could not read it either), up to [`MAX_EVENT_BYTES`]: larger ones
//! pass as they come, and are counted (`passed`).
//!
//! **What is not touched stays byte for byte** ([`EventStream`]): of an event that is replaced all lines but those of its data, of one
//! that is left out its `id` and `retry`, comments always. The same bytes come out however the stream is cut.
//!
//! **Failures.** A panic or an error of an interceptor takes it out of the exchange, with all that it has said of the head, body or
//! batch in hand; what it had changed before has gone. It is counted, and named in the mark.
//!
//! **Another transport** (a relay of JSON-RPC messages) calls [`Live::message`] for each message and does what it says. One that carries
//! messages in bodies asks [`Registry::asks`] whether somebody goes by them, and [`Live::of_calls`] when it has read them.

mod block;
mod mark;
mod stream;
#[cfg(test)]
mod tests;

pub use mark::Mark;
pub use stream::{EventStream, Piece};

use super::batch::EventBatch;
use super::heads::{HeaderChange, changed_head};
use super::hooks::{Body, Hooks, Instead, Message, Wish};
use super::ledger::Side;
use super::measure::Totals;
use super::registry::{Registry, Watch};
use super::rule::Call;
use super::step::{State, Step};
use crate::sse;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// An event that is larger is not given: its bytes pass as they come.
pub const MAX_EVENT_BYTES: u64 = 16 << 20;
/// Nobody is kept waiting longer, whatever the sum of what interceptors want at one place.
pub const MAX_WAIT: Duration = Duration::from_secs(600);

/// One exchange and the interceptors that are on its way. By default there are none.
#[derive(Default)]
pub struct Live {
    steps: Vec<Step>,
    /// One for each step, then those of interceptors that have no part.
    marks: Vec<Mark>,
    /// They say something that [`Self::mark`] has not told yet.
    has_news: bool,
    events: u64,
    totals: Arc<Totals>,
}

/// What is to become of a head.
#[derive(Debug, Default)]
pub struct Plan {
    /// Changes of its fields, in order.
    pub changes: Vec<HeaderChange>,
    /// How long it waits before it goes on.
    pub wait: Duration,
    /// It does not go on: this comes in place of the exchange. Of requests alone.
    pub instead: Option<Instead>,
}

/// What is to become of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes on as it is.
    Keep,
    /// It goes on with these data.
    Replace(Vec<u8>),
    /// It does not go on.
    Drop,
}

/// What interceptors may look at, beside the heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "that is it")]
pub enum Part {
    RequestBody,
    ResponseBody,
    Events,
}

impl Part {
    fn of(self, hooks: Hooks) -> bool {
        match self {
            Self::RequestBody => hooks.request_body,
            Self::ResponseBody => hooks.response_body,
            Self::Events => hooks.events,
        }
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("marks", &self.marks).finish_non_exhaustive()
    }
}

impl Live {
    /// An exchange that begins with a request for `url` (absolute); `None`: nobody is on its way.
    pub fn of(registry: &Registry, method: &[u8], url: &[u8]) -> Option<Self> {
        if registry.is_empty() {
            return None;
        }
        registry.watch(None, method, url).map(|watch| Self::with(watch, Arc::clone(registry.totals())))
    }

    /// The same for a message of JSON-RPC that asks for something, or tells it.
    pub fn of_call(registry: &Registry, method: &[u8], url: &[u8], call: Call<'_>) -> Option<Self> {
        let watch = registry.watch_call(method, url, call)?;
        Some(Self::with(watch, Arc::clone(registry.totals())))
    }

    /// The same for a request that carries these messages.
    pub fn of_calls(registry: &Registry, method: &[u8], url: &[u8], calls: &[Call<'_>]) -> Option<Self> {
        let watch = registry.watch_calls(method, url, calls)?;
        Some(Self::with(watch, Arc::clone(registry.totals())))
    }

    /// The same for a request whose messages cannot be read: those who go by them have no part, and the mark says why.
    pub fn of_unread(registry: &Registry, method: &[u8], url: &[u8], why: &str) -> Self {
        let mut live = Self::of_calls(registry, method, url, &[]).unwrap_or_default();
        for name in registry.asking(method, url) {
            let mut mark = Mark::new(&name);
            mark.unread(true, why);
            live.marks.push(mark);
            live.has_news = true;
        }
        live
    }

    /// An exchange that these watch.
    pub fn with(watch: Watch, totals: Arc<Totals>) -> Self {
        totals.exchanges.add(1);
        let steps: Vec<_> = watch.list.into_iter().map(|one| Step::new(one, &totals)).collect();
        let marks = steps.iter().map(|step| Mark::new(&step.one.name)).collect();
        let mut live = Self { steps, marks, has_news: false, events: 0, totals };
        (0..live.steps.len()).for_each(|index| live.note_failure(index));
        live
    }

    /// Whether somebody wants to see that.
    pub fn looks_at(&self, part: Part) -> bool {
        self.steps.iter().any(|step| step.is_active() && part.of(step.one.hooks))
    }

    /// The request's head: `METHOD URL HTTP/x.y` and its lines.
    pub fn request(&mut self, head: &[u8]) -> Plan {
        self.head(Side::Request, head)
    }

    /// The response's head: `HTTP/x.y STATUS` and its lines.
    pub fn response(&mut self, head: &[u8]) -> Plan {
        self.head(Side::Response, head)
    }

    fn head(&mut self, side: Side, head: &[u8]) -> Plan {
        let is_request = side == Side::Request;
        let mut plan = Plan::default();
        let mut head = head.to_vec();
        for index in self.wanting(|hooks| if is_request { hooks.request } else { hooks.response }) {
            let mut message = Message::new(&head);
            let called = self.steps[index].call(&self.totals, |interceptor| {
                if is_request {
                    interceptor.on_request(&mut message)
                } else {
                    interceptor.on_response(&mut message)
                }
            });
            let wishes = message.wishes;
            if !called {
                self.note_failure(index);
                continue;
            }
            let mut changes = Vec::new();
            for wish in wishes {
                match wish {
                    Wish::Header(change) => changes.push(change),
                    Wish::Delay(wait) => {
                        plan.wait = plan.wait.saturating_add(wait).min(MAX_WAIT);
                        self.marks[index].delayed(wait);
                    }
                    Wish::Instead(instead) if is_request && plan.instead.is_none() => {
                        self.marks[index].instead(&instead);
                        plan.instead = Some(instead);
                    }
                    // Notes and wishes of the record are for the copy.
                    Wish::Instead(_) | Wish::Note(_) | Wish::Discard => {}
                }
            }
            if !changes.is_empty() {
                let changed = changed_head(&head, &changes);
                if changed != changed_head(&head, []) {
                    self.marks[index].head(is_request);
                    plan.changes.append(&mut changes);
                    head = changed;
                }
            }
            self.has_news |= self.marks[index].has_acted();
            if plan.instead.is_some() {
                break;
            }
        }
        plan
    }

    /// A whole, decoded body; what comes in its place, if anything does.
    pub fn body(&mut self, is_request: bool, bytes: &[u8]) -> Option<Vec<u8>> {
        let part = if is_request { Part::RequestBody } else { Part::ResponseBody };
        self.body_to(self.wanting(|hooks| part.of(hooks)), is_request, bytes)
    }

    /// Whether somebody who goes by messages wants to see the answers to them.
    pub fn looks_at_answers(&self) -> bool {
        !self.wanting_answers().is_empty()
    }

    /// The answer to a message, in a stream: for those who go by messages it is the body. What comes in its place.
    pub fn answer(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.body_to(self.wanting_answers(), false, bytes)
    }

    fn wanting_answers(&self) -> Vec<usize> {
        let mut wanting = self.wanting(|hooks| hooks.response_body);
        wanting.retain(|index| self.steps[*index].one.asks());
        wanting
    }

    fn body_to(&mut self, those: Vec<usize>, is_request: bool, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut changed: Option<Vec<u8>> = None;
        for index in those {
            let now = changed.as_deref().unwrap_or(bytes);
            let mut body = Body { is_request, bytes: now, replaced: None };
            let called = self.steps[index].call(&self.totals, |interceptor| interceptor.on_body(&mut body));
            match body.replaced {
                _ if !called => self.note_failure(index),
                Some(new) if new != now => {
                    self.marks[index].body(is_request);
                    self.has_news = true;
                    changed = Some(new);
                }
                _ => {}
            }
        }
        changed
    }

    /// Says that a part could not be given to those who want it, and why.
    pub fn unread(&mut self, part: Part, why: &str) {
        for index in self.wanting(|hooks| part.of(hooks)) {
            self.marks[index].unread(part == Part::RequestBody, why);
            self.has_news = true;
        }
    }

    /// Says that the response is a stream of events, to those who want whole bodies alone.
    pub fn unread_stream(&mut self, why: &str) {
        for index in self.wanting(|hooks| hooks.response_body && !hooks.events) {
            if !self.steps[index].one.asks() {
                self.marks[index].unread(false, why);
                self.has_news = true;
            }
        }
    }

    /// A message of a transport that has messages and no stream: `kind` is what rules for events go by. The wait comes
    /// before it goes on.
    pub fn message(&mut self, kind: &[u8], data: &[u8], at: u64) -> (Fate, Duration) {
        let number = self.events;
        self.events += 1;
        let mut batch = EventBatch::default();
        let event =
            sse::Event { data, kind, id: b"", has_id: false, retry: None, start: 0, end: 0, cut: false };
        batch.add(&event, number, at);
        let touched = self.events(&mut batch);
        match batch.left(number) {
            None => (Fate::Drop, Duration::ZERO),
            Some(left) if touched.contains(&number) => (Fate::Replace(left.data.to_vec()), left.wait),
            Some(left) => (Fate::Keep, left.wait),
        }
    }

    /// What was done so far, as JSON for the record, if there is more to say than the last time.
    pub fn mark(&mut self) -> Option<Vec<u8>> {
        if !std::mem::take(&mut self.has_news) {
            return None;
        }
        let acted: Vec<_> = self.marks.iter().filter(|mark| mark.has_acted()).collect();
        serde_json::to_vec(&acted).ok()
    }

    /// The number of the next event.
    fn next_number(&mut self) -> u64 {
        self.events += 1;
        self.events - 1
    }

    /// Gives a batch. Which of its events are not as they were.
    fn events(&mut self, batch: &mut EventBatch) -> BTreeSet<u64> {
        let mut touched = BTreeSet::new();
        if batch.is_empty() {
            return touched;
        }
        self.totals.batches.add(1);
        self.totals.events.add(batch.len() as u64);
        self.totals.batch_size.record(batch.len() as u64);
        for index in self.wanting(|hooks| hooks.events) {
            if batch.is_empty() {
                break;
            }
            let step = &mut self.steps[index];
            step.one.meter.batches.add(1);
            step.one.meter.events.add(batch.len() as u64);
            if !step.call(&self.totals, |interceptor| interceptor.on_events(batch)) {
                batch.roll_back();
                self.note_failure(index);
                continue;
            }
            let mark = &mut self.marks[index];
            let before = mark.clone();
            mark.delayed(batch.waits());
            let (decisions, duplicates) = batch.commit();
            self.totals.duplicates.add(duplicates);
            for (number, is_left_out) in decisions.iter().filter_map(super::batch::Decision::fate) {
                mark.event(is_left_out);
                if is_left_out {
                    self.totals.dropped.add(1);
                } else {
                    self.totals.replaced.add(1);
                }
                touched.insert(number);
            }
            self.has_news |= *mark != before;
        }
        touched
    }

    /// Events that nobody was given: they are too large.
    fn passed(&mut self, events: u64) {
        self.totals.passed.add(events);
        for index in self.wanting(|hooks| hooks.events) {
            self.marks[index].passed(events);
            self.has_news = true;
        }
    }

    fn wanting(&self, hook: impl Fn(Hooks) -> bool) -> Vec<usize> {
        let steps = self.steps.iter().enumerate();
        steps.filter(|(_, step)| step.is_active() && hook(step.one.hooks)).map(|(index, _)| index).collect()
    }

    fn note_failure(&mut self, index: usize) {
        if let State::Failed(reason) = &self.steps[index].state {
            self.marks[index].failed(reason);
            self.has_news = true;
        }
    }
}
