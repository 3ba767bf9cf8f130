//! From what passes on a connection to the core's recorder.
//!
//! A [`Recorder`] belongs to one thread at a time, and tasks move between threads: so there are as many recorders as the
//! runtime has threads, each behind a lock of its own, and an exchange stays with the one it began on. A push holds the lock
//! for the copy, well under a microsecond for a chunk of an answer.
//!
//! An [`Exchange`] keeps the order that the core expects, as `lib/hooks/http-exchange.js` does in a client's process: both
//! halves have to be over before the end is said, since a server may answer in full while the request is still on its way;
//! a failure after the whole response has arrived does not make the response a broken one; after the end, nothing. An
//! exchange that everybody has let go of without an end was given up by the client.

use crate::failure::{CLIENT_CLOSED, Failure};
use claude_trace_core::clock::monotonic_nanos;
use claude_trace_core::exchange::{Kind, Source};
use claude_trace_core::pipeline::recorder::Stats;
use claude_trace_core::pipeline::{Pipeline, Recorder};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The recorders of a process.
#[derive(Clone, Debug)]
pub struct Tape {
    shards: Arc<[Mutex<Recorder>]>,
    next: Arc<AtomicUsize>,
    /// Exchanges that have begun and not ended.
    open: Arc<AtomicUsize>,
}

impl Tape {
    /// Recorders into `pipeline`, `shards` of them; `None` if the pipeline has ended.
    pub fn new(pipeline: &Arc<Pipeline>, shards: usize) -> Option<Self> {
        let shards: Option<Vec<_>> =
            (0..shards.max(1)).map(|_| Recorder::new(pipeline).map(Mutex::new)).collect();
        Some(Self { shards: shards?.into(), next: Arc::default(), open: Arc::default() })
    }

    /// Says that an exchange is about to begin: what recording needs is started meanwhile.
    pub fn prepare(&self) {
        lock(&self.shards[0]).prepare();
    }

    /// Begins an exchange. `head` is the request's head with a path as its target, `origin` what stands before that. `None`:
    /// it is not recorded, for lack of room.
    pub fn begin(&self, source: Source, origin: &str, head: &[u8]) -> Option<Exchange> {
        self.begin_at(source, origin, head, monotonic_nanos())
    }

    /// The same of one that began at `asked`, on the monotonic clock.
    pub fn begin_at(&self, source: Source, origin: &str, head: &[u8], asked: u64) -> Option<Exchange> {
        let now = monotonic_nanos();
        let shard = self.next.fetch_add(1, Ordering::Relaxed) % self.shards.len();
        let number = lock(&self.shards[shard]).begin(source, origin, head, now, asked)?;
        self.open.fetch_add(1, Ordering::Relaxed);
        Some(Exchange(Arc::new(Shared { tape: self.clone(), shard, number, state: Mutex::default() })))
    }

    /// How many exchanges have begun and not ended.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// What was counted and measured.
    pub fn stats(&self) -> Stats {
        lock(&self.shards[0]).stats()
    }

    /// Waits until all that has been told is in the log. Whether it is.
    pub fn drain(&self, deadline: Instant) -> bool {
        self.shards.iter().all(|shard| lock(shard).drain(deadline))
    }

