//! The threads that make records: as many as were asked for, or as many as the queue needs.
//!
//! **One more** when the queue of finished exchanges has not been empty for [`Timing::behind_for`], since then those at work
//! are too few. Unless the writer holds them up: then more of them would only wait for it.
//! **One less** when, for [`Timing::keep_for`], no exchange has found as many waiting as there are workers. A surplus worker
//! looks for that when it has made a record and when the time is over; the first one stays, and has no deadline: an idle
//! process has no timers.
//!
//! The queue is looked at when an exchange joins it, by the thread that brings it. If none comes, none is behind.
//! **Order** is none of its business: workers take from the queue in order, and the writer puts their records back in order.

use crate::config::Workers;
use crate::error::{Result, words_of};
use crate::notice::{Level, Notices};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A third worker on four cores takes one from the host, the assembler or the writer, and costs more than it brings
/// (`benchmark/pipeline/README.md`).
const CORES_PER_WORKER: usize = 2;
const MOST: usize = 4;

/// When their number changes.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long the queue may be without a gap before one is added.
    pub behind_for: Duration,
    /// How long one that is not needed any more stays.
    pub keep_for: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        // A burst of streams that end together is over in less; and a thread a second costs nothing worth saving.
        Self { behind_for: Duration::from_millis(20), keep_for: Duration::from_secs(1) }
    }
}

/// What they do, and what tells when.
pub struct Trade<J> {
    /// Makes one record, and passes it on.
    pub work: Box<dyn Fn(J) + Send + Sync>,
    /// Whether records wait for the writer.
    pub is_held_up: Box<dyn Fn() -> bool + Send + Sync>,
    /// The clock.
    pub now: Box<dyn Fn() -> Instant + Send + Sync>,
    /// Where panics are told.
    pub notices: Notices,
}

/// Who is there.
#[derive(Debug, Default)]
pub struct Roster {
    running: AtomicUsize,
    handles: Mutex<Vec<JoinHandle<()>>>,
}

impl Roster {
    /// Threads that make records now.
    pub fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }

    /// Waits until all have ended, after their [`Crew`] has.
    pub fn join(&self) {
        let handles = std::mem::take(&mut *self.lock());
        for handle in handles {
            let _ = handle.join();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to the workers, of the one thread that brings them work. When it is dropped they make what is in the queue, and
/// end.
pub struct Crew<J> {
    jobs: Sender<J>,
    shared: Arc<Shared<J>>,
    /// Their number may change.
    is_elastic: bool,
    most: usize,
    behind_for: Duration,
    /// Since then each job has found others waiting.
    behind_since: Option<Instant>,
}

struct Shared<J> {
    jobs: Receiver<J>,
    trade: Trade<J>,
    roster: Arc<Roster>,
    keep_for: Duration,
    began: Instant,
    /// When all that are there were needed last: nanoseconds since `began`.
    needed_at: AtomicU64,
}

impl<J: Send + 'static> Crew<J> {
    /// Starts them. In the queue is room for so many jobs.
    pub fn start(size: Workers, room: usize, timing: Timing, trade: Trade<J>) -> Result<Self> {
        let (first, most) = match size {
            Workers::Fixed(number) => (number, number),
            Workers::Auto => (1, most_on(std::thread::available_parallelism().map_or(1, usize::from))),
        };
        Self::of(first, most, room, timing, trade)
    }

    fn of(first: usize, most: usize, room: usize, timing: Timing, trade: Trade<J>) -> Result<Self> {
        let (sender, jobs) = bounded(room);
        let began = (trade.now)();
        let Timing { behind_for, keep_for } = timing;
        let roster = Arc::default();
        let shared = Arc::new(Shared { jobs, trade, roster, keep_for, began, needed_at: AtomicU64::new(0) });
        let is_elastic = most > first;
        let crew = Self { jobs: sender, shared, is_elastic, most, behind_for, behind_since: None };
        for _ in 0..first {
            crew.add(false)?;
        }
        Ok(crew)
    }

    /// Who is there.
    pub fn roster(&self) -> Arc<Roster> {
        Arc::clone(&self.shared.roster)
    }

    /// Puts a job into the queue, when there is room in it.
    pub fn submit(&mut self, job: J) {
        if self.is_elastic {
            self.look();
        }
        // Fails when all workers are gone: then the spool keeps the exchange for the next start.
        let _ = self.jobs.send(job);
    }

    fn look(&mut self) {
        let running = self.shared.roster.running();
        let waiting = self.jobs.len();
        if waiting == 0 {
            self.behind_since = None;
            return;
        }
        let now = (self.shared.trade.now)();
        if waiting >= running {
            self.shared.needed(now);
        }
        let since = *self.behind_since.get_or_insert(now);
        let is_behind = now.duration_since(since) >= self.behind_for;
        if is_behind && running < self.most && !(self.shared.trade.is_held_up)() {
            self.behind_since = Some(now);
            self.shared.needed(now);
            // Without one more it goes on as it is.
            let _ = self.add(true);
        }
    }

    fn add(&self, is_surplus: bool) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let mut handles = shared.roster.lock();
        handles.retain(|handle| !handle.is_finished());
        let number = shared.roster.running.fetch_add(1, Ordering::Relaxed);
        let name = format!("ct-worker-{number}");
        let worker = Arc::clone(&shared);
        let of_thread = name.clone();
        let started = super::threads::spawn(name, move || worker.run(&of_thread, is_surplus));
        if started.is_err() {
            shared.roster.running.fetch_sub(1, Ordering::Relaxed);
        }
        handles.push(started?);
        Ok(())
    }
}

