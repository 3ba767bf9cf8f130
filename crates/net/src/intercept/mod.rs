//! The TLS proxy: a client is told that its HTTPS goes through here (`HTTPS_PROXY`), and trusts an authority of ours.
//!
//! For clients that take no base URL, and for requests that are signed for their host. Connections to the hosts that are named
//! are opened: TLS ends here, and what is inside goes the way of the reverse proxy, with all that `proxy/mod.rs` says. All
//! others are tunnelled as they are, unseen. What is opened is verified on the way to the upstream, by the roots that hold
//! for the reverse proxy.
//!
//! **Safety.** It listens on loopback, and everybody on this machine could use it to go anywhere: so it takes a token, which
//! is in the URL that the client is told (`Proxy-Authorization: Basic`). Plain `http://` is refused.

mod auth;

pub use auth::Credentials;
pub(crate) use auth::same;

use crate::authority::Authority;
use crate::connect::Connector;
use crate::error::{Error, Result};
use crate::failure::Failure;
use crate::proxy::forward::{Forward, OfConnection};
use crate::proxy::{Access, Config, Selection, answer, server};
use crate::tape::Tape;
use crate::upstream::Upstream;
use bytes::Bytes;
use http::header::{HeaderValue, PROXY_AUTHENTICATE};
use http::uri::Authority as Target;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio_rustls::TlsAcceptor;

/// A TLS proxy that listens.
pub struct Interceptor {
    listener: TcpListener,
    address: SocketAddr,
    hosts: Vec<(Upstream, Selection)>,
    credentials: Arc<Credentials>,
    authority: Arc<Authority>,
    connector: Connector,
    tape: Tape,
}

/// What the connections of a worker share.
struct Shared {
    opened: Vec<(Upstream, Arc<Forward>)>,
    credentials: Arc<Credentials>,
    authority: Arc<Authority>,
    connector: Connector,
    server: Arc<auto::Builder<TokioExecutor>>,
}

impl Interceptor {
    /// Begins to listen at a free port of loopback. Connections to `hosts` will be opened.
    pub async fn bind(
        hosts: Vec<(Upstream, Selection)>,
        authority: Authority,
        connector: &Connector,
        tape: Tape,
    ) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (authority, credentials) = (Arc::new(authority), Arc::new(Credentials::random()?));
        Ok(Self { listener, address, hosts, credentials, authority, connector: connector.clone(), tape })
    }

    /// What a client takes for `HTTPS_PROXY`.
    pub fn url(&self) -> String {
        self.credentials.url(self.address)
    }

    /// Serves connections for as long as it is polled, each in a task on one of `workers`, which take turns.
    pub async fn serve(self, workers: &[Handle]) {
        let server = Arc::new(server(false));
        let shared = || {
            let opened = self.hosts.iter().map(|(upstream, selection)| {
                let config = Config {
                    listen: self.address,
                    upstream: upstream.clone(),
                    access: Access::Named(upstream.host()),
                    selection: *selection,
                };
                let forward = Forward::new(config, self.connector.clone(), self.tape.clone());
                (upstream.clone(), Arc::new(forward))
            });
            Arc::new(Shared {
                opened: opened.collect(),
                credentials: Arc::clone(&self.credentials),
                authority: Arc::clone(&self.authority),
                connector: self.connector.clone(),
                server: Arc::clone(&server),
            })
        };
        let workers: Vec<_> = workers.iter().map(|worker| (worker, shared())).collect();
        for (worker, shared) in workers.iter().cycle() {
            let stream = crate::proxy::accept(&self.listener).await;
            self.tape.prepare();
            worker.spawn(Arc::clone(shared).connection(stream));
        }
    }
}

impl Shared {
    async fn connection(self: Arc<Self>, stream: std::net::TcpStream) {
        let Ok(stream) = TcpStream::from_std(stream) else { return };
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| Arc::clone(&self).answer(request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service);
        let _ = connection.with_upgrades().await;
    }

    async fn answer(
        self: Arc<Self>,
        mut request: Request<Incoming>,
    ) -> std::result::Result<Response<Full<Bytes>>, Infallible> {
        if !self.credentials.are_shown_by(request.headers()) {
            let mut response = answer::unknown_client();
            let challenge = HeaderValue::from_static("Basic realm=\"claude-trace\"");
            response.headers_mut().insert(PROXY_AUTHENTICATE, challenge);
            return Ok(response);
        }
        let target = request.uri().authority().cloned();
        let (Some(target), &Method::CONNECT) = (target, request.method()) else {
            return Ok(answer::only_tunnels());
        };
        let turning = hyper::upgrade::on(&mut request);
        if let Some(forward) = self.opened(&target) {
            let forward = Arc::clone(forward);
            tokio::spawn(async move {
                if let Ok(client) = turning.await {
                    self.open(client, target.host(), forward).await;
                }
            });
            return Ok(Response::new(Full::default()));
        }
        match self.connector.tunnel(&target).await {
            Ok(mut upstream) => {
                tokio::spawn(async move {
                    if let Ok(client) = turning.await {
                        let mut client = TokioIo::new(client);
                        let _ = tokio::io::copy_bidirectional(&mut client, upstream.inner_mut()).await;
                    }
                });
                Ok(Response::new(Full::default()))
            }
            Err(error) => Ok(answer::unreachable(&format!("https://{target}"), &Failure::of(&*error))),
        }
    }

    /// The way of a host that is opened.
    fn opened(&self, target: &Target) -> Option<&Arc<Forward>> {
        let same = |upstream: &Upstream| {
            upstream.host() == target.host().to_ascii_lowercase()
                && upstream.port() == target.port_u16().unwrap_or(443)
        };
        self.opened.iter().find(|(upstream, _)| same(upstream)).map(|(_, forward)| forward)
    }

    /// TLS ends here.
    async fn open(&self, client: hyper::upgrade::Upgraded, host: &str, forward: Arc<Forward>) {
        let Ok(config) = self.authority.server(host) else { return };
        // A client that does not trust us says so itself.
        let Ok(client) = TlsAcceptor::from(config).accept(TokioIo::new(client)).await else { return };
        let of_connection = Arc::new(OfConnection::new(forward));
        let service = service_fn(move |request| Arc::clone(&of_connection).answer(request));
        let _ = self.server.serve_connection_with_upgrades(TokioIo::new(client), service).await;
    }
}
