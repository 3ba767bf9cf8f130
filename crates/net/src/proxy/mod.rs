//! The reverse proxy: a client is told that its API lives here, and what it sends goes on to the one configured upstream.
//!
//! **What passes.** Bodies pass frame by frame in both directions; a frame is asked of one side when the other can take it,
//! so nothing is gathered here beyond hyper's own buffers, and back-pressure reaches whoever is too fast. Each chunk is
//! written when it has arrived (TCP_NODELAY on both sides). Trailers pass; so does an upgrade (WebSocket), as bytes in
//! both directions. `Expect: 100-continue` is answered when the upstream has answered it (`patience`). A client that goes
//! away ends its request upstream, and an upstream that breaks off breaks the client's connection off.
//!
//! **What is changed.** `Host` becomes the upstream's, and fields that concern one connection stay on it (`hop`). All else is
//! sent as it came: fields in their order, with their spelling (HTTP/1.1), repeated ones as often; the target byte for byte
//! behind the upstream's prefix; content encodings as they are. The client's version is spoken upstream too: HTTP/1.1 to
//! HTTP/1.1, HTTP/2 to HTTP/2 where TLS agrees on it (ALPN), else HTTP/1.1. What hyper cannot tell us is lost:
//! lines of one name that stand apart are sent together (RFC 9110 §5.3), 1xx answers other than 100 and 101 are dropped, a
//! body may be cut into other chunks on the wire than it came in, the length of an empty body comes last of the fields, and
//! trailers reach a client of HTTP/1.1 if it has said that it takes them (`TE: trailers`, RFC 9110 §6.5.1).
//!
//! **Rules** (`ruled`) change that for exchanges that one of them matches, if there are any. All others, and a proxy without
//! rules, take the path that is described here.
//!
//! **What it costs.** Under 0.3 ms to the first byte on a warm connection, nothing visible to a chunk; 2,000 streams at
//! once. `benchmark/proxy` has the figures.
//!
//! **Threads.** A connection stays on one thread, and so do its connections to the upstream: waking another thread twice for
//! each chunk would cost more than all that is done with it. So each worker is a runtime of one thread with a pool of its own,
//! and connections go to the workers in turn.
//!
//! **What is on record.** What came from the client, with the upstream's URL, and what the upstream answered; before either
//! is passed on, so that nothing a client received is missing when this process is killed. What the proxy answers itself
//! (an upstream that cannot be reached, a request that is refused) is no response of the upstream's: of the first there is
//! a failed exchange, of the second nothing.
//!
//! **Safety.** Loopback only, unless `Access::Remote`. A request whose `Host` is not this proxy's is refused: a page in a
//! browser cannot reach it by a name of its own that resolves to 127.0.0.1 (DNS rebinding). It forwards to the configured
//! upstream alone, whatever a request names; `CONNECT` is refused. It adds no credentials to anything.
//!
//! **Timeouts.** For the connection to the upstream alone. A model may think for minutes between two bytes, and the client
//! knows how long it wants to wait.

mod access;
pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod forward;
mod hop;
#[doc(hidden)]
pub mod outside;
mod patience;
pub(crate) mod ruled;
mod selection;
mod upgrade;

pub use access::{Access, Token};
pub use selection::Selection;
pub(crate) use selection::{is_messages, is_model_call};

use crate::connect::Connector;
use crate::error::{Error, Result};
use crate::tape::Tape;
use crate::upstream::Upstream;
use claude_trace_core::interceptor::Registry;
use forward::{Forward, OfConnection};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

/// Clients bound themselves; this bounds what a broken one can hold.
const MAX_HTTP2_STREAMS: u32 = 4096;
/// hyper's own limit of 100 is less than some clients send.
const MAX_HEADERS: usize = 1000;
/// How long a stranger may take to send a head. Programs of this machine may keep a connection for as long as they like.
const REMOTE_HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// After accept() fails (no file descriptors left, as a rule), before it is tried again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a reverse proxy does.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it listens; port 0 is any free one.
    pub listen: SocketAddr,
    /// Where requests go.
    pub upstream: Upstream,
    /// Who may use it.
    pub access: Access,
    /// What is recorded.
    pub selection: Selection,
    /// Interceptors on the way of what passes.
    pub live: Option<Arc<Registry>>,
}

/// A reverse proxy that listens.
pub struct Proxy {
    listener: TcpListener,
    address: SocketAddr,
    config: Config,
    connector: Connector,
    tape: Tape,
}

impl Proxy {
    /// Begins to listen. Connections wait until [`Self::serve`].
    pub async fn bind(config: Config, connector: &Connector, tape: Tape) -> Result<Self> {
        let asked = config.listen;
        if !asked.ip().is_loopback() && !matches!(config.access, Access::Remote(_)) {
            return Err(Error::Remote { address: asked });
        }
        let failed = |source| Error::Listen { address: asked, source };
        let listener = TcpListener::bind(asked).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, config, connector: connector.clone(), tape })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections for as long as it is polled, each in a task on one of `workers`, which take turns.
    pub async fn serve(self, workers: &[Handle]) {
        let is_remote = !self.config.listen.ip().is_loopback();
        let server = Arc::new(server(is_remote.then_some(REMOTE_HEAD_TIMEOUT)));
        let forward =
            || Arc::new(Forward::new(self.config.clone(), self.connector.clone(), self.tape.clone()));
        let workers: Vec<_> = workers.iter().map(|worker| (worker, forward())).collect();
        for (worker, forward) in workers.iter().cycle() {
            let stream = accept(&self.listener).await;
            self.tape.prepare();
            worker.spawn(connection(Arc::clone(&server), stream, Arc::clone(forward)));
        }
    }
}

/// The next connection, free of this thread's runtime.
pub(crate) async fn accept(listener: &TcpListener) -> std::net::TcpStream {
    loop {
        match listener.accept().await.and_then(|(stream, _)| stream.into_std()) {
            Ok(stream) => return stream,
            // One connection that failed before it was ours, or no room for more: the others go on.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// What serves a client's connection. `head_timeout` is for a head that comes slowly.
pub(crate) fn server(head_timeout: Option<Duration>) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .preserve_header_case(true)
        .auto_date_header(false)
        .max_headers(MAX_HEADERS)
        .header_read_timeout(head_timeout);
    server
        .http2()
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .adaptive_window(true)
        .max_concurrent_streams(MAX_HTTP2_STREAMS);
    server
}

async fn connection(
    server: Arc<auto::Builder<TokioExecutor>>,
    stream: std::net::TcpStream,
    forward: Arc<Forward>,
) {
    let Ok(stream) = TcpStream::from_std(stream) else { return };
    // A chunk must not wait for the acknowledgement of the one before it.
    let _ = stream.set_nodelay(true);
    let of_connection = Arc::new(OfConnection::new(forward));
    let service = service_fn(move |request| Arc::clone(&of_connection).answer(request));
    // How a connection ends is known where its exchanges are.
    let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}
