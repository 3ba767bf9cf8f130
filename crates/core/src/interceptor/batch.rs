//! A batch of events, and what is to become of them.

use crate::sse;
use serde_json::value::RawValue;
use std::ops::Range;
use std::time::Duration;

/// What is to become of an event in the record.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It stays. What events without a verdict do.
    Keep,
    /// It is left out.
    Drop,
    /// It stands there otherwise.
    Replace(Replacement),
    /// It stays, and the record says this of it.
    Annotate(Box<RawValue>),
}

/// What an event is to be. A part that is `None` stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replacement {
    /// Its data.
    pub data: Option<Vec<u8>>,
    /// Its type.
    pub kind: Option<Vec<u8>>,
    /// Its id.
    pub id: Option<Vec<u8>>,
}

/// An event of a batch, as the interceptors before have left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its number in its stream, from 0.
    pub number: u64,
    /// Its data, raw: [`sse::text_of`] makes text of it.
    pub data: &'a [u8],
    /// The `event` field; empty means `message`.
    pub kind: &'a [u8],
    /// The last event id of the stream; empty if there is none.
    pub id: &'a [u8],
    /// A `retry` (milliseconds) that stood in it.
    pub retry: Option<u64>,
    /// When its last byte came, on the clock of whoever feeds the stage.
    pub at: u64,
}

/// How an event stands in its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// As lines, with its type and id.
    #[default]
    Lines,
    /// As its data alone.
    Data,
}

/// Events of one exchange, in order. Their fields lie in one buffer.
#[derive(Debug, Default)]
pub struct EventBatch {
    form: Form,
    of_request: bool,
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    /// What the interceptor that has the batch now has said.
    verdicts: Vec<(usize, Verdict)>,
    /// How long it wants events to wait.
    waits: Vec<(usize, Duration)>,
    duplicates: u64,
}

#[derive(Clone, Debug)]
struct Slot {
    data: Range<usize>,
    kind: Range<usize>,
    id: Range<usize>,
    retry: Option<u64>,
    at: u64,
    number: u64,
    /// Where its lines lie in the stream.
    span: (u64, u64),
    /// The sum of what interceptors want.
    wait: Duration,
    /// Its type, its id stand here otherwise than in the stream.
    has_new: [bool; 2],
}

/// What the interceptors have left of an event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left<'a> {
    pub data: &'a [u8],
    /// If it is another than in the stream.
    pub kind: Option<&'a [u8]>,
    pub id: Option<&'a [u8]>,
    pub wait: Duration,
}

/// What an interceptor wants of an event, and where that is in the stream.
#[derive(Debug)]
pub(super) struct Decision {
    pub number: u64,
    pub span: (u64, u64),
    pub what: Wanted,
}

#[derive(Debug)]
pub(super) enum Wanted {
    /// These bytes in its place; none: it is left out.
    Text(Vec<u8>),
    Note(Box<RawValue>),
}

impl Decision {
    /// The event that it makes another of, and whether it is left out.
    pub(super) fn fate(&self) -> Option<(u64, bool)> {
        match &self.what {
            Wanted::Text(text) => Some((self.number, text.is_empty())),
            Wanted::Note(_) => None,
        }
    }
}

impl EventBatch {
    /// A batch of messages: of the request or of its answer.
    pub(super) fn of_messages(of_request: bool) -> Self {
        Self { form: Form::Data, of_request, ..Self::default() }
    }

    /// Adds an event.
    pub(super) fn add(&mut self, event: &sse::Event<'_>, number: u64, at: u64) {
        // Types and ids mostly are those of the event before, and lie there already.
        let (last_kind, last_id) =
            self.slots.last().map_or((0..0, 0..0), |slot| (slot.kind.clone(), slot.id.clone()));
        let kind = self.keep_unless_same(event.kind, last_kind);
        let id = self.keep_unless_same(event.id, last_id);
        let data = self.keep(event.data);
        let span = (event.start, event.end);
        self.slots.push(Slot {
            data,
            kind,
            id,
            retry: event.retry,
            at,
            number,
            span,
            wait: Duration::ZERO,
            has_new: [false; 2],
        });
    }

    fn keep_unless_same(&mut self, bytes: &[u8], last: Range<usize>) -> Range<usize> {
        if self.bytes[last.clone()] == *bytes { last } else { self.keep(bytes) }
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// Whether they are messages that the request consists of (MCP), and not what came of it.
    pub fn is_of_request(&self) -> bool {
        self.of_request
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// An event by its place in the batch.
    pub fn get(&self, index: usize) -> Option<Event<'_>> {
        self.slots.get(index).map(|slot| self.event(slot))
    }

    /// The events, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Event<'_>> {
        self.slots.iter().map(|slot| self.event(slot))
    }

