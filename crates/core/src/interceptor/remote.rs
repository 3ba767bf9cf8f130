//! Interceptors that run elsewhere: what is for them is put into a mailbox, and their answers come back.
//!
//! The mailbox is bounded by what the stage puts there: an exchange has one delivery under way.

use super::batch::{EventBatch, Verdict};
use super::heads::HeaderChange;
use super::hooks::Outcome;
use crossbeam_channel::Sender;
use serde_json::value::RawValue;
use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// One hook to be called.
#[derive(Debug)]
pub struct Delivery {
    /// To be named in the answer.
    pub ticket: u64,
    /// The exchange, as long as it is watched.
    pub exchange: u64,
    /// Whose hook, by order. Each sees what those before it have left.
    pub interceptors: Vec<u32>,
    /// What it is given.
    pub content: Content,
}

/// What a hook is given.
#[derive(Debug)]
pub enum Content {
    /// A request's head, and when it was made.
    Request(Vec<u8>, u64),
    /// A response's.
    Response(Vec<u8>, u64),
    /// Events.
    Events(PackedEvents),
    /// The end.
    End {
        /// How it ended.
        outcome: Outcome,
        /// Events of the stream.
        events: u64,
        /// Of these, those that were not given.
        passed: u64,
        /// When it began and ended.
        times: (u64, u64),
    },
}

/// A batch as one text and places in it: the other side makes values of those that it looks at.
#[derive(Debug)]
pub struct PackedEvents {
    /// Data, types and ids.
    pub text: String,
    /// Of each event, in UTF-16 units of the text: start and end of data, type and id; its number; when it came, in
    /// milliseconds since the exchange began; its `retry` or -1.
    pub places: Vec<f64>,
}

/// How many numbers [`PackedEvents::places`] has for each event.
pub const PLACES: usize = 9;

impl PackedEvents {
    pub(super) fn of(batch: &EventBatch, began: u64) -> Self {
        let mut text = String::with_capacity(batch.bytes());
        let mut places = Vec::with_capacity(batch.len() * PLACES);
        // In UTF-16 units.
        let mut length = 0;
        let mut last: [(&[u8], f64, f64); 2] = [(b"", 0.0, 0.0); 2];
        let mut add = |bytes: &[u8]| {
            let start = length;
            let part = crate::sse::text_of(bytes);
            length += if part.is_ascii() { part.len() } else { part.encode_utf16().count() };
            text.push_str(&part);
            (start as f64, length as f64)
        };
        for event in batch.iter() {
            let (start, end) = add(event.data);
            places.extend([start, end]);
            for (bytes, last) in [event.kind, event.id].into_iter().zip(&mut last) {
                if last.0 != bytes {
                    let (start, end) = add(bytes);
                    *last = (bytes, start, end);
                }
                places.extend([last.1, last.2]);
            }
            let at_ms = event.at.saturating_sub(began) as f64 / 1e6;
            places.extend([event.number as f64, at_ms, event.retry.map_or(-1.0, |ms| ms as f64)]);
        }
        Self { text, places }
    }
}

/// What became of a delivery.
#[derive(Debug)]
pub struct Answer {
    /// Of the delivery.
    pub ticket: u64,
    /// Its exchange.
    pub exchange: u64,
    /// What each said, in the order of [`Delivery::interceptors`].
    pub said: Vec<(u32, Said)>,
}

/// What one interceptor said.
#[derive(Debug, Default)]
pub struct Said {
    /// Verdicts on events, by their number in the stream.
    pub verdicts: Vec<(u64, Verdict)>,
    /// Changes of the head.
    pub headers: Vec<HeaderChange>,
    /// On the exchange.
    pub notes: Vec<Box<RawValue>>,
    /// It wants no record.
    pub discard: bool,
    /// It wants nothing more of this exchange.
    pub leave: bool,
    /// It has not answered in time: whoever speaks for it has gone on without it.
    pub late: bool,
    /// It failed, for that reason.
    pub failed: Option<String>,
    /// Nanoseconds it took.
    pub ns: u64,
}

/// What waits to be taken, and whether somebody still takes it.
#[derive(Debug, Default)]
struct Waiting {
    deliveries: VecDeque<Delivery>,
    closed: bool,
}

/// The way to the interceptors of one JS environment.
pub struct Mailbox {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    wake: Box<dyn Fn() + Send + Sync>,
    answers: Sender<Answer>,
    /// Exchanges that its interceptors watch.
    watched: AtomicUsize,
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("watched", &self.watched).finish_non_exhaustive()
    }
}

impl Mailbox {
    pub(super) fn new(wake: Box<dyn Fn() + Send + Sync>, answers: Sender<Answer>) -> Self {
        Self {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            wake,
            answers,
            watched: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody will take it.
    pub(super) fn put(&self, delivery: Delivery) -> bool {
        let mut waiting = self.lock();
        if waiting.closed {
            return false;
        }
        waiting.deliveries.push_back(delivery);
        drop(waiting);
        self.arrived.notify_all();
        (self.wake)();
        true
    }

    /// Takes back what nobody has taken.
    pub(super) fn take_back(&self, ticket: u64) {
        self.lock().deliveries.retain(|delivery| delivery.ticket != ticket);
    }

    /// Takes up to `most` deliveries, oldest first.
    pub fn take(&self, most: usize) -> Vec<Delivery> {
        let mut waiting = self.lock();
        let count = waiting.deliveries.len().min(most);
        waiting.deliveries.drain(..count).collect()
    }

    /// Waits until there is something to take; `false`: there was nothing by the deadline, or nothing can come any more.
    pub fn wait(&self, deadline: Instant) -> bool {
        let mut waiting = self.lock();
        while waiting.deliveries.is_empty() && !waiting.closed && self.watched() > 0 {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return false };
            waiting = self.arrived.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        !waiting.deliveries.is_empty()
    }

    /// Says what became of a delivery.
    pub fn answer(&self, answer: Answer) {
        // Fails when the stage is gone, and nobody waits any more.
        let _ = self.answers.send(answer);
    }

    /// Nobody takes anything any more.
    pub fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.deliveries.clear();
        drop(waiting);
        self.arrived.notify_all();
    }

    /// How many exchanges its interceptors watch.
    pub fn watched(&self) -> usize {
        self.watched.load(Ordering::Acquire)
    }

    /// An exchange is watched from now on, as long as that is kept.
    pub(super) fn watch(self: &Arc<Self>) -> Watching {
        self.watched.fetch_add(1, Ordering::AcqRel);
        Watching(Arc::clone(self))
    }
}

/// That an exchange is watched by the interceptors of a mailbox.
#[derive(Debug)]
pub(super) struct Watching(pub(super) Arc<Mailbox>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.watched.fetch_sub(1, Ordering::AcqRel);
        // Whoever waits has looked at the number, or will.
        drop(self.0.lock());
        self.0.arrived.notify_all();
    }
}
