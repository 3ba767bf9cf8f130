//! From entries to records in the log: one pipeline per process and log, whatever the number of JS environments that
//! push into it.
//!
//! Nothing is started before the first exchange: no thread, no file, no folder. Then, in this order: a session in the best
//! root there is, and the threads. Where the session or a thread cannot be had, standard mode takes over and one notice
//! says so.
//!
//! **Order.** Records are written in the order in which their exchanges finished; one that interceptors watch, when these are
//! done with it.
//! **Loss.** What a push has copied is lost only with the machine, or if the spool reaches `max_spool_bytes`; that is
//! counted and marked in the record. Without a session (plain memory) it is lost with the process.

pub mod assembler;
mod crew;
mod gate;
mod inline;
mod read_stage;
pub mod recorder;
mod stage_thread;
mod supervise;
mod tap;
mod threads;
mod turns;
mod write_stage;

pub use recorder::Recorder;
pub use tap::Tap;

use crate::assembly::{Context, Recipe, Streams};
use crate::clock::{Clock, monotonic_nanos, wall_nanos};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::interceptor::{Registry, Stats as InterceptorStats};
use crate::notice::{Level, Notices};
use crate::record::RecordOptions;
use crate::recover::Recovery;
use crate::spool::chain::{Chain, Waker};
use crate::spool::pool::Pool;
use crate::spool::root;
use crate::spool::session::{Record, Session, VERSION};
use crate::stats::{Counters, Latencies};
use crate::writer::log::Target;
use crate::writer::{BeforeOpen, LogPath, Writer};
use assembler::Assembler;
use inline::Inline;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tap::{Runner, Scopes};
use threads::{Parts, Threads};

/// The longest that the writer waits for a recovery that may be completing the same log.
const RECOVERY_WAIT: Duration = Duration::from_secs(5);

/// The last recorder has closed.
const FINISHED: usize = usize::MAX;

/// Everything between the recorders of a process and one log.
#[derive(Debug)]
pub struct Pipeline {
    config: Config,
    notices: Notices,
    target: Target,
    log_path: Arc<LogPath>,
    counters: Arc<Counters>,
    latencies: Arc<Latencies>,
    clock: Clock,
    /// When it was made, on the monotonic clock.
    made_at: u64,
    recovery: Arc<Recovery>,
    streams: Arc<Streams>,
    interceptors: Arc<Registry>,
    scopes: Scopes,
    next_scope: AtomicU32,
    engine: OnceLock<Engine>,
    /// Takes over when the threads of `engine` have failed.
    substitute: OnceLock<Engine>,
    preparing: AtomicBool,
    chains: AtomicU32,
    /// Recorders that have not been closed, or [`FINISHED`].
    recorders: AtomicUsize,
}

