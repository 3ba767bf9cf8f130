//! One exchange and its interceptors: what is under way, and what they want.

use super::changes::{Account, Changes, Edit};
use super::hooks::{End, Message, Outcome, Wish};
use super::intake::{Intake, Item, Shared};
use super::ledger::{Ledger, Side};
use super::measure::Totals;
use super::registry::{Maker, Watch};
use super::remote::{Answer, Content, Delivery, Mailbox, PackedEvents, Said, Watching};
use super::step::{State, Step};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What verdicts of one exchange may hold: texts that stand for others are kept until its record is made.
const MAX_WANTED_BYTES: usize = 64 * 1024 * 1024;

pub(super) struct Watched {
    /// What the other side of a mailbox knows it by.
    pub(super) serial: u64,
    steps: Vec<Step>,
    _watching: Vec<Watching>,
    began: u64,
    intake: Intake,
    flight: Option<Flight>,
    ended: Option<(Outcome, u64)>,
    is_end_given: bool,
    /// From then on nobody is waited for.
    give_up_at: u64,
    ledger: Ledger,
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
        let intake = Intake::new(head, at, is_decoded, max_decoded_bytes, &list);
        shared.totals.exchanges.add(1);
        let steps = list.into_iter().map(|one| Step::new(one, shared.totals)).collect();
        Self {
            serial,
            steps,
            _watching: watching,
            began: at,
            intake,
            flight: None,
            ended: None,
            is_end_given: false,
            give_up_at: u64::MAX,
            ledger: Ledger::default(),
        }
    }

    /// For what comes.
    fn intake(&mut self) -> &mut Intake {
        self.intake.is_full = self.ledger.bytes > MAX_WANTED_BYTES;
        &mut self.intake
    }

    pub(super) fn request_body(&mut self, piece: &[u8], at: u64, shared: &mut Shared<'_>) {
        self.intake().request_body(piece, at, shared);
    }

    pub(super) fn request_end(&mut self, shared: &mut Shared<'_>) {
        self.intake().request_end(shared);
    }

    pub(super) fn response(&mut self, head: Vec<u8>, at: u64, shared: &mut Shared<'_>) {
        let wants_events = self.steps.iter().any(|step| step.state == State::Active && step.one.hooks.events);
        self.intake().response(head, at, wants_events, shared);
    }

    pub(super) fn body(&mut self, piece: &[u8], at: u64, shared: &mut Shared<'_>) {
        self.intake().body(piece, at, shared);
    }

    pub(super) fn end(&mut self, outcome: Outcome, at: u64, shared: &mut Shared<'_>) {
        self.intake().settle(shared);
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
        let of_batch = if self.flight.is_none() { self.intake.due() } else { None };
        [of_flight, of_batch].into_iter().flatten().min()
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
        let is_over = self.ended.is_some();
        self.intake.next(now, is_over).or_else(|| {
            let gives_end = is_over && !std::mem::replace(&mut self.is_end_given, true);
            gives_end.then_some(Item::End)
        })
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
                Content::End {
                    outcome,
                    events: self.intake.events,
                    passed: self.intake.passed,
                    times: (self.began, at),
                }
            }
        }
    }

    /// A head as it is by now.
    fn head(&self, side: Side) -> Vec<u8> {
        let original = self.intake.heads[side as usize].as_deref().unwrap_or_default();
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
                    events: self.intake.events,
                    passed: self.intake.passed,
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
        let flight = self.flight.take().map_or(0, |flight| {
            flight.mailbox.take_back(flight.ticket);
            if let Item::Events(_, bytes) = flight.item { bytes } else { 0 }
        });
        *shared.buffered -= self.intake.release() + flight;
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
            events: self.intake.events,
            passed: self.intake.passed,
            annotations: self.ledger.annotations(name, counts),
            ..Account::default()
        };
        if account.by.is_empty() && account.failed.is_empty() {
            return None;
        }
        let mut request_body = self.ledger.edits(counts);
        account.dropped = request_body.values().filter(|edit| edit.text.is_empty()).count() as u64;
        account.replaced = request_body.len() as u64 - account.dropped;
        let body = request_body.split_off(&self.intake.asked);
        let [request_body, body] =
            [(request_body, self.intake.is_batch[0]), (body, self.intake.is_batch[1])].map(in_place);
        let [request_head, response_head] = [Side::Request, Side::Response].map(|side| {
            let original = self.intake.heads[side as usize].as_deref()?;
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
