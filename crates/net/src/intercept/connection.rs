//! One connection of a client, from what it asks of the proxy to what becomes of it: a tunnel, or requests.

use super::entrance::admits;
use super::hello::{self, Hello, Opening, What};
use super::leaves::Leaves;
use super::rules::{Paths, Rules};
use super::target::Target;
use crate::connect::{Connector, Dial};
use crate::failure::Failure;
use crate::proxy::Token;
use crate::proxy::answer;
use crate::proxy::body::RequestBody;
use crate::proxy::forward::{Answer, Forward, OfConnection, own};
use crate::proxy::ruled::Aborted;
use crate::proxy::server;
use crate::tape::Tape;
use crate::upstream::Upstream;
use claude_trace_core::interceptor::Registry;
use claude_trace_core::notice::{Level, Notices};
use http::{Method, Request, Response, Version};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::AlertDescription;
use std::collections::HashSet;
use std::io::{self, Cursor};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// What is spoken to servers, and so to clients.
const SPOKEN: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// Of how many hosts it is kept that a line has told of them.
const MAX_TOLD: usize = 256;

/// What all connections share.
pub struct Shared {
    rules: Rules,
    pub token: Token,
    leaves: Leaves,
    notices: Notices,
    /// Hosts of which a client has said that it does not believe us.
    told: Mutex<HashSet<String>>,
    connector: Connector,
    tape: Tape,
    live: Option<Arc<Registry>>,
}

/// What the connections of one thread share.
pub struct Worker {
    shared: Arc<Shared>,
    server: auto::Builder<TokioExecutor>,
    /// For requests with absolute URLs.
    http1: Client<Dial, RequestBody>,
}

/// A client inside its tunnel.
struct Tunnelled {
    stream: TcpStream,
    opening: Opening,
    target: Target,
}

impl Shared {
    pub fn new(
        rules: Rules,
        token: Token,
        leaves: Leaves,
        notices: Notices,
        connector: Connector,
        tape: Tape,
        live: Option<Arc<Registry>>,
    ) -> Self {
        Self { rules, token, leaves, notices, told: Mutex::default(), connector, tape, live }
    }

    fn is_matched(&self, target: &Target) -> bool {
        [true, false].iter().any(|is_tls| self.rules.of(target, *is_tls).is_some())
    }

    /// Says so if the client's handshake broke off because it does not trust our authority.
    fn refused(&self, target: &Target, error: &io::Error) {
        use AlertDescription::{BadCertificate, CertificateUnknown, UnknownCA};
        let alert = match error.get_ref().and_then(|error| error.downcast_ref()) {
            Some(rustls::Error::AlertReceived(alert @ (UnknownCA | BadCertificate | CertificateUnknown))) => {
                alert
            }
            _ => return,
        };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < MAX_TOLD && told.insert(target.host().to_owned()) {
            self.notices.say(Level::Warn, || {
                let path = self.leaves.ca().path().display();
                format!(
                    "a client does not trust our certificate for {}, and what it says there fails ({alert:?}): it has to be told of {path}",
                    target.host()
                )
            });
        }
    }
}

impl Worker {
    pub fn new(shared: Arc<Shared>) -> Self {
        let http1 = shared.connector.http1();
        Self { shared, server: server(None), http1 }
    }

    /// Serves a connection to its end.
    pub async fn connection(self: Arc<Self>, stream: std::net::TcpStream) {
        let Ok(stream) = TcpStream::from_std(stream) else { return };
        // A chunk must not wait for the acknowledgement of the one before it.
        let _ = stream.set_nodelay(true);
        let worker = Arc::clone(&self);
        let service = service_fn(move |request| Arc::clone(&worker).answer(request));
        let mut server = hyper::server::conn::http1::Builder::new();
        server.preserve_header_case(true).auto_date_header(false);
        // How a connection ends is known where its exchanges are.
        let _ = server.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    }