    /// Ends what is open, with the reason in its records, and waits until all is in the log. `false`: the spool keeps the
    /// rest for the next start. What is told after this is not heard.
    pub fn close(&self, why: &'static str, deadline: Instant) -> bool {
        let mut all = true;
        for shard in &*self.shards {
            all &= lock(shard).close(why, deadline);
        }
        all
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One exchange on its way to the log. Clones speak of the same one.
#[derive(Clone, Debug)]
pub struct Exchange(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    tape: Tape,
    shard: usize,
    number: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The end was told.
    is_over: bool,
    request_ended: bool,
    answered: bool,
    /// The whole response has arrived, with these trailers, and waits for the end of the request, or to be let go.
    response_ended: Option<Vec<u8>>,
    /// Something is still to be said when the response has arrived.
    is_held: bool,
}

impl Exchange {
    /// Bytes of the request's body.
    pub fn request_body(&self, bytes: &[u8]) {
        let state = self.state();
        if !state.is_over && !state.request_ended {
            self.0.push(Kind::RequestBody, bytes);
        }
    }

    /// The request was sent whole.
    pub fn request_end(&self) {
        let mut state = self.state();
        if state.is_over || std::mem::replace(&mut state.request_ended, true) {
            return;
        }
        self.0.push(Kind::RequestEnd, b"");
        self.0.end_if_over(&mut state);
    }

    /// Holds back the end of the response until [`Self::release`], or until nobody is left to say so.
    pub fn hold(&self) {
        self.state().is_held = true;
    }

    /// All has been said: the end of the response is told when it is there.
    pub fn release(&self) {
        let mut state = self.state();
        state.is_held = false;
        self.0.end_if_over(&mut state);
    }

    /// The response's head.
    pub fn response_head(&self, head: &[u8]) {
        let mut state = self.state();
        if !state.is_over && !std::mem::replace(&mut state.answered, true) {
            self.0.push(Kind::ResponseHead, head);
        }
    }

    /// Bytes of the response's body.
    pub fn response_body(&self, bytes: &[u8]) {
        let state = self.state();
        if !state.is_over && state.response_ended.is_none() {
            self.0.push(Kind::ResponseBody, bytes);
        }
    }

    /// The response arrived whole.
    pub fn response_end(&self, trailers: &[u8]) {
        let mut state = self.state();
        if state.is_over || state.response_ended.is_some() {
            return;
        }
        if state.request_ended && !state.is_held {
            self.0.end(&mut state, Kind::ResponseEnd, trailers);
        } else {
            state.response_ended = Some(trailers.to_vec());
        }
    }

    /// What rules have done to it so far, as JSON (`interceptor::live::Live::mark`): the last one counts. Comes before the
    /// bytes that it tells of are passed on, and before the end.
    pub fn rules(&self, mark: &[u8]) {
        if !self.state().is_over {
            self.0.push(Kind::Rules, mark);
        }
    }

    /// Nobody takes more of the response. If it is whole, its end is told when the request has ended too.
    pub fn abandon_response(&self) {
        let mut state = self.state();
        if state.response_ended.is_none() {
            self.0.close(&mut state, &CLIENT_CLOSED);
        }
    }

    /// Nothing more will come, for this reason.
    pub fn fail(&self, failure: &Failure) {
        self.0.close(&mut self.state(), failure);
    }

    /// It is told of by another exchange: nothing is recorded.
    pub fn abandon(&self) {
        let mut state = self.state();
        if !state.is_over {
            self.0.end(&mut state, Kind::Abandon, b"");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

impl Shared {
    fn push(&self, kind: Kind, bytes: &[u8]) {
        lock(&self.tape.shards[self.shard]).push(self.number, kind, bytes, monotonic_nanos());
    }

    fn end_if_over(&self, state: &mut State) {
        if state.request_ended
            && !state.is_held
            && !state.is_over
            && let Some(trailers) = state.response_ended.take()
        {
            self.end(state, Kind::ResponseEnd, &trailers);
        }
    }

    fn end(&self, state: &mut State, kind: Kind, payload: &[u8]) {
        state.is_over = true;
        self.push(kind, payload);
        self.tape.open.fetch_sub(1, Ordering::Relaxed);
    }

    fn close(&self, state: &mut State, failure: &Failure) {
        if state.is_over {
            return;
        }
        match state.response_ended.take() {
            Some(trailers) => self.end(state, Kind::ResponseEnd, &trailers),
            None => self.end(state, Kind::Error, failure.text().as_bytes()),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let mut state = std::mem::take(self.state.get_mut().unwrap_or_else(PoisonError::into_inner));
        self.close(&mut state, &CLIENT_CLOSED);
    }
}
