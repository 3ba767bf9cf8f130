//! What comes of one exchange, as items for its interceptors: heads, and bodies as batches of events.

use super::batch::EventBatch;
use super::ledger::Side;
use super::measure::Totals;
use super::messages::{self, Gathered, messages_in};
use super::reader::Reader;
use super::registry::Registered;
use super::{BATCH_BYTES, MAX_BUFFERED_BYTES};
use crate::sse;
use std::collections::VecDeque;
use std::sync::Arc;

/// What exchanges share.
pub(super) struct Shared<'a> {
    pub(super) totals: &'a Totals,
    /// Bytes in all batches.
    pub(super) buffered: &'a mut usize,
    pub(super) next_ticket: &'a mut u64,
    pub(super) now: u64,
}

/// What interceptors have not seen yet.
pub(super) enum Item {
    Head(Side, u64),
    /// And what it counts for.
    Events(EventBatch, usize),
    End,
}

pub(super) struct Intake {
    url: Vec<u8>,
    /// The body comes decoded, whatever its head says.
    is_decoded: bool,
    max_decoded_bytes: u64,
    pub(super) heads: [Option<Vec<u8>>; 2],
    reader: Option<Reader>,
    /// The body that may be a message: the request's, then the answer's.
    gathered: Option<Gathered>,
    /// How many messages the request consists of: the events of these numbers.
    pub(super) asked: u64,
    /// Which of the two bodies is a batch.
    pub(super) is_batch: [bool; 2],
    /// Events that are in no batch that is complete, and what they count for.
    filling: EventBatch,
    filling_bytes: usize,
    waiting: VecDeque<Item>,
    /// No further event is taken: what is wanted of those before takes all the room there is.
    pub(super) is_full: bool,
    pub(super) events: u64,
    /// Of these, those that nobody was given.
    pub(super) passed: u64,
    max_events: usize,
    max_delay: u64,
}

