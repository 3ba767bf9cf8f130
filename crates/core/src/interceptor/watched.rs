//! One exchange and its interceptors: what they have not seen yet, what is under way, what they want.

use super::batch::EventBatch;
use super::changes::{Account, Changes, Edit};
use super::hooks::{End, Hooks, Message, Outcome, Wish};
use super::ledger::{Ledger, Side};
use super::measure::Totals;
use super::messages::{self, Gathered, messages_in};
use super::reader::Reader;
use super::registry::{Maker, Watch};
use super::remote::{Answer, Content, Delivery, Mailbox, PackedEvents, Said, Watching};
use super::step::{State, Step};
use super::{BATCH_BYTES, MAX_BUFFERED_BYTES};
use crate::sse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What verdicts of one exchange may hold: texts that stand for others are kept until its record is made.
const MAX_WANTED_BYTES: usize = 64 * 1024 * 1024;

/// What exchanges share.
pub(super) struct Shared<'a> {
    pub(super) totals: &'a Totals,
    /// Bytes in all batches.
    pub(super) buffered: &'a mut usize,
    pub(super) next_ticket: &'a mut u64,
    pub(super) now: u64,
}

pub(super) struct Watched {
    /// What the other side of a mailbox knows it by.
    pub(super) serial: u64,
    steps: Vec<Step>,
    _watching: Vec<Watching>,
    began: u64,
    url: Vec<u8>,
    /// The body comes decoded, whatever its head says.
    is_decoded: bool,
    max_decoded_bytes: u64,
    heads: [Option<Vec<u8>>; 2],
    reader: Option<Reader>,
    /// The body that may be a message: the request's, then the answer's.
    gathered: Option<Gathered>,
    /// How many messages the request consists of: the events of these numbers.
    asked: u64,
    /// Which of the two bodies is a batch.
    is_batch: [bool; 2],
    /// Events that are in no batch that is complete, and what they count for.
    filling: EventBatch,
    filling_bytes: usize,
    waiting: VecDeque<Item>,
    flight: Option<Flight>,
    ended: Option<(Outcome, u64)>,
    is_end_given: bool,
    /// From then on nobody is waited for.
    give_up_at: u64,
    ledger: Ledger,
    events: u64,
    passed: u64,
    max_events: usize,
    max_delay: u64,
}

/// What interceptors have not seen yet.
pub(super) enum Item {
    Head(Side, u64),
    /// And what it counts for.
    Events(EventBatch, usize),
    End,
}

/// What a mailbox has and has not answered.
struct Flight {
    ticket: u64,
    item: Item,
    mailbox: Arc<Mailbox>,
    /// Steps and their numbers there.
    group: Vec<(usize, u32)>,
    /// The step that comes after them.
    resume: usize,
    deadline: u64,
}

