//! The thread that runs the stage of interceptors in zero-latency mode.

use crate::clock::{Clock, monotonic_nanos};
use crate::error::{Error, Result};
use crate::interceptor::{Answer, Changes, Key, Outcome, Registry, Stage, Watch};
use crate::spool::chain::Waker;
use crate::spool::pool::Hold;
use crossbeam_channel::{
    Receiver, SendTimeoutError, Sender, TrySendError, bounded, never, select_biased, unbounded,
};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What the assembler may be ahead. A tenth of a second of a stream of 10,000 chunks a second.
const QUEUE: usize = 1024;
/// How many events are taken in before timers and answers are looked at again.
const IN_A_ROW: usize = 256;
/// How long its end is waited for.
const FAREWELL: Duration = Duration::from_secs(1);

/// A place in the spool.
#[derive(Debug)]
pub struct Piece {
    /// Keeps it there.
    pub hold: Hold,
    /// Its first byte in the segment.
    pub start: usize,
    /// Behind its last.
    pub end: usize,
}

impl Piece {
    /// Lends its bytes. What cannot be read any more is passed over: making the record will say so.
    pub fn read(&self, look: impl FnOnce(&[u8])) {
        if let Ok(bytes) = self.hold.segment().read(self.start, self.end) {
            look(&bytes);
        }
    }
}

/// What happens to a watched exchange.
#[derive(Debug)]
pub enum Event {
    /// It begins.
    Request { watch: Box<Watch>, head: Vec<u8>, at: u64, is_decoded: bool },
    /// A piece of its request's body.
    RequestBody(Piece, u64),
    /// That is whole.
    RequestEnd,
    /// The head of its response.
    Response(Vec<u8>, u64),
    /// A piece of its response's body.
    Body(Piece, u64),
    /// It is over.
    End(Outcome, u64),
    /// It is watched no more.
    Forget,
}

/// Shows an event to the stage.
pub fn show(stage: &mut Stage, key: Key, event: Event, now: u64) {
    match event {
        Event::Request { watch, head, at, is_decoded } => {
            stage.request(key, *watch, head, at, is_decoded, now);
        }
        Event::RequestBody(piece, at) => piece.read(|bytes| stage.request_body(key, bytes, at, now)),
        Event::RequestEnd => stage.request_end(key, now),
        Event::Response(head, at) => stage.response(key, head, at, now),
        Event::Body(piece, at) => piece.read(|bytes| stage.body(key, bytes, at, now)),
        Event::End(outcome, at) => stage.end(key, outcome, at, now),
        Event::Forget => stage.forget(key),
    }
}

enum Message {
    Event(Key, Event),
    Hurry(Option<u32>, Sender<()>),
}

type Done = Vec<(Key, Option<Box<Changes>>)>;

/// Why an event was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no room.
    Full,
    /// The thread has ended.
    Gone,
}

/// The running thread. Ends when it is dropped.
#[derive(Debug)]
pub struct StageThread {
    messages: Option<Sender<Message>>,
    done: Receiver<Done>,
    handle: Option<JoinHandle<()>>,
    /// Nothing is ever sent: it is disconnected when the thread is at its end.
    ended: Receiver<()>,
}

impl StageThread {
    /// Starts it. `waker` is told when exchanges are done.
    pub fn start(
        registry: &Registry,
        clock: Clock,
        max_decoded_bytes: usize,
        waker: &Arc<Waker>,
    ) -> Result<Self> {
        let (messages, messages_in) = bounded(QUEUE);
        let (done_out, done) = unbounded();
        let (ends, ended) = bounded(0);
        let run = Run {
            stage: Stage::new(Arc::clone(registry.totals()), max_decoded_bytes),
            messages: messages_in,
            answers: registry.answers(),
            done: done_out,
            clock,
            waker: Arc::clone(waker),
        };
        let name = "ct-intercept";
        let thread = std::thread::Builder::new().name(name.into()).stack_size(1024 * 1024);
        let body = move || {
            let _ends: Sender<()> = ends;
            run.run();
        };
        let handle = thread.spawn(body).map_err(|source| Error::Thread { name: name.into(), source })?;
        Ok(Self { messages: Some(messages), done, handle: Some(handle), ended })
    }

    /// Sends an event, waiting so long for room at most.
    pub fn send(&self, key: Key, event: Event, patience: Duration) -> Result<(), Refused> {
        let Some(messages) = &self.messages else { return Err(Refused::Gone) };
        match messages.try_send(Message::Event(key, event)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Disconnected(_)) => Err(Refused::Gone),
            Err(TrySendError::Full(_)) if patience.is_zero() => Err(Refused::Full),
            Err(TrySendError::Full(message)) => messages.send_timeout(message, patience).map_err(|error| {
                if matches!(error, SendTimeoutError::Timeout(_)) { Refused::Full } else { Refused::Gone }
            }),
        }
    }

    /// What is done by now.
    pub fn done(&self) -> Done {
        self.done.try_iter().flatten().collect()
    }

    /// Has what is over finished without waiting for anybody. Returns when that is so, or at the deadline.
    pub fn hurry(&self, chain: Option<u32>, until: Instant) {
        let Some(messages) = &self.messages else { return };
        let (reply, answer) = bounded(1);
        if messages.send_deadline(Message::Hurry(chain, reply), until).is_ok() {
            let _ = answer.recv_deadline(until);
        }
    }
}

impl Drop for StageThread {
    fn drop(&mut self) {
        self.messages.take();
        let _ = self.ended.recv_timeout(FAREWELL);
        // One that hangs in an interceptor is left behind.
        if let Some(handle) = self.handle.take().filter(JoinHandle::is_finished) {
            let _ = handle.join();
        }
    }
}

struct Run {
    stage: Stage,
    messages: Receiver<Message>,
    answers: Receiver<Answer>,
    done: Sender<Done>,
    clock: Clock,
    waker: Arc<Waker>,
}

impl Run {
    fn run(mut self) {
        let mut replies: Vec<Sender<()>> = Vec::new();
        loop {
            let now = self.now();
            let due = self.stage.poll(now);
            let done = self.stage.take_done();
            if !done.is_empty() {
                // Nobody listens any more when the pipeline ends.
                let _ = self.done.send(done);
                self.waker.wake();
            }
            // After what it asked for has been sent.
            for reply in replies.drain(..) {
                let _ = reply.send(());
            }
            let timer = due.map_or_else(never, |due| {
                crossbeam_channel::after(Duration::from_nanos(due.saturating_sub(self.now())))
            });
            select_biased! {
                recv(self.answers) -> answer => {
                    if let Ok(answer) = answer {
                        self.stage.answer(answer, now);
                    }
                    for answer in self.answers.try_iter().take(IN_A_ROW) {
                        self.stage.answer(answer, now);
                    }
                }
                recv(self.messages) -> message => {
                    let Ok(message) = message else { return };
                    self.take_in(message, &mut replies);
                    for message in self.messages.clone().try_iter().take(IN_A_ROW) {
                        self.take_in(message, &mut replies);
                    }
                }
                recv(timer) -> _ => {}
            }
        }
    }

    fn take_in(&mut self, message: Message, replies: &mut Vec<Sender<()>>) {
        let now = self.now();
        match message {
            Message::Event(key, event) => show(&mut self.stage, key, event, now),
            Message::Hurry(chain, reply) => {
                let answers = self.answers.clone();
                answers.try_iter().for_each(|answer| self.stage.answer(answer, now));
                self.stage.hurry(chain, now);
                replies.push(reply);
            }
        }
    }

    fn now(&self) -> u64 {
        self.clock.wall(monotonic_nanos())
    }
}