    fn event(&self, slot: &Slot) -> Event<'_> {
        Event {
            number: slot.number,
            data: &self.bytes[slot.data.clone()],
            kind: &self.bytes[slot.kind.clone()],
            id: &self.bytes[slot.id.clone()],
            retry: slot.retry,
            at: slot.at,
        }
    }

    /// Says what is to become of an event, by its place in the batch. What is said takes effect when the call of the hook is
    /// over: of several verdicts of one interceptor on one event the last counts, and annotations add up.
    pub fn decide(&mut self, index: usize, verdict: Verdict) {
        if index < self.slots.len() {
            self.verdicts.push((index, verdict));
        }
    }

    /// The same for an event by its number; nothing if it is not there (any more).
    pub(super) fn decide_numbered(&mut self, number: u64, verdict: Verdict) {
        if let Ok(index) = self.slots.binary_search_by_key(&number, |slot| slot.number) {
            self.decide(index, verdict);
        }
    }

    /// Lets an event wait before it goes on, and all that come behind it. On the live path alone.
    pub fn delay(&mut self, index: usize, wait: Duration) {
        if index < self.slots.len() {
            self.waits.push((index, wait));
        }
    }

    /// How long what was said since the last commit makes events wait.
    pub(super) fn waits(&self) -> Duration {
        self.waits.iter().fold(Duration::ZERO, |sum, (_, wait)| sum.saturating_add(*wait))
    }

    /// What is left of an event; `None`: it is to be left out.
    pub(super) fn left(&self, number: u64) -> Option<Left<'_>> {
        let index = self.slots.binary_search_by_key(&number, |slot| slot.number).ok()?;
        let slot = &self.slots[index];
        let event = self.event(slot);
        let [kind, id] = slot.has_new;
        Some(Left {
            data: event.data,
            kind: kind.then_some(event.kind),
            id: id.then_some(event.id),
            wait: slot.wait,
        })
    }

    /// Leaves an event out as one that was there before: counted as such.
    pub fn drop_duplicate(&mut self, index: usize) {
        self.duplicates += 1;
        self.decide(index, Verdict::Drop);
    }

    /// The bytes that it holds.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.len() + self.slots.len() * size_of::<Slot>()
    }

    /// When its first event came.
    pub(super) fn since(&self) -> Option<u64> {
        self.slots.first().map(|slot| slot.at)
    }

    /// Forgets what was said since the last commit.
    pub(super) fn roll_back(&mut self) {
        self.verdicts.clear();
        self.waits.clear();
        self.duplicates = 0;
    }

    /// Applies what was said, so that the next interceptor sees it, and tells it. The second value: how many duplicates are
    /// among what was left out.
    pub(super) fn commit(&mut self) -> (Vec<Decision>, u64) {
        let duplicates = std::mem::take(&mut self.duplicates);
        for (index, wait) in self.waits.drain(..) {
            let slot = &mut self.slots[index];
            slot.wait = slot.wait.saturating_add(wait);
        }
        if self.verdicts.is_empty() {
            return (Vec::new(), duplicates);
        }
        let mut decisions = Vec::with_capacity(self.verdicts.len());
        let mut dropped = vec![false; self.slots.len()];
        let mut replaced: Vec<Option<Replacement>> = vec![None; self.slots.len()];
        for (index, verdict) in std::mem::take(&mut self.verdicts) {
            match verdict {
                Verdict::Keep => (dropped[index], replaced[index]) = (false, None),
                Verdict::Drop => (dropped[index], replaced[index]) = (true, None),
                Verdict::Replace(replacement) => {
                    (dropped[index], replaced[index]) = (false, Some(replacement));
                }
                Verdict::Annotate(note) => decisions.push(self.decision(index, Wanted::Note(note))),
            }
        }
        for index in 0..self.slots.len() {
            if dropped[index] {
                decisions.push(self.decision(index, Wanted::Text(Vec::new())));
            } else if let Some(replacement) = replaced[index].take() {
                self.replace(index, replacement);
                let event = self.event(&self.slots[index]);
                let text = match self.form {
                    Form::Lines => text_of(&event),
                    Form::Data => event.data.to_vec(),
                };
                decisions.push(self.decision(index, Wanted::Text(text)));
            }
        }
        let mut is_dropped = dropped.into_iter();
        self.slots.retain(|_| !is_dropped.next().unwrap_or(false));
        (decisions, duplicates)
    }

    fn decision(&self, index: usize, what: Wanted) -> Decision {
        let Slot { number, span, .. } = self.slots[index];
        Decision { number, span, what }
    }

    fn replace(&mut self, index: usize, Replacement { data, kind, id }: Replacement) {
        if let Some(data) = data {
            self.slots[index].data = self.keep(&with_line_feeds(&data));
        }
        if let Some(kind) = kind {
            self.slots[index].kind = self.keep(first_line(&kind));
            self.slots[index].has_new[0] = true;
        }
        if let Some(id) = id {
            self.slots[index].id = self.keep(first_line(&id));
            self.slots[index].has_new[1] = true;
        }
    }
}

/// An event as a stream has it.
fn text_of(event: &Event<'_>) -> Vec<u8> {
    let mut text = Vec::with_capacity(event.data.len() + event.kind.len() + event.id.len() + 32);
    let mut line = |name: &[u8], value: &[u8]| {
        text.extend_from_slice(name);
        text.extend_from_slice(b": ");
        text.extend_from_slice(value);
        text.push(b'\n');
    };
    if !event.kind.is_empty() {
        line(b"event", event.kind);
    }
    if !event.id.is_empty() {
        line(b"id", event.id);
    }
    if let Some(retry) = event.retry {
        line(b"retry", retry.to_string().as_bytes());
    }
    for data in event.data.split(|byte| *byte == b'\n') {
        line(b"data", data);
    }
    text.push(b'\n');
    text
}

/// A carriage return ends a line of a stream as well: data cannot hold one.
fn with_line_feeds(data: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(data.len());
    for (index, byte) in data.iter().enumerate() {
        match byte {
            b'\r' if data.get(index + 1) == Some(&b'\n') => {}
            b'\r' => text.push(b'\n'),
            byte => text.push(*byte),
        }
    }
    text
}

/// What of a type or an id can stand in a line.
fn first_line(value: &[u8]) -> &[u8] {
    let end = value.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0));
    &value[..end.unwrap_or(value.len())]
}