impl Watched {
    pub(super) fn new(
        serial: u64,
        watch: Watch,
        head: Vec<u8>,
        at: u64,
        is_decoded: bool,
        max_decoded_bytes: u64,
        shared: &Shared<'_>,
    ) -> Self {
        let Watch { list, watching } = watch;
        let of_events = || list.iter().filter(|one| one.hooks.events).map(|one| one.limits);
        let max_events = of_events().map(|limits| limits.max_events).min().unwrap_or(usize::MAX);
        let max_delay = of_events().map(|limits| limits.max_delay).min().unwrap_or_default();
        let gathers = of_events().next().is_some() && messages::may_be_mcp(&head);
        shared.totals.exchanges.add(1);
        let steps = list.into_iter().map(|one| Step::new(one, shared.totals)).collect();
        let url = crate::head::RequestHead::parse(&head).line.target.to_vec();
        let gathered = if gathers { Gathered::of(&head, false) } else { None };
        Self {
            serial,
            steps,
            _watching: watching,
            began: at,
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
            flight: None,
            ended: None,
            is_end_given: false,
            give_up_at: u64::MAX,
            ledger: Ledger::default(),
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

    /// Gives what has been gathered, if that is messages.
    fn settle(&mut self, shared: &mut Shared<'_>) {
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

    pub(super) fn response(&mut self, head: Vec<u8>, at: u64, shared: &mut Shared<'_>) {
        self.settle(shared);
        if self.wants(|hooks| hooks.events) {
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
        if event.cut || !has_room || self.ledger.bytes > MAX_WANTED_BYTES {
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

    pub(super) fn end(&mut self, outcome: Outcome, at: u64, shared: &mut Shared<'_>) {
        self.settle(shared);
        let now = shared.now;
        self.ended = Some((outcome, at));
        let timeouts = self.steps.iter().map(|step| step.one.limits.timeout.as_nanos());
        self.give_up_at = now.saturating_add(u64::try_from(timeouts.max().unwrap_or(0)).unwrap_or(u64::MAX));
    }

    /// Nobody is waited for any more, if it has ended.
    pub(super) fn hurry(&mut self, now: u64) {
        if self.ended.is_some() {
            self.give_up_at = self.give_up_at.min(now);
        }
    }

    /// When [`Self::advance`] has something to do though nothing happens.
    pub(super) fn due(&self) -> Option<u64> {
        let of_flight = self.flight.as_ref().map(|flight| flight.deadline.min(self.give_up_at));
        let of_batch =
            self.filling.since().filter(|_| self.flight.is_none()).map(|since| self.batch_due(since));
        [of_flight, of_batch].into_iter().flatten().min()
    }

    fn batch_due(&self, since: u64) -> u64 {
        since.saturating_add(self.max_delay)
    }

    /// Gives what can be given. Whether the exchange is over and all of it was given.
    pub(super) fn advance(&mut self, shared: &mut Shared<'_>) -> bool {
        loop {
            if let Some(flight) = &self.flight {
                if shared.now < flight.deadline.min(self.give_up_at) {
                    return false;
                }
                self.expire(shared);
                continue;
            }
            match self.next(shared.now) {
                Some(item) => self.give(item, 0, shared),
                None => return self.is_end_given,
            }
        }
    }

    fn next(&mut self, now: u64) -> Option<Item> {
        if let Some(item) = self.waiting.pop_front() {
            return Some(item);
        }
        if let Some(since) = self.filling.since() {
            let is_due = self.ended.is_some() || self.batch_due(since) <= now;
            return is_due.then(|| self.take_filling());
        }
        (self.ended.is_some() && !std::mem::replace(&mut self.is_end_given, true)).then_some(Item::End)
    }

    /// Gives an item to the steps from `from` on. Stops where one has to answer first.
    fn give(&mut self, mut item: Item, from: usize, shared: &mut Shared<'_>) {
        if from == 0
            && let Item::Events(batch, _) = &item
        {
            shared.totals.batches.add(1);
            shared.totals.events.add(batch.len() as u64);
            shared.totals.batch_size.record(batch.len() as u64);
            shared.totals.delay_ns.record(shared.now.saturating_sub(batch.since().unwrap_or(shared.now)));
        }
        let mut index = from;
        while index < self.steps.len() {
            if !self.steps[index].wants(&item) {
                index += 1;
                continue;
            }
            let remote = match &self.steps[index].one.maker {
                Maker::Local(_) => None,
                Maker::Remote(mailbox, _) => Some(Arc::clone(mailbox)),
            };
            let Some(mailbox) = remote else {
                self.call(index, &mut item, shared);
                index += 1;
                continue;
            };
            // Neighbours on the other side of the same mailbox are asked in one go.
            let mut group = Vec::new();
            while let Some(step) = self.steps.get(index) {
                match &step.one.maker {
                    _ if !step.wants(&item) => {}
                    Maker::Remote(other, number) if Arc::ptr_eq(other, &mailbox) => {
                        group.push((index, *number));
                    }
                    _ => break,
                }
                index += 1;
            }
            match self.send(item, mailbox, group, index, shared) {
                None => return,
                Some(unsent) => item = unsent,
            }
        }
        if let Item::Events(_, bytes) = item {
            *shared.buffered -= bytes;
        }
    }

    /// Puts an item into a mailbox; the item is returned if nobody will take it.
    fn send(
        &mut self,
        item: Item,
        mailbox: Arc<Mailbox>,
        group: Vec<(usize, u32)>,
        resume: usize,
        shared: &mut Shared<'_>,
    ) -> Option<Item> {
        let is_hopeless = shared.now >= self.give_up_at;
        let ticket = *shared.next_ticket;
        *shared.next_ticket += 1;
        let delivery = Delivery {
            ticket,
            exchange: self.serial,
            interceptors: group.iter().map(|(_, number)| *number).collect(),
            content: self.content(&item),
        };
        if is_hopeless || !mailbox.put(delivery) {
            self.late(&group, shared);
            return Some(item);
        }
        if let Item::Events(batch, _) = &item {
            for (index, _) in &group {
                self.steps[*index].one.meter.batches.add(1);
                self.steps[*index].one.meter.events.add(batch.len() as u64);
            }
        }
        let timeout = group.iter().map(|(index, _)| self.steps[*index].one.limits.timeout.as_nanos()).min();
        // They take turns, and each has its time.
        let timeout = timeout.unwrap_or_default().saturating_mul(group.len() as u128);
        let deadline = shared.now.saturating_add(u64::try_from(timeout).unwrap_or(u64::MAX));
        self.flight = Some(Flight { ticket, item, mailbox, group, resume, deadline });
        None
    }

    fn content(&self, item: &Item) -> Content {
        match item {
            Item::Head(Side::Request, at) => Content::Request(self.head(Side::Request), *at),
            Item::Head(Side::Response, at) => Content::Response(self.head(Side::Response), *at),
            Item::Events(batch, _) => Content::Events(PackedEvents::of(batch, self.began)),
            Item::End => {
                let (outcome, at) = self.ended.clone().unwrap_or((Outcome::Complete, self.began));
                Content::End { outcome, events: self.events, passed: self.passed, times: (self.began, at) }
            }
        }
    }

    /// A head as it is by now.
    fn head(&self, side: Side) -> Vec<u8> {
        let original = self.heads[side as usize].as_deref().unwrap_or_default();
        let counts = |by: usize| self.steps[by].counts();
        self.ledger.head(side, original, counts).unwrap_or_else(|| original.to_vec())
    }

    /// Calls an interceptor that runs here.
    fn call(&mut self, index: usize, item: &mut Item, shared: &mut Shared<'_>) {
        match item {
            Item::Head(side, _) => {
                let head = self.head(*side);
                let mut message = Message::new(&head);
                let is_request = *side == Side::Request;
                let called = self.steps[index].call(shared.totals, |interceptor| {
                    if is_request {
                        interceptor.on_request(&mut message)
                    } else {
                        interceptor.on_response(&mut message)
                    }
                });
                if called {
                    self.ledger.wished(index, Some(*side), message.wishes);
                }
            }
            Item::Events(batch, _) => {
                if batch.is_empty() {
                    return;
                }
                let step = &mut self.steps[index];
                step.one.meter.batches.add(1);
                step.one.meter.events.add(batch.len() as u64);
                if step.call(shared.totals, |interceptor| interceptor.on_events(batch)) {
                    let (decisions, duplicates) = batch.commit();
                    shared.totals.duplicates.add(duplicates);
                    self.ledger.decided(index, decisions);
                } else {
                    batch.roll_back();
                }
            }
            Item::End => {
                let (outcome, at) = self.ended.clone().unwrap_or((Outcome::Complete, self.began));
                let mut end = End {
                    outcome: &outcome,
                    events: self.events,
                    passed: self.passed,
                    times: (self.began, at),
                    wishes: Vec::new(),
                };
                if self.steps[index].call(shared.totals, |interceptor| interceptor.on_end(&mut end)) {
                    let wishes = end.wishes;
                    self.ledger.wished(index, None, wishes);
                }
            }
        }
    }

    /// Takes in what became of a delivery; nothing if it is not waited for any more.
    pub(super) fn answer(&mut self, answer: Answer, shared: &mut Shared<'_>) {
        if self.flight.as_ref().is_none_or(|flight| flight.ticket != answer.ticket) {
            return;
        }
        let Some(Flight { mut item, group, resume, .. }) = self.flight.take() else { return };
        for (number, said) in answer.said {
            let Some((index, _)) = group.iter().find(|(_, known)| *known == number) else { continue };
            self.take_in(*index, said, &mut item, shared);
        }
        self.give(item, resume, shared);
    }

    fn take_in(&mut self, index: usize, said: Said, item: &mut Item, shared: &Shared<'_>) {
        let step = &mut self.steps[index];
        step.one.meter.called(said.ns);
        if let Some(reason) = said.failed {
            step.fail(reason, shared.totals);
            return;
        }
        if said.leave {
            step.state = State::Left;
            return;
        }
        if said.late {
            self.late(&[(index, 0)], shared);
            return;
        }
        let side = match item {
            Item::Head(side, _) => Some(*side),
            Item::Events(batch, _) => {
                for (number, verdict) in said.verdicts {
                    batch.decide_numbered(number, verdict);
                }
                let (decisions, _) = batch.commit();
                self.ledger.decided(index, decisions);
                None
            }
            Item::End => None,
        };
        let mut wishes: Vec<Wish> = said.headers.into_iter().map(Wish::Header).collect();
        wishes.extend(said.notes.into_iter().map(Wish::Note));
        wishes.extend(said.discard.then_some(Wish::Discard));
        self.ledger.wished(index, side, wishes);
    }

    /// Goes on without those that have not answered.
    fn expire(&mut self, shared: &mut Shared<'_>) {
        let Some(Flight { ticket, item, mailbox, group, resume, .. }) = self.flight.take() else { return };
        mailbox.take_back(ticket);
        self.late(&group, shared);
        self.give(item, resume, shared);
    }

    fn late(&mut self, group: &[(usize, u32)], shared: &Shared<'_>) {
        for (index, _) in group {
            self.steps[*index].state = State::Late;
            self.steps[*index].one.meter.late.add(1);
            shared.totals.late.add(1);
        }
    }

    /// Lets go of what it holds of the shared room.
    pub(super) fn release(&mut self, shared: &mut Shared<'_>) {
        let gathered = self.gathered.take().map_or(0, |gathered| gathered.bytes.len());
        let mut held = self.filling_bytes + gathered;
        let flight = self.flight.take().map(|flight| {
            flight.mailbox.take_back(flight.ticket);
            flight.item
        });
        for item in self.waiting.drain(..).chain(flight) {
            if let Item::Events(_, bytes) = item {
                held += bytes;
            }
        }
        self.filling_bytes = 0;
        *shared.buffered -= held;
    }

    fn wants(&self, hook: impl Fn(Hooks) -> bool) -> bool {
        self.steps.iter().any(|step| step.state == State::Active && hook(step.one.hooks))
    }

    /// What they came to; `None`: there was none, after all.
    pub(super) fn finish(mut self, totals: &Totals) -> Option<Box<Changes>> {
        let steps = std::mem::take(&mut self.steps);
        let counts = |by: usize| steps[by].counts();
        let name = |by: usize| &*steps[by].one.name;
        let named = |is: &dyn Fn(&State) -> bool| {
            steps.iter().filter(|step| is(&step.state)).map(|step| step.one.name.clone()).collect()
        };
        let mut by: Vec<String> = named(&|state| matches!(state, State::Active | State::Late));
        // What was registered as one may have several parts.
        by.dedup();
        let mut account = Account {
            by,
            late: named(&|state| *state == State::Late),
            failed: steps.iter().filter_map(Step::failure).collect(),
            events: self.events,
            passed: self.passed,
            annotations: self.ledger.annotations(name, counts),
            ..Account::default()
        };
        if account.by.is_empty() && account.failed.is_empty() {
            return None;
        }
        let mut request_body = self.ledger.edits(counts);
        account.dropped = request_body.values().filter(|edit| edit.text.is_empty()).count() as u64;
        account.replaced = request_body.len() as u64 - account.dropped;
        let body = request_body.split_off(&self.asked);
        let [request_body, body] = [(request_body, self.is_batch[0]), (body, self.is_batch[1])].map(in_place);
        let [request_head, response_head] = [Side::Request, Side::Response].map(|side| {
            let original = self.heads[side as usize].as_deref()?;
            self.ledger.head(side, original, counts).filter(|head| head != original)
        });
        account.headers = [(&request_head, "request"), (&response_head, "response")]
            .into_iter()
            .filter_map(|(head, name)| head.as_ref().map(|_| name))
            .collect();
        let discard = self.ledger.is_discarded(counts);
        totals.dropped.add(account.dropped);
        totals.replaced.add(account.replaced);
        totals.annotated.add(account.annotations.len() as u64);
        totals.discarded.add(u64::from(discard));
        Some(Box::new(Changes { request_head, response_head, request_body, body, discard, account }))
    }
}

/// The edits of a body. An element that is left out of a batch leaves its place, so that the others stay a batch.
fn in_place((edits, is_batch): (BTreeMap<u64, Edit>, bool)) -> Vec<Edit> {
    let mut edits: Vec<Edit> = edits.into_values().collect();
    for edit in edits.iter_mut().filter(|edit| is_batch && edit.text.is_empty()) {
        edit.text = b"null".to_vec();
    }
    edits
}
