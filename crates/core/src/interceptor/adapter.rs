//! Interceptors of single events, run on batches. An async one costs one wait for a batch at most, and none where it is ready
//! at once.

use super::batch::{Event, EventBatch, Replacement, Verdict};
use super::hooks::{Failed, Interceptor};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// An event with what it owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in Event")]
pub struct OwnedEvent {
    pub number: u64,
    pub data: Vec<u8>,
    pub kind: Vec<u8>,
    pub id: Vec<u8>,
    pub retry: Option<u64>,
    pub at: u64,
}

/// Is asked about one event at a time.
pub trait EventInterceptor: Send {
    /// What is to stand in the record: the event, another in its place, or none.
    fn on_event(&mut self, event: OwnedEvent) -> Result<Option<OwnedEvent>, Failed>;
}

impl<F: FnMut(OwnedEvent) -> Result<Option<OwnedEvent>, Failed> + Send> EventInterceptor for F {
    fn on_event(&mut self, event: OwnedEvent) -> Result<Option<OwnedEvent>, Failed> {
        self(event)
    }
}

/// What an [`AsyncEventInterceptor`] returns.
pub type EventFuture<'a> = Pin<Box<dyn Future<Output = Result<Option<OwnedEvent>, Failed>> + Send + 'a>>;

/// The same, and may wait. It must bring its own runtime: nothing here drives timers or sockets.
pub trait AsyncEventInterceptor: Send {
    /// As [`EventInterceptor::on_event`].
    fn on_event(&mut self, event: OwnedEvent) -> EventFuture<'_>;
}

/// Runs an [`EventInterceptor`] on batches.
#[derive(Debug)]
pub struct PerEvent<T>(pub T);

impl<T: EventInterceptor> Interceptor for PerEvent<T> {
    fn on_events(&mut self, batch: &mut EventBatch) -> Result<(), Failed> {
        for index in 0..batch.len() {
            let Some(event) = batch.get(index).map(owned) else { break };
            let answer = self.0.on_event(event)?;
            decide(batch, index, answer);
        }
        Ok(())
    }
}

/// Runs an [`AsyncEventInterceptor`] on batches. A batch that takes longer than `timeout` is a failure: others wait.
#[derive(Debug)]
pub struct PerEventAsync<T> {
    /// Asked about each event.
    pub interceptor: T,
    /// For a whole batch.
    pub timeout: Duration,
}

impl<T: AsyncEventInterceptor> Interceptor for PerEventAsync<T> {
    fn on_events(&mut self, batch: &mut EventBatch) -> Result<(), Failed> {
        let Self { interceptor, timeout } = self;
        let all = async {
            for index in 0..batch.len() {
                let Some(event) = batch.get(index).map(owned) else { break };
                let answer = interceptor.on_event(event).await?;
                decide(batch, index, answer);
            }
            Ok(())
        };
        block_on(all, Instant::now() + *timeout)
            .unwrap_or_else(|| Err(Failed(format!("a batch took longer than {timeout:?}"))))
    }
}

fn owned(event: Event<'_>) -> OwnedEvent {
    let Event { number, data, kind, id, retry, at } = event;
    OwnedEvent { number, data: data.to_vec(), kind: kind.to_vec(), id: id.to_vec(), retry, at }
}

fn decide(batch: &mut EventBatch, index: usize, answer: Option<OwnedEvent>) {
    let Some(is) = answer else { return batch.decide(index, Verdict::Drop) };
    let Some(was) = batch.get(index) else { return };
    let other = |is: Vec<u8>, was: &[u8]| (is != was).then_some(is);
    let replacement = Replacement {
        data: other(is.data, was.data),
        kind: other(is.kind, was.kind),
        id: other(is.id, was.id),
    };
    if replacement != Replacement::default() {
        batch.decide(index, Verdict::Replace(replacement));
    }
}

struct Parked {
    thread: Thread,
    is_woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Drives a future on this thread; `None`: it was not ready by the deadline.
fn block_on<T>(future: impl Future<Output = T>, deadline: Instant) -> Option<T> {
    let mut future = pin!(future);
    let parked = Arc::new(Parked { thread: std::thread::current(), is_woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&parked));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return Some(value);
        }
        while !parked.is_woken.swap(false, Ordering::Acquire) {
            std::thread::park_timeout(deadline.checked_duration_since(Instant::now())?);
        }
    }
}