impl<J> Shared<J> {
    fn run(&self, name: &str, is_surplus: bool) {
        while let Some(job) = if is_surplus { self.next_or_retire() } else { self.jobs.recv().ok() } {
            // A job has its own ways to fail; what gets past them costs that job alone.
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (self.trade.work)(job))) {
                let words = words_of(&*panic);
                let notice =
                    || format!("the thread {name} panicked: {words}; it goes on with the next exchange");
                self.trade.notices.say(Level::Warn, notice);
            }
        }
        self.roster.running.fetch_sub(1, Ordering::Relaxed);
    }

    /// `None`: it has not been needed for long enough, or there will be no more jobs.
    fn next_or_retire(&self) -> Option<J> {
        loop {
            let until = self.stays_until();
            if (self.trade.now)() >= until {
                return None;
            }
            match self.jobs.recv_deadline(until) {
                Err(RecvTimeoutError::Timeout) => {}
                job => return job.ok(),
            }
        }
    }

    fn needed(&self, now: Instant) {
        let nanos = now.saturating_duration_since(self.began).as_nanos();
        self.needed_at.store(nanos as u64, Ordering::Relaxed);
    }

    fn stays_until(&self) -> Instant {
        self.began + Duration::from_nanos(self.needed_at.load(Ordering::Relaxed)) + self.keep_for
    }
}