    async fn answer(self: Arc<Self>, mut request: Request<Incoming>) -> Result<Answer, Aborted> {
        if !admits(&self.shared.token, request.headers()) {
            return Ok(own(answer::no_credentials()));
        }
        if request.method() == Method::CONNECT {
            let target = request.uri().authority().and_then(Target::of);
            let Some(target) = target else { return Ok(own(answer::no_target())) };
            return Ok(self.connect(target, hyper::upgrade::on(&mut request)).await);
        }
        let is_tls = request.uri().scheme_str() == Some("https");
        let target = Target::of_url(request.uri());
        let upstream = target.as_ref().and_then(|target| Upstream::at(target, is_tls));
        let (Some(target), Some(upstream)) = (target, upstream) else {
            return Ok(own(answer::no_target()));
        };
        let paths = self.shared.rules.of(&target, is_tls);
        let host = Some(upstream.host_field());
        let http1 = self.http1.clone();
        let forward = Forward::to(
            upstream,
            host,
            taken(paths),
            http1,
            self.shared.connector.clone(),
            self.shared.tape.clone(),
            self.shared.live.clone(),
        );
        Arc::new(OfConnection::new(Arc::new(forward))).answer(request).await
    }

    /// Opens a tunnel, and lets it run by itself.
    async fn connect(self: Arc<Self>, target: Target, client: OnUpgrade) -> Answer {
        let made = own(Response::new(Full::default()));
        if self.shared.is_matched(&target) {
            self.shared.tape.prepare();
            tokio::spawn(async move {
                // Nobody waits for it: what went wrong is known where it went wrong.
                let _ = self.matched(target, client).await;
            });
            return made;
        }
        match self.dial(&target).await {
            Ok(upstream) => {
                tokio::spawn(async move {
                    let (client, bytes) = stream_of(client).await?;
                    relay(client, &bytes, upstream).await
                });
                made
            }
            Err(failure) => own(answer::unreachable(&target.to_string(), &failure)),
        }
    }

    async fn dial(&self, target: &Target) -> Result<TcpStream, Failure> {
        let Some(url) = target.url() else { return Err(Failure::new("", "that is no host".into())) };
        self.shared.connector.tcp(url).await.map_err(|error| Failure::of(error.as_ref()))
    }

    /// A tunnel to a host that is to be recorded.
    async fn matched(&self, target: Target, client: OnUpgrade) -> io::Result<()> {
        let (mut stream, bytes) = stream_of(client).await?;
        let opening = hello::read(&mut stream, bytes).await?;
        let what = opening.what.clone();
        let tunnelled = Tunnelled { stream, opening, target };
        let rules = &self.shared.rules;
        match what {
            What::Tls(hello) => {
                match (rules.of(&tunnelled.target, true), spoken(&hello, &tunnelled.target)) {
                    (Some(paths), Some(protocols)) => self.decrypted(tunnelled, paths, protocols).await,
                    _ => self.untouched(tunnelled).await,
                }
            }
            What::Http => match rules.of(&tunnelled.target, false) {
                Some(paths) => {
                    let Tunnelled { stream, opening, target } = tunnelled;
                    self.serve(
                        with_start(stream, opening.bytes),
                        &target,
                        false,
                        paths,
                        self.shared.connector.clone(),
                    )
                    .await;
                    Ok(())
                }
                None => self.untouched(tunnelled).await,
            },
            What::Other => self.untouched(tunnelled).await,
        }
    }

    async fn untouched(&self, Tunnelled { stream, opening, target }: Tunnelled) -> io::Result<()> {
        match self.dial(&target).await {
            Ok(upstream) => relay(stream, &opening.bytes, upstream).await,
            // The tunnel was promised already: its end is all that can be said.
            Err(_) => Ok(()),
        }
    }

