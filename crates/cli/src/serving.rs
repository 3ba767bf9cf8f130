//! Proxies in the background of a command: workers, each a runtime on a thread of its own, and the tape that they tell.

use crate::failure::Failure;
use crate::recording::Recording;
use claude_trace_core::pipeline::Pipeline;
use claude_trace_core::pipeline::recorder::Stats;
use claude_trace_net::connect::Connector;
use claude_trace_net::{Config, ForwardProxy, Proxy, Tape, intercept};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// More threads than this are of no use to what only moves bytes.
const MAX_THREADS: usize = 4;
/// How long the end waits for the log. The next start completes it.
const DRAIN: Duration = Duration::from_secs(5);
/// What a program that the client has left behind may still be waiting for is not waited for any longer.
const SETTLE: Duration = Duration::from_millis(250);

/// Proxies that serve until this is stopped.
pub struct Serving {
    workers: Vec<Worker>,
    connector: Connector,
    tape: Tape,
}

struct Worker {
    handle: Handle,
    /// Its thread ends when this is dropped.
    _running: oneshot::Sender<()>,
}

impl Serving {
    /// Starts no proxy yet.
    pub fn start(
        recording: &Recording,
        roots: &[PathBuf],
        connect_timeout: Duration,
    ) -> Result<Self, Failure> {
        Self::with(recording, Connector::new(roots, connect_timeout).map_err(Failure::new)?)
    }

    /// The same, with a way to upstreams of its own.
    pub fn with(recording: &Recording, connector: Connector) -> Result<Self, Failure> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        let workers: Result<_, _> = (0..threads).map(|_| Worker::start()).collect();
        let workers = workers
            .map_err(|error| Failure::new(format_args!("cannot start the proxy's threads: {error}")))?;
        let pipeline = Pipeline::new(recording.config.clone(), recording.notices()).map_err(Failure::new)?;
        let tape = Tape::new(&pipeline, threads).expect("a new pipeline has not ended");
        Ok(Self { workers, connector, tape })
    }

    /// Adds a proxy, and returns where it listens.
    pub fn add(&self, config: Config) -> Result<SocketAddr, Failure> {
        let binding = Proxy::bind(config, &self.connector, self.tape.clone());
        let first = &self.workers[0].handle;
        let proxy = first.block_on(binding).map_err(Failure::new)?;
        let address = proxy.address();
        let handles: Vec<_> = self.workers.iter().map(|worker| worker.handle.clone()).collect();
        first.spawn(async move { proxy.serve(&handles).await });
        Ok(address)
    }

    /// Adds a forward proxy, and returns the URL that its clients are told.
    pub fn add_forward(&self, config: intercept::Config) -> Result<String, Failure> {
        let binding = ForwardProxy::bind(config, &self.connector, self.tape.clone());
        let first = &self.workers[0].handle;
        let proxy = first.block_on(binding).map_err(Failure::new)?;
        let url = proxy.url();
        let handles: Vec<_> = self.workers.iter().map(|worker| worker.handle.clone()).collect();
        first.spawn(async move { proxy.serve(&handles).await });
        Ok(url)
    }

    /// Lets this process have as many connections as the system allows: an exchange takes two. Programs that are started
    /// afterwards inherit it, and old ones cannot cope (`select`).
    pub fn widen(&self) {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        if current != maximum {
            // It serves fewer clients then.
            let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        }
    }

    /// Waits a moment for the ends of what is open. When a client has ended, its connections have too, and say themselves how:
    /// that all has arrived, or that it has not.
    pub fn settle(&self) {
        let until = Instant::now() + SETTLE;
        while self.tape.open() > 0 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends what is open, with the reason in its records, and waits for the log. Says whether the log has all.
    pub fn stop(self, why: &'static str) -> (Stats, bool) {
        let complete = self.tape.close(why, Instant::now() + DRAIN);
        (self.tape.stats(), complete)
    }
}

impl Worker {
    fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel::<()>();
        std::thread::Builder::new().name("ct-proxy".into()).spawn(move || {
            let _ = runtime.block_on(ended);
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, _running: running })
    }
}
