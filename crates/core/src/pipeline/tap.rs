//! Where interceptors meet the recorder: shows the stage what the assembler reads, and keeps a finished exchange back until
//! the stage is done with it.
//!
//! What is handed over are places in the spool (heads are copied: they are small). An exchange that is kept back still
//! holds its segments, here and not in the stage: whatever becomes of the stage, its record is made. Nothing is kept back
//! longer than its interceptors' timeout and [`GRACE`].
//!
//! **Back-pressure.** The queue to the stage is bounded. When it is full the assembler waits [`PATIENCE`] once; then the
//! exchange is recorded without interceptors (`overruns`), and nobody waits again until there was room.

use super::stage_thread::{self, Event, Piece, StageThread};
use crate::assembly::{Ending, Finished};
use crate::clock::{Clock, monotonic_nanos};
use crate::exchange::{Kind, Source};
use crate::head::{RequestHead, ResponseHead};
use crate::interceptor::{Changes, Key, Outcome, Registry, Stage, may_be_mcp};
use crate::spool::chain::Waker;
use crate::spool::layout::{EntryHeader, FLAG_CONTINUES, FLAG_INTENT};
use crate::spool::pool::Hold;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Past the timeout of interceptors: for a local one that hangs.
const GRACE: Duration = Duration::from_millis(500);
/// How long the assembler waits for room in the queue.
pub const PATIENCE: Duration = Duration::from_millis(50);

/// Which chain belongs to which scope of interceptors.
pub type Scopes = Arc<Mutex<HashMap<u32, u32>>>;

/// The assembler's side.
#[derive(Debug)]
pub struct Tap {
    registry: Arc<Registry>,
    scopes: Scopes,
    clock: Clock,
    max_decoded_bytes: usize,
    runner: Runner,
    tapped: HashMap<Key, Tapped>,
    /// Heads of requests that are not whole yet.
    beginning: HashMap<Key, Vec<u8>>,
    waiting: HashMap<Key, Waiting>,
    /// Lost exchanges that the stage does not know of yet.
    lost: Vec<Key>,
    /// There was no room lately.
    is_behind: bool,
}

/// Who runs the stage.
#[derive(Debug)]
pub(super) enum Runner {
    /// Whoever reads: standard mode.
    Here(Box<Option<Stage>>),
    /// A thread, from the first watched exchange on; the waker is told when something is done.
    Thread(Arc<Waker>, Option<StageThread>),
    /// The thread could not be had, or is gone.
    Nobody,
}

#[derive(Debug)]
struct Tapped {
    /// A head or an error's text that is not whole yet.
    partial: Vec<u8>,
    timeout: Duration,
    /// The request's body is to be shown, too.
    shows_request: bool,
    is_lost: bool,
}

#[derive(Debug)]
struct Waiting {
    finished: Finished,
    until: Instant,
}

impl Tap {
    /// A tap of a pipeline without interceptors.
    pub fn idle() -> Self {
        Self::new(Arc::default(), Scopes::default(), Clock::now(), 0, Runner::Nobody)
    }

    /// A tap that watches nothing yet.
    pub(super) fn new(
        registry: Arc<Registry>,
        scopes: Scopes,
        clock: Clock,
        max_decoded_bytes: usize,
        runner: Runner,
    ) -> Self {
        Self {
            registry,
            scopes,
            clock,
            max_decoded_bytes,
            runner,
            tapped: HashMap::new(),
            beginning: HashMap::new(),
            waiting: HashMap::new(),
            lost: Vec::new(),
            is_behind: false,
        }
    }

    /// Whether entries are to be shown: one load, while nobody has registered anything.
    pub fn is_interested(&self) -> bool {
        !self.tapped.is_empty() || !self.registry.is_empty()
    }

