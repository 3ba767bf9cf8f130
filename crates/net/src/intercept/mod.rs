//! The forward proxy: a client is told to go through it (`HTTPS_PROXY`), and what it says to a host that is to be recorded is
//! decrypted on the way, by a certificate that the client was told to trust.
//!
//! **What is decrypted.** The hosts that [`Rules`] match, and nothing else: any other tunnel is two sockets and the bytes
//! between them, and its client sees its server's own certificate. So is a matched one if what the client begins with is
//! neither TLS nor HTTP, asks for protocols that are not HTTP, or names another host than its tunnel (`hello`). Once
//! decrypted, a connection is served as the reverse proxy serves one (`proxy`), with the host that the client has asked for as
//! its upstream; `Host` stays as it came.
//!
//! **Nobody is trusted more than before.** Before the client's handshake is answered, the server's is made, by the roots that
//! the client itself would use (the machine's, and what variables add). A certificate that does not pass is never passed over: the
//! client's requests are answered with a 502 that says what is wrong with it, and are on record as failed. The two
//! connections are then one: what the server agrees to (HTTP/2 or HTTP/1.1, by ALPN) is what the client is offered, and the
//! first request goes out on that very connection.
//!
//! **No open relay.** It listens on 127.0.0.1 and asks for a token that only the launched program was told
//! (`entrance`); without it there is a 407 and nothing else. The user's own forward proxy, if there is one, is gone through.
//!
//! **The authority** is `ca`; certificates of hosts are `leaves`. What a client does not trust it says (an alert), and a
//! line on stderr says so once for each host.
//!
//! **Plain HTTP** is served too, as an absolute URL or inside a tunnel, and recorded by the same rules.
//!
//! **What it costs.** A handshake more on each connection of a matched host, on this machine; what follows costs what the reverse
//! proxy costs. A tunnel costs its copying.

mod ca;
mod connection;
mod entrance;
mod hello;
mod leaves;
mod rules;
mod target;

pub use ca::Ca;
pub use rules::{HostRule, Rules};
pub(crate) use target::Target;

/// For the fuzzer: the readers of what comes from outside, none of which may panic.
#[doc(hidden)]
pub mod outside {
    /// Reads `bytes` as everything that is read here.
    pub fn read(bytes: &[u8]) {
        let _ = super::hello::look(bytes);
        let _ = super::entrance::password(bytes);
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let _ = text.parse::<super::HostRule>();
        if let Some(target) = text.parse().ok().and_then(|authority| super::Target::of(&authority)) {
            let again = target.to_string().parse().ok().and_then(|authority| super::Target::of(&authority));
            assert_eq!(again, Some(target));
        }
        if let Some(target) = text.parse().ok().and_then(|url| super::Target::of_url(&url)) {
            assert!(target.port() > 0 && !target.host().is_empty());
        }
    }
}

use crate::connect::Connector;
use crate::error::{Error, Result};
use crate::proxy::{Token, accept};
use crate::tape::Tape;
use claude_trace_core::interceptor::Registry;
use claude_trace_core::notice::Notices;
use connection::{Shared, Worker};
use leaves::Leaves;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

/// What a forward proxy does.
#[derive(Debug)]
pub struct Config {
    /// What is decrypted and recorded.
    pub rules: Rules,
    /// What clients have to show.
    pub token: Token,
    /// What vouches for the hosts that are decrypted.
    pub ca: Ca,
    /// Where it says that a client does not believe it.
    pub notices: Notices,
    /// Interceptors on the way of what is decrypted.
    pub live: Option<Arc<Registry>>,
}

/// A forward proxy that listens on this machine.
pub struct ForwardProxy {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl ForwardProxy {
    /// Begins to listen at any free port. Connections wait until [`Self::serve`].
    pub async fn bind(config: Config, connector: &Connector, tape: Tape) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let Config { rules, token, ca, notices, live } = config;
        let leaves = Leaves::new(ca)?;
        let shared = Shared::new(rules, token, leaves, notices, connector.clone(), tape, live);
        Ok(Self { listener, address, shared: Arc::new(shared) })
    }

    /// What clients are told: its URL, which carries the token.
    pub fn url(&self) -> String {
        entrance::url(&self.shared.token, self.address)
    }

    /// Serves connections for as long as it is polled, each in a task on one of `workers`, which take turns.
    pub async fn serve(self, workers: &[Handle]) {
        let workers: Vec<_> =
            workers.iter().map(|handle| (handle, Arc::new(Worker::new(Arc::clone(&self.shared))))).collect();
        for (handle, worker) in workers.iter().cycle() {
            let stream = accept(&self.listener).await;
            handle.spawn(Arc::clone(worker).connection(stream));
        }
    }
}
