//! Connections to upstreams: TCP without delay, TLS by the machine's and Mozilla's roots, through the user's own forward
//! proxy where the environment names one. One deadline for all of it together.

use crate::error::{Error, Result};
use crate::verify::Verifier;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
pub use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::ServerName;
use rustls_pki_types::pem::PemObject;
use std::collections::HashSet;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_service::Service;

/// Servers close idle connections after a minute or more. Ours go first, so that a request does not meet the closing.
const IDLE: Duration = Duration::from_secs(30);

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// A connection to a server.
pub(crate) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;
type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Makes connections. Clones share their TLS sessions.
#[derive(Clone)]
pub struct Connector {
    http1: HttpsConnector<Route>,
    any: HttpsConnector<Route>,
    route: Route,
    tls: ClientConfig,
    timeout: Duration,
    first: Option<First>,
}

/// What was made before there was a request for it, and when: whoever asks first gets it.
type First = Arc<Mutex<Option<(Result<Stream, BoxError>, Instant)>>>;

impl Connector {
    /// Certificates in `extra_roots` (PEM) are trusted beside the machine's and Mozilla's. `timeout` is for the resolution of
    /// the name, TCP, a tunnel and TLS together.
    pub fn new(extra_roots: &[PathBuf], timeout: Duration) -> Result<Self> {
        Self::through(Matcher::from_env(), extra_roots, timeout)
    }

    /// The same, through other forward proxies than those of the environment.
    pub fn through(proxies: Matcher, extra_roots: &[PathBuf], timeout: Duration) -> Result<Self> {
        let tls = tls(extra_roots)?;
        let route = Route::new(proxies);
        let builder =
            || hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
        Ok(Self {
            http1: builder().enable_http1().wrap_connector(route.clone()),
            any: builder().enable_all_versions().wrap_connector(route.clone()),
            route,
            tls,
            timeout,
            first: None,
        })
    }

    /// A connection for whoever knows what to say on it.
    pub(crate) async fn tcp(&self, to: Uri) -> Result<TcpStream, BoxError> {
        let connecting = self.route.clone().call(to);
        within(self.timeout, async { Ok(connecting.await?.into_inner()) }).await
    }

    /// A connection to a server of that name, on which one of `protocols` (ALPN) is agreed on, or none.
    pub(crate) async fn tls(
        &self,
        to: Uri,
        name: ServerName<'static>,
        protocols: Vec<Vec<u8>>,
    ) -> Result<Stream, BoxError> {
        let mut config = self.tls.clone();
        config.alpn_protocols = protocols;
        let connecting = self.route.clone().call(to);
        within(self.timeout, async {
            let stream = TokioIo::new(connecting.await?);
            Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?.into())
        })
        .await
    }

    /// The same connector, whose pools begin with this connection, or with the failure to make it.
    pub(crate) fn beginning_with(&self, connection: Result<Stream, BoxError>) -> Self {
        let first = Some(Arc::new(Mutex::new(Some((connection, Instant::now())))));
        Self { first, ..self.clone() }
    }

    /// A pool of connections that speak HTTP/1.1.
    pub fn http1<B>(&self) -> Client<Dial, B>
    where
        B: http_body::Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        client(Dial { connect: self.http1.clone(), timeout: self.timeout, first: self.first.clone() })
    }

    /// A pool of connections that speak HTTP/2 where the server agrees to it.
    pub fn http2<B>(&self) -> Client<Dial, B>
    where
        B: http_body::Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        client(Dial { connect: self.any.clone(), timeout: self.timeout, first: self.first.clone() })
    }
}

fn client<B>(dial: Dial) -> Client<Dial, B>
where
    B: http_body::Body + Send + Unpin + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .http1_preserve_header_case(true)
        .http1_max_headers(1000)
        .http2_adaptive_window(true)
        .set_host(true)
        .build(dial)
}

/// [`Connector`] with its deadline.
#[derive(Clone)]
pub struct Dial {
    connect: HttpsConnector<Route>,
    timeout: Duration,
    first: Option<First>,
}