    /// Whether finished exchanges are kept back.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// An entry has been read.
    pub fn entry(&mut self, hold: &Hold, at: usize, header: &EntryHeader) {
        let key = (header.chain, header.exchange);
        let Some(kind) = Kind::from_u8(header.kind) else { return };
        let is_whole = header.flags & FLAG_CONTINUES == 0;
        if kind == Kind::RequestHead {
            if header.flags & FLAG_INTENT == 0 && !self.beginning.contains_key(&key) {
                return;
            }
            let head = self.beginning.entry(key).or_default();
            piece(hold, at, header).read(|bytes| head.extend_from_slice(bytes));
            if is_whole && let Some(head) = self.beginning.remove(&key) {
                self.begin(key, head, header);
            }
            return;
        }
        let Some(tapped) = self.tapped.get_mut(&key).filter(|tapped| !tapped.is_lost) else { return };
        match kind {
            Kind::ResponseHead | Kind::Error => {
                piece(hold, at, header).read(|bytes| tapped.partial.extend_from_slice(bytes));
                if kind == Kind::ResponseHead && is_whole {
                    let head = std::mem::take(&mut tapped.partial);
                    // One that slipped through: the real one follows.
                    let is_provisional = ResponseHead::parse(&head).status.is_some_and(|status| status < 200);
                    if !is_provisional {
                        self.send(key, Event::Response(head, header.at));
                    }
                }
            }
            Kind::RequestBody if tapped.shows_request => {
                self.send(key, Event::RequestBody(piece(hold, at, header), header.at));
            }
            Kind::RequestEnd if tapped.shows_request => self.send(key, Event::RequestEnd),
            Kind::ResponseBody => self.send(key, Event::Body(piece(hold, at, header), header.at)),
            Kind::Abandon => {
                self.tapped.remove(&key);
                self.lost.push(key);
                self.tell_lost();
            }
            _ => {}
        }
    }

    fn begin(&mut self, key: Key, head: Vec<u8>, header: &EntryHeader) {
        let line = RequestHead::parse(&head).line;
        let scope = self.scopes.lock().unwrap_or_else(PoisonError::into_inner).get(&key.0).copied();
        let Some(watch) = self.registry.watch(scope, line.method, line.target) else { return };
        let timeout = watch.timeout();
        let shows_request = watch.wants_events() && may_be_mcp(&head);
        let tapped = Tapped { partial: Vec::new(), timeout, shows_request, is_lost: false };
        self.tapped.insert(key, tapped);
        // The wrapper around a fetch reads what the client reads: decoded.
        let is_decoded = Source::from_u8(header.source) == Some(Source::Fetch);
        self.send(key, Event::Request { watch: Box::new(watch), head, at: header.at, is_decoded });
    }

    /// Keeps a finished exchange back if it is watched; else returns it.
    pub fn finished(&mut self, finished: Finished) -> Option<Finished> {
        let key = (finished.open.chain, finished.open.number);
        self.beginning.remove(&key);
        let Some(tapped) = self.tapped.get(&key) else { return Some(finished) };
        if !tapped.is_lost {
            let outcome = outcome_of(&finished, &tapped.partial);
            let at = finished.open.last_at();
            self.send(key, Event::End(outcome, at));
        }
        let tapped = self.tapped.remove(&key)?;
        if tapped.is_lost {
            return Some(finished);
        }
        let until = Instant::now() + tapped.timeout + GRACE;
        self.waiting.insert(key, Waiting { finished, until });
        None
    }

    /// Gives those that were kept back and need it no longer.
    pub fn collect(&mut self, mut finish: impl FnMut(Finished)) {
        self.tell_lost();
        let now = self.now();
        let done = match &mut self.runner {
            Runner::Here(stage) => stage.as_mut().as_mut().map_or_else(Vec::new, |stage| {
                self.registry.answers().try_iter().for_each(|answer| stage.answer(answer, now));
                stage.poll(now);
                stage.take_done()
            }),
            Runner::Thread(_, Some(thread)) => thread.done(),
            Runner::Thread(..) | Runner::Nobody => Vec::new(),
        };
        for (key, changes) in done {
            self.give(key, changes, &mut finish);
        }
        if self.waiting.is_empty() {
            return;
        }
        let is_gone = matches!(self.runner, Runner::Nobody);
        let now = Instant::now();
        let late: Vec<Key> =
            self.waiting.iter().filter(|(_, w)| is_gone || now >= w.until).map(|(k, _)| *k).collect();
        for key in late {
            self.give_up(key, &mut finish);
        }
    }