    /// First the server's handshake, then the client's, with what the server has agreed to.
    async fn decrypted(&self, client: Tunnelled, paths: Paths, protocols: Vec<Vec<u8>>) -> io::Result<()> {
        let Tunnelled { stream, opening, target } = client;
        let (Some(url), Some(name)) = (target.url(), target.server_name()) else { return Ok(()) };
        let dialled = self.shared.connector.tls(url, name, protocols.clone()).await;
        let agreed = match &dialled {
            Ok(stream) => alpn(stream),
            // The client is to hear of it, in a protocol that it has.
            Err(_) => protocols.iter().find(|name| *name == b"http/1.1").or(protocols.first()).cloned(),
        };
        let config = self.shared.leaves.config(target.host(), agreed.as_deref()).map_err(io::Error::other)?;
        let accepting = TlsAcceptor::from(config).accept(with_start(stream, opening.bytes));
        let stream = accepting.await.inspect_err(|error| self.shared.refused(&target, error))?;
        let connector = self.shared.connector.beginning_with(dialled);
        self.serve(stream, &target, true, paths, connector).await;
        Ok(())
    }

    /// Serves requests for one host.
    async fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        target: &Target,
        is_tls: bool,
        paths: Paths,
        connector: Connector,
    ) {
        let Some(upstream) = Upstream::at(target, is_tls) else { return };
        let http1 = connector.http1();
        let tape = self.shared.tape.clone();
        let live = self.shared.live.clone();
        let forward = Forward::to(upstream, None, taken(Some(paths)), http1, connector, tape, live);
        let of_connection = Arc::new(OfConnection::new(Arc::new(forward)));
        let host = target.host().to_owned();
        let service = service_fn(move |request: Request<Incoming>| {
            let (of_connection, is_meant) = (Arc::clone(&of_connection), is_for(&request, &host));
            async move {
                if is_meant { of_connection.answer(request).await } else { Ok(own(answer::misdirected())) }
            }
        });
        // How a connection ends is known where its exchanges are.
        let _ = self.server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
    }
}

/// HTTP/2 has its authority rewritten on the way: it has to be the one that goes out.
fn is_for(request: &Request<Incoming>, host: &str) -> bool {
    request.version() != Version::HTTP_2
        || Target::of_url(request.uri()).is_some_and(|target| target.host() == host)
}

/// The protocols of a client hello that we speak too; `None`: it is not for us.
fn spoken(hello: &Hello, target: &Target) -> Option<Vec<Vec<u8>>> {
    if hello.name.as_ref().is_some_and(|name| name != target.host()) {
        return None;
    }
    let Some(offered) = &hello.protocols else { return Some(Vec::new()) };
    let both: Vec<_> = offered.iter().filter(|name| SPOKEN.contains(&name.as_slice())).cloned().collect();
    if both.is_empty() { None } else { Some(both) }
}

fn alpn(stream: &crate::connect::Stream) -> Option<Vec<u8>> {
    match stream {
        hyper_rustls::MaybeHttpsStream::Https(stream) => {
            stream.inner().get_ref().1.alpn_protocol().map(<[u8]>::to_vec)
        }
        hyper_rustls::MaybeHttpsStream::Http(_) => None,
    }
}

fn taken(paths: Option<Paths>) -> Box<dyn Fn(&str) -> bool + Send + Sync> {
    match paths {
        Some(paths) => Box::new(move |path| paths.take(path)),
        None => Box::new(|_| false),
    }
}

/// The socket of a connection that has become a tunnel, and what was read from it behind the request.
async fn stream_of(client: OnUpgrade) -> io::Result<(TcpStream, Vec<u8>)> {
    let upgraded = client.await.map_err(io::Error::other)?;
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => Ok((parts.io.into_inner(), parts.read_buf.to_vec())),
        Err(_) => Err(io::Error::other("the connection is no socket")),
    }
}

/// A stream whose first bytes were read already.
fn with_start(stream: TcpStream, bytes: Vec<u8>) -> impl AsyncRead + AsyncWrite + Unpin + Send + 'static {
    let (read, write) = stream.into_split();
    tokio::io::join(Cursor::new(bytes).chain(read), write)
}

async fn relay(mut client: TcpStream, first: &[u8], mut upstream: TcpStream) -> io::Result<()> {
    upstream.write_all(first).await?;
    copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(())
}