/// A request to end open exchanges: those of one chain or of all, and why.
type Cut = (Option<u32>, &'static str);

/// What runs once there is an exchange.
#[derive(Debug)]
struct Engine {
    pool: Arc<Pool>,
    waker: Arc<Waker>,
    session: Option<(Arc<Session>, Record)>,
    work: Work,
    /// Why standard mode took over, if it did.
    fallback: Option<String>,
}

#[derive(Debug)]
enum Work {
    Threads(Threads),
    Inline(Box<Mutex<Inline>>),
}

impl Pipeline {
    /// A pipeline that has started nothing but, if there are any, the recovery of orphaned sessions.
    pub fn new(config: Config, notices: Notices) -> Result<Arc<Self>> {
        config.validate()?;
        let started_at = wall_nanos();
        let target = Target {
            directory: config.log_directory.clone(),
            base_name: config.log_base_name.clone(),
            started_at,
        };
        let counters = Arc::new(Counters::default());
        let recovery = Recovery::start(&config, &notices, &counters);
        Ok(Arc::new(Self {
            log_path: LogPath::planned(&target),
            config,
            notices,
            target,
            counters,
            latencies: Arc::default(),
            clock: Clock::now(),
            made_at: monotonic_nanos(),
            recovery,
            streams: Arc::default(),
            interceptors: Arc::default(),
            scopes: Scopes::default(),
            next_scope: AtomicU32::new(0),
            engine: OnceLock::new(),
            substitute: OnceLock::new(),
            preparing: AtomicBool::new(false),
            chains: AtomicU32::new(0),
            recorders: AtomicUsize::new(0),
        }))
    }

    /// Starts on a thread what the first exchange will need. Called when a request is about to be made: its connection
    /// takes longer than the start, so that the push of its head finds everything ready. Without it, or if no thread can be
    /// had, that push does the work itself.
    pub fn prepare(self: &Arc<Self>) {
        if self.engine.get().is_none() && !self.preparing.swap(true, Ordering::AcqRel) {
            let this = Arc::clone(self);
            let _ = std::thread::Builder::new().name("ct-start".into()).spawn(move || {
                this.engine();
            });
        }
    }

    fn engine(&self) -> &Engine {
        self.engine.get_or_init(|| self.start(self.config.zero_latency))
    }

    /// The engine that is at work: the substitute once the first one has failed.
    fn working_engine(&self) -> &Engine {
        let engine = self.engine();
        if engine.has_failed() { self.substitute.get_or_init(|| self.start(false)) } else { engine }
    }

    fn start(&self, zero_latency: bool) -> Engine {
        let (session, mut fallback) = match self.create_session() {
            Ok(session) => (Some(session), None),
            Err(error) => (None, Some(format!("no spool: {error}"))),
        };
        let folder = session.as_ref().map(|(s, _)| s.folder().to_owned());
        let overflow = session.as_ref().and_then(|(_, record)| record.overflow.clone());
        let pool = Arc::new(Pool::new(&self.config, folder, overflow, Arc::clone(&self.counters)));
        let waker = Arc::new(Waker::default());
        let threaded = zero_latency && fallback.is_none();
        let started = threaded.then(|| {
            let runner = Runner::Thread(Arc::clone(&waker), None);
            Threads::start(self.parts(&pool, &session, RECOVERY_WAIT, runner), Arc::clone(&waker))
        });
        let work = match started {
            Some(Ok(threads)) => Work::Threads(threads),
            failed => {
                if let Some(Err(error)) = failed {
                    fallback = Some(error.to_string());
                }
                let Parts { assembler, recipe, writer, counters, .. } =
                    self.parts(&pool, &session, self.inline_patience(), Runner::Here(Box::default()));
                Work::Inline(Box::new(Mutex::new(Inline::new(assembler, recipe, writer, counters))))
            }
        };
        if let Some(why) = &fallback {
            self.notices.say(Level::Warn, || format!("{why}; going on in standard mode"));
        }
        Engine { pool, waker, session, work, fallback }
    }

    fn parts(
        &self,
        pool: &Arc<Pool>,
        session: &Option<(Arc<Session>, Record)>,
        patience: Duration,
        runner: Runner,
    ) -> Parts {
        let context = Context {
            session: session
                .as_ref()
                .map_or_else(|| format!("{:x}", self.target.started_at), |(s, _)| s.id.clone()),
            pid: std::process::id(),
            recovered: false,
            zero_latency: self.config.zero_latency,
        };
        let recovery = Arc::clone(&self.recovery);
        Parts {
            assembler: Assembler::new(
                Arc::clone(pool),
                Tap::new(
                    Arc::clone(&self.interceptors),
                    Arc::clone(&self.scopes),
                    self.clock,
                    self.config.max_decoded_bytes,
                    runner,
                ),
                Arc::clone(&self.counters),
                Arc::clone(&self.latencies),
            ),
            pool: Arc::clone(pool),
            recipe: Recipe {
                context,
                options: RecordOptions {
                    max_decoded_bytes: self.config.max_decoded_bytes,
                    derive: !self.config.deferred_parsing,
                },
                streams: Arc::clone(&self.streams),
            },
            writer: Writer::new(
                &self.config,
                self.target.clone(),
                session.clone(),
                BeforeOpen(Box::new(move || {
                    recovery.wait(Instant::now() + patience);
                })),
                Arc::clone(&self.log_path),
                Arc::clone(&self.counters),
                self.notices.clone(),
            ),
            workers: self.config.background_workers,
            batch_size: self.config.write_buffer_size,
            flush_after: Duration::from_millis(self.config.write_buffer_flush_ms),
            record_bytes: self.config.memory_pool_size as usize,
            counters: Arc::clone(&self.counters),
            notices: self.notices.clone(),
        }
    }

    /// Standard mode would wait on the JS thread: only for a name that was asked for, which a recovery may be continuing.
    fn inline_patience(&self) -> Duration {
        if self.config.log_base_name.is_some() { Duration::from_secs(1) } else { Duration::ZERO }
    }

    fn create_session(&self) -> Result<(Arc<Session>, Record)> {
        let started_at = wall_nanos();
        let pid = std::process::id();
        let overflow =
            root::log_folder_root(&self.config.log_directory).join(root::overflow_name(started_at, pid));
        let record = Record {
            version: VERSION,
            pid,
            started_at,
            log_directory: self.config.log_directory.clone(),
            log_base_name: self.config.log_base_name.clone(),
            log_file: None,
            overflow: Some(overflow),
            runtime_dir: self.config.runtime_dir.clone(),
            zero_latency: self.config.zero_latency,
            max_decoded_bytes: self.config.max_decoded_bytes,
        };
        let disk = &self.config.disk;
        let mut why = None;
        for root in root::candidates(&self.config) {
            let made = root::prepare(disk, &root).and_then(|()| Session::create(disk, &root, &record));
            match made {
                Ok(session) => {
                    root::leave_pointer(&self.config, &root);
                    return Ok((Arc::new(session), record));
                }
                Err(error) => why = Some(error),
            }
        }
        Err(why.unwrap_or(Error::UnsafeFolder { path: PathBuf::new(), why: "there is no folder to try" }))
    }

    /// Waits until all that has been pushed is in the log. Whether it is.
    pub fn drain(&self, deadline: Instant) -> bool {
        self.recovery.wait(deadline) & self.settle(None, deadline)
    }

    fn settle(&self, cut: Option<Cut>, deadline: Instant) -> bool {
        [&self.engine, &self.substitute]
            .into_iter()
            .filter_map(OnceLock::get)
            .all(|engine| engine.settle(cut, deadline))
    }

    /// The interceptors of all environments, and where further ones are registered.
    pub fn interceptors(&self) -> &Arc<Registry> {
        &self.interceptors
    }

    /// What they have done.
    pub fn interceptor_stats(&self) -> InterceptorStats {
        self.interceptors.stats()
    }

    fn cut(&self, cut: Cut, deadline: Instant) {
        for engine in [&self.engine, &self.substitute].into_iter().filter_map(OnceLock::get) {
            match &engine.work {
                Work::Threads(threads) => threads.cut(cut, deadline),
                Work::Inline(inline) => lock(inline).cut(cut),
            }
        }
    }

    fn has_failed(&self) -> bool {
        self.engine.get().is_some_and(Engine::has_failed)
    }

    /// A new chain, and the engine that reads it.
    fn attach(&self, scope: u32) -> (Arc<Chain>, &Engine) {
        let chain = Chain::new(self.chains.fetch_add(1, Ordering::Relaxed));
        lock(&self.scopes).insert(chain.number, scope);
        let engine = self.working_engine();
        match &engine.work {
            Work::Threads(threads) => threads.attach(Arc::clone(&chain)),
            Work::Inline(inline) => lock(inline).attach(Arc::clone(&chain)),
        }
        (chain, engine)
    }

    /// Ends the threads and removes the session, of which everything is in the log.
    fn finish(&self) {
        for engine in [&self.engine, &self.substitute].into_iter().filter_map(OnceLock::get) {
            if let Work::Threads(threads) = &engine.work {
                threads.stop();
            }
            if let Some((session, record)) = &engine.session {
                session.remove(record.overflow.as_deref());
            }
        }
    }
}

impl Drop for Engine {
    /// Whatever is not in the log stays in the spool for the next start.
    fn drop(&mut self) {
        self.pool.freeze();
    }
}

impl Engine {
    fn has_failed(&self) -> bool {
        matches!(&self.work, Work::Threads(threads) if threads.has_failed())
    }

    fn settle(&self, cut: Option<Cut>, deadline: Instant) -> bool {
        match &self.work {
            Work::Threads(threads) => threads.settle(cut, deadline),
            Work::Inline(inline) => lock(inline).settle(cut),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