fn most_on(cores: usize) -> usize {
    (cores / CORES_PER_WORKER).clamp(1, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    const TIMING: Timing = Timing { behind_for: Duration::from_millis(20), keep_for: Duration::from_secs(1) };
    const A_BIT: Duration = Duration::from_millis(1);

    /// Stands still until it is moved.
    #[derive(Clone)]
    struct Clock(Arc<Mutex<Instant>>);

    impl Clock {
        /// An hour ahead, so that no real deadline is ever reached.
        fn new() -> Self {
            Self(Arc::new(Mutex::new(Instant::now() + Duration::from_secs(3600))))
        }

        fn now(&self) -> Instant {
            *self.0.lock().unwrap()
        }

        fn pass(&self, time: Duration) {
            *self.0.lock().unwrap() += time;
        }
    }

    /// Says that it has begun, and is not over before it is let go.
    struct Job {
        number: usize,
        end: mpsc::Receiver<()>,
    }

    struct Scene {
        crew: Option<Crew<Job>>,
        roster: Arc<Roster>,
        clock: Clock,
        said: Arc<Mutex<Vec<String>>>,
        begun: mpsc::Receiver<usize>,
        is_held_up: Arc<Mutex<bool>>,
        jobs: usize,
    }

    impl Scene {
        fn new(most: usize) -> Self {
            let (clock, said) = (Clock::new(), Arc::<Mutex<Vec<String>>>::default());
            let is_held_up = Arc::<Mutex<bool>>::default();
            let (began, begun) = mpsc::channel();
            let (of_crew, heard, full) = (clock.clone(), Arc::clone(&said), Arc::clone(&is_held_up));
            let trade = Trade {
                work: Box::new(move |job: Job| {
                    began.send(job.number).unwrap();
                    job.end.recv().expect("a job that is let go by dropping its end fails");
                }),
                is_held_up: Box::new(move || *full.lock().unwrap()),
                now: Box::new(move || of_crew.now()),
                notices: Notices::new(Level::Warn, move |_, words| heard.lock().unwrap().push(words.into())),
            };
            let crew = Crew::of(1, most, 256, TIMING, trade).unwrap();
            let roster = crew.roster();
            Self { crew: Some(crew), roster, clock, said, begun, is_held_up, jobs: 0 }
        }

        /// A job that waits for its end.
        fn submit(&mut self) -> mpsc::Sender<()> {
            let (end, ends) = mpsc::channel();
            self.crew.as_mut().unwrap().submit(Job { number: self.jobs, end: ends });
            self.jobs += 1;
            end
        }

        fn next_begun(&self) -> usize {
            self.begun.recv_timeout(Duration::from_secs(20)).expect("a worker takes it")
        }

        /// Two at work, nothing waiting, and the ends of what they do.
        fn with_two_at_work() -> (Self, Vec<mpsc::Sender<()>>) {
            let mut scene = Self::new(2);
            let mut ends = vec![scene.submit()];
            assert_eq!(scene.next_begun(), 0);
            ends.extend([scene.submit(), scene.submit()]);
            scene.clock.pass(TIMING.behind_for);
            ends.push(scene.submit());
            // The new one makes 1; with its end and that of 2 the queue is left to both of them.
            assert_eq!((scene.next_begun(), scene.roster.running()), (1, 2));
            ends.remove(1).send(()).unwrap();
            assert_eq!(scene.next_begun(), 2);
            ends.remove(1).send(()).unwrap();
            assert_eq!(scene.next_begun(), 3);
            (scene, ends)
        }
    }

    #[test]
    fn one_is_added_when_the_queue_has_had_no_gap_for_long_enough() {
        let mut scene = Scene::new(3);
        let mut ends = vec![scene.submit()];
        assert_eq!(scene.next_begun(), 0);
        ends.extend([scene.submit(), scene.submit()]);
        scene.clock.pass(TIMING.behind_for - A_BIT);
        ends.push(scene.submit());
        assert_eq!(scene.roster.running(), 1, "not yet");
        scene.clock.pass(A_BIT);
        ends.push(scene.submit());
        assert_eq!(
            (scene.next_begun(), scene.roster.running()),
            (1, 2),
            "the first is held; another took the next"
        );
        ends.push(scene.submit());
        assert_eq!(scene.roster.running(), 2, "the next one has to be deserved again");
        for expected in [3, 3] {
            scene.clock.pass(TIMING.behind_for);
            ends.push(scene.submit());
            assert_eq!(scene.roster.running(), expected, "and no more than allowed");
        }
        drop(scene.crew.take());
        ends.iter().for_each(|end| end.send(()).unwrap());
        scene.roster.join();
        assert_eq!((scene.begun.try_iter().count() + 2, scene.roster.running()), (ends.len(), 0));
    }

    #[test]
    fn a_gap_in_the_queue_begins_the_time_anew() {
        let mut scene = Scene::new(2);
        for _ in 0..10 {
            let (first, second) = (scene.submit(), scene.submit());
            scene.clock.pass(TIMING.behind_for - A_BIT);
            [first, second].iter().for_each(|end| end.send(()).unwrap());
            // Both are taken: the next finds the queue empty.
            scene.next_begun();
            scene.next_begun();
        }
        assert_eq!(scene.roster.running(), 1);
    }

    #[test]
    fn none_is_added_while_the_writer_holds_them_up() {
        let mut scene = Scene::new(2);
        *scene.is_held_up.lock().unwrap() = true;
        let mut ends: Vec<_> = (0..3).map(|_| scene.submit()).collect();
        scene.next_begun();
        for expected in [1, 2] {
            scene.clock.pass(TIMING.behind_for);
            ends.push(scene.submit());
            assert_eq!(scene.roster.running(), expected);
            *scene.is_held_up.lock().unwrap() = false;
        }
    }

    #[test]
    fn a_surplus_worker_stays_while_it_may_be_needed_and_goes_when_it_is_not() {
        let (mut scene, ends) = Scene::with_two_at_work();
        scene.clock.pass(TIMING.keep_for - A_BIT);
        ends.iter().for_each(|end| end.send(()).unwrap());
        let ends = [scene.submit(), scene.submit()];
        // Neither is over, and both have begun: there are two still.
        scene.next_begun();
        scene.next_begun();
        scene.clock.pass(A_BIT);
        ends.iter().for_each(|end| end.send(()).unwrap());
        let surplus = scene.roster.lock().pop().unwrap();
        surplus.join().unwrap();
        assert_eq!(scene.roster.running(), 1);
        // The one that stays works on, and the other comes back when it is needed.
        let _first = scene.submit();
        scene.next_begun();
        let _waiting = [scene.submit(), scene.submit()];
        scene.clock.pass(TIMING.behind_for);
        let _last = scene.submit();
        assert_eq!(scene.roster.running(), 2);
    }

    #[test]
    fn the_queue_is_emptied_before_they_end() {
        let (mut scene, mut ends) = Scene::with_two_at_work();
        ends.extend((0..20).map(|_| scene.submit()));
        // Long past the time at which the surplus one goes: the other makes the rest.
        scene.clock.pass(10 * TIMING.keep_for);
        drop(scene.crew.take());
        ends.iter().for_each(|end| end.send(()).unwrap());
        scene.roster.join();
        assert_eq!(scene.begun.try_iter().collect::<std::collections::BTreeSet<_>>().len(), 20);
        assert_eq!(scene.roster.running(), 0);
    }

    #[test]
    fn a_panic_costs_its_job_and_no_worker() {
        let (mut scene, ends) = Scene::with_two_at_work();
        drop(ends);
        let ends = [scene.submit(), scene.submit()];
        // Both are held again, so both workers have outlived their panics.
        scene.next_begun();
        scene.next_begun();
        assert_eq!(scene.roster.running(), 2);
        assert_eq!(scene.said.lock().unwrap().len(), 2, "{:?}", scene.said);
        assert!(scene.said.lock().unwrap()[0].contains("panicked"));
        drop(scene.crew.take());
        ends.iter().for_each(|end| end.send(()).unwrap());
        scene.roster.join();
    }

    #[test]
    fn half_the_cores_are_left_to_others() {
        assert_eq!([1, 2, 3, 4, 6, 8, 64].map(most_on), [1, 1, 1, 2, 3, 4, 4]);
    }
}