impl Dial {
    fn first(&self) -> Option<Result<Stream, BoxError>> {
        let (connection, made) =
            self.first.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        (made.elapsed() < IDLE).then_some(connection)
    }
}

async fn within<T>(
    timeout: Duration,
    making: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, BoxError> {
    tokio::time::timeout(timeout, making).await.unwrap_or_else(|_| {
        let words = format!("no connection within {} ms", timeout.as_millis());
        Err(io::Error::new(io::ErrorKind::TimedOut, words).into())
    })
}

impl Service<Uri> for Dial {
    type Response = Stream;
    type Error = BoxError;
    type Future = Boxed<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connect.poll_ready(cx)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        if let Some(first) = self.first() {
            return Box::pin(std::future::ready(first));
        }
        Box::pin(within(self.timeout, self.connect.call(to)))
    }
}

/// Straight to the server, or through a tunnel.
#[derive(Clone)]
struct Route {
    http: HttpConnector,
    proxies: Arc<Matcher>,
}

impl Route {
    fn new(proxies: Matcher) -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        // A chunk must not wait for the acknowledgement of the one before it.
        http.set_nodelay(true);
        http.set_keepalive(Some(Duration::from_secs(60)));
        Self { http, proxies: Arc::new(proxies) }
    }
}

impl Service<Uri> for Route {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Boxed<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let mut http = self.http.clone();
        let proxy = if is_loopback(&to) { None } else { self.proxies.intercept(&to) };
        Box::pin(async move {
            let Some(proxy) = proxy else { return Ok(http.call(to).await?) };
            if proxy.uri().scheme() != Some(&http::uri::Scheme::HTTP) {
                let words = format!(
                    "the proxy {} of the environment is none that is spoken to by http://",
                    proxy.uri()
                );
                return Err(io::Error::new(io::ErrorKind::Unsupported, words).into());
            }
            let mut tunnel = Tunnel::new(proxy.uri().clone(), http);
            if let Some(auth) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(auth.clone());
            }
            Ok(tunnel.call(with_port(to)).await?)
        })
    }
}

/// A tunnel is to 443 where no port is named, whatever the scheme.
fn with_port(to: Uri) -> Uri {
    let authority = match to.authority() {
        Some(authority) if authority.port().is_none() && to.scheme_str() == Some("http") => {
            format!("{authority}:80").parse()
        }
        _ => return to,
    };
    let mut parts = to.clone().into_parts();
    parts.authority = authority.ok();
    Uri::from_parts(parts).unwrap_or(to)
}

/// No forward proxy leads to this machine.
fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The certificates that this machine trusts, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name, as PEM.
pub fn system_roots() -> String {
    let mut text = String::new();
    for certificate in rustls_native_certs::load_native_certs().certs {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        for line in BASE64_STANDARD.encode(&certificate).as_bytes().chunks(64) {
            text.extend(line.iter().map(|byte| char::from(*byte)));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

fn tls(extra_roots: &[PathBuf]) -> Result<ClientConfig> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let mut named = HashSet::new();
    for certificate in rustls_native_certs::load_native_certs().certs {
        // What of the machine's store does not parse, others cannot use either.
        if roots.add(certificate.clone()).is_ok() {
            named.insert(certificate);
        }
    }
    for path in extra_roots {
        add_roots(&mut roots, &mut named, path)?;
    }
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(roots, named, Arc::clone(&provider))?;
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    // "dangerous" is whoever verifies less than rustls: `verify` says what it does.
    Ok(config.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

fn add_roots(
    roots: &mut RootCertStore,
    named: &mut HashSet<CertificateDer<'static>>,
    path: &Path,
) -> Result<()> {
    let wrong = |why: String| Error::Certificates { path: path.to_owned(), why };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    let mut count = 0;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        roots.add(certificate.clone()).map_err(|error| wrong(error.to_string()))?;
        named.insert(certificate);
        count += 1;
    }
    if count == 0 { Err(wrong("it holds none".into())) } else { Ok(()) }
}