    /// Waits for those that are kept back, of one chain or of all, no longer than until then.
    pub fn settle(&mut self, chain: Option<u32>, until: Instant, mut finish: impl FnMut(Finished)) {
        self.collect(&mut finish);
        if !self.has_waiting(chain) {
            return;
        }
        let now = self.now();
        match &mut self.runner {
            Runner::Here(stage) => {
                if let Some(stage) = stage.as_mut() {
                    stage.hurry(chain, now);
                }
            }
            Runner::Thread(_, Some(thread)) => thread.hurry(chain, until),
            Runner::Thread(..) | Runner::Nobody => {}
        }
        self.collect(&mut finish);
        let left: Vec<Key> =
            self.waiting.keys().filter(|key| chain.is_none_or(|chain| chain == key.0)).copied().collect();
        for key in left {
            self.give_up(key, &mut finish);
        }
    }

    fn has_waiting(&self, chain: Option<u32>) -> bool {
        self.waiting.keys().any(|key| chain.is_none_or(|chain| chain == key.0))
    }

    fn give(&mut self, key: Key, changes: Option<Box<Changes>>, finish: &mut impl FnMut(Finished)) {
        if let Some(Waiting { mut finished, .. }) = self.waiting.remove(&key) {
            finished.changes = changes;
            finish(finished);
        }
    }

    /// Lets one go without what its interceptors may still come to.
    fn give_up(&mut self, key: Key, finish: &mut impl FnMut(Finished)) {
        self.registry.totals().overruns.add(1);
        self.lost.push(key);
        self.give(key, None, finish);
    }

    fn send(&mut self, key: Key, event: Event) {
        let now = self.now();
        let max_decoded_bytes = self.max_decoded_bytes;
        match &mut self.runner {
            Runner::Here(stage) => {
                let totals = self.registry.totals();
                let stage = stage.get_or_insert_with(|| Stage::new(Arc::clone(totals), max_decoded_bytes));
                stage_thread::show(stage, key, event, now);
                return;
            }
            Runner::Thread(waker, thread) => {
                if thread.is_none() {
                    *thread = StageThread::start(&self.registry, self.clock, max_decoded_bytes, waker).ok();
                }
                let patience = if self.is_behind { Duration::ZERO } else { PATIENCE };
                match thread.as_ref().map(|thread| thread.send(key, event, patience)) {
                    Some(Ok(())) => {
                        self.is_behind = false;
                        return;
                    }
                    Some(Err(stage_thread::Refused::Full)) => self.is_behind = true,
                    Some(Err(stage_thread::Refused::Gone)) | None => self.runner = Runner::Nobody,
                }
            }
            Runner::Nobody => {}
        }
        self.registry.totals().overruns.add(1);
        self.lost.push(key);
        if let Some(tapped) = self.tapped.get_mut(&key) {
            tapped.is_lost = true;
        }
    }

    fn tell_lost(&mut self) {
        match &mut self.runner {
            _ if self.lost.is_empty() => {}
            Runner::Here(stage) => {
                for key in self.lost.drain(..) {
                    if let Some(stage) = stage.as_mut() {
                        stage.forget(key);
                    }
                }
            }
            Runner::Thread(_, Some(thread)) => {
                self.lost.retain(|key| thread.send(*key, Event::Forget, Duration::ZERO).is_err());
            }
            Runner::Thread(..) | Runner::Nobody => self.lost.clear(),
        }
    }

    /// On the clock of the entries.
    fn now(&self) -> u64 {
        self.clock.wall(monotonic_nanos())
    }
}

/// Where the payload of an entry lies.
fn piece(hold: &Hold, at: usize, header: &EntryHeader) -> Piece {
    let start = at + header.payload_offset();
    Piece { hold: hold.clone(), start, end: start + header.payload_len as usize }
}

fn outcome_of(finished: &Finished, error: &[u8]) -> Outcome {
    match finished.ending {
        Ending::Complete => Outcome::Complete,
        Ending::Cut(why) => Outcome::Cut(why.to_owned()),
        Ending::Error => {
            let text = String::from_utf8_lossy(error);
            let (code, message) = text.split_once('\n').unwrap_or(("", &text));
            Outcome::Error { code: code.to_owned(), message: message.to_owned() }
        }
    }
}