impl Intake {
    /// Of an exchange that begins with that head, for these interceptors.
    pub(super) fn new(
        head: Vec<u8>,
        at: u64,
        is_decoded: bool,
        max_decoded_bytes: u64,
        interceptors: &[Arc<Registered>],
    ) -> Self {
        let of_events = || interceptors.iter().filter(|one| one.hooks.events).map(|one| one.limits);
        let max_events = of_events().map(|limits| limits.max_events).min().unwrap_or(usize::MAX);
        let max_delay = of_events().map(|limits| limits.max_delay).min().unwrap_or_default();
        let gathers = of_events().next().is_some() && messages::may_be_mcp(&head);
        let url = crate::head::RequestHead::parse(&head).line.target.to_vec();
        let gathered = if gathers { Gathered::of(&head, false) } else { None };
        Self {
            url,
            is_decoded,
            max_decoded_bytes,
            heads: [Some(head), None],
            reader: None,
            gathered,
            asked: 0,
            is_batch: [false; 2],
            filling: EventBatch::default(),
            filling_bytes: 0,
            waiting: VecDeque::from([Item::Head(Side::Request, at)]),
            is_full: false,
            events: 0,
            passed: 0,
            max_events,
            max_delay: u64::try_from(max_delay.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    pub(super) fn request_body(&mut self, piece: &[u8], at: u64, shared: &mut Shared<'_>) {
        if self.heads[Side::Response as usize].is_none() {
            self.gather(piece, at, shared);
        }
    }

    fn gather(&mut self, piece: &[u8], at: u64, shared: &mut Shared<'_>) {
        let Some(gathered) = &mut self.gathered else { return };
        let before = gathered.bytes.len();
        let room = MAX_BUFFERED_BYTES.saturating_sub(*shared.buffered - before);
        let is_readable = gathered.push(piece, at, room);
        *shared.buffered += gathered.bytes.len() - before;
        if !is_readable {
            // What it is will not be known. Its head says that it is a message.
            *shared.buffered -= gathered.bytes.len();
            self.gathered = None;
            self.events += 1;
            self.passed += 1;
            shared.totals.passed.add(1);
            if self.heads[Side::Response as usize].is_none() {
                self.asked = self.events;
            }
        }
    }

    pub(super) fn request_end(&mut self, shared: &mut Shared<'_>) {
        if self.heads[Side::Response as usize].is_none() {
            self.settle(shared);
        }
    }

    /// Takes what has been gathered, if that is messages.
    pub(super) fn settle(&mut self, shared: &mut Shared<'_>) {
        let Some(Gathered { bytes, at, .. }) = self.gathered.take() else { return };
        *shared.buffered -= bytes.len();
        let of_request = self.heads[Side::Response as usize].is_none();
        let (places, is_batch) = messages_in(&bytes);
        self.is_batch[usize::from(!of_request)] = is_batch;
        for place in places {
            if self.filling.is_empty() {
                self.filling = EventBatch::of_messages(of_request);
            }
            let (start, end) = (place.start as u64, place.end as u64);
            let data = bytes[place].trim_ascii();
            let rest =
                sse::Event { kind: b"", id: b"", has_id: false, retry: None, cut: false, data, start, end };
            self.event(&rest, at, shared);
        }
        if of_request {
            self.asked = self.events;
        }
        if self.filling.is_empty() {
            // There was no room for any: what comes next may be lines.
            self.filling = EventBatch::default();
        } else {
            let batch = self.take_filling();
            self.waiting.push_back(batch);
        }
    }

    pub(super) fn response(&mut self, head: Vec<u8>, at: u64, wants_events: bool, shared: &mut Shared<'_>) {
        self.settle(shared);
        if wants_events {
            self.reader = Reader::of(&head, &self.url, self.is_decoded);
            if self.asked > 0 && messages::is_one_body(&head) {
                self.gathered = Gathered::of(&head, self.is_decoded);
            }
        }
        self.heads[Side::Response as usize] = Some(head);
        self.waiting.push_back(Item::Head(Side::Response, at));
    }

    pub(super) fn body(&mut self, piece: &[u8], at: u64, shared: &mut Shared<'_>) {
        let Some(mut reader) = self.reader.take() else { return self.gather(piece, at, shared) };
        let is_readable = reader.read(piece, self.max_decoded_bytes, |event| self.event(&event, at, shared));
        if is_readable {
            self.reader = Some(reader);
        }
    }

    fn event(&mut self, event: &sse::Event<'_>, at: u64, shared: &mut Shared<'_>) {
        let number = self.events;
        self.events += 1;
        let size = event.data.len() + event.kind.len() + event.id.len();
        // A batch for which there is no room at all is given all the same if nothing else is there: an event may be large.
        let has_room = *shared.buffered == 0 || *shared.buffered + size <= MAX_BUFFERED_BYTES;
        if event.cut || !has_room || self.is_full {
            self.passed += 1;
            shared.totals.passed.add(1);
            return;
        }
        let before = self.filling.bytes();
        self.filling.add(event, number, at);
        let more = self.filling.bytes() - before;
        self.filling_bytes += more;
        *shared.buffered += more;
        if self.filling.len() >= self.max_events || self.filling_bytes >= BATCH_BYTES {
            let batch = self.take_filling();
            self.waiting.push_back(batch);
        }
    }

    fn take_filling(&mut self) -> Item {
        Item::Events(std::mem::take(&mut self.filling), std::mem::take(&mut self.filling_bytes))
    }

    /// What is to be given now, if anything is; all of it when nothing more will come.
    pub(super) fn next(&mut self, now: u64, is_over: bool) -> Option<Item> {
        if let Some(item) = self.waiting.pop_front() {
            return Some(item);
        }
        let due = self.due()?;
        (is_over || due <= now).then(|| self.take_filling())
    }

    /// When the batch that is being filled is to be given.
    pub(super) fn due(&self) -> Option<u64> {
        self.filling.since().map(|since| since.saturating_add(self.max_delay))
    }

    /// Lets go of all that has not been given. How much of the shared room that was.
    pub(super) fn release(&mut self) -> usize {
        let gathered = self.gathered.take().map_or(0, |gathered| gathered.bytes.len());
        let waiting =
            self.waiting.drain(..).map(|item| if let Item::Events(_, bytes) = item { bytes } else { 0 });
        gathered + std::mem::take(&mut self.filling_bytes) + waiting.sum::<usize>()
    }
}
