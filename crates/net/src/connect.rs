//! Connections to upstreams: TCP without delay, TLS by the machine's and Mozilla's roots, through the user's own forward
//! proxy where the environment names one. One deadline for all of it together.

use crate::error::{Error, Result};
use http::Uri;
use http::uri::Authority;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tower_service::Service;

/// Servers close idle connections after a minute or more. Ours go first, so that a request does not meet the closing.
const IDLE: Duration = Duration::from_secs(30);

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Boxed<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// Makes connections. Clones share their TLS sessions.
#[derive(Clone)]
pub struct Connector {
    http1: HttpsConnector<Route>,
    any: HttpsConnector<Route>,
    route: Route,
    timeout: Duration,
}

impl Connector {
    /// Certificates in `extra_roots` (PEM) are trusted beside the machine's and Mozilla's. `timeout` is for the resolution of
    /// the name, TCP, a tunnel and TLS together.
    pub fn new(extra_roots: &[PathBuf], timeout: Duration) -> Result<Self> {
        let tls = tls(extra_roots)?;
        let route = Route::from_env();
        let builder =
            || hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls.clone()).https_or_http();
        Ok(Self {
            http1: builder().enable_http1().wrap_connector(route.clone()),
            any: builder().enable_all_versions().wrap_connector(route.clone()),
            route,
            timeout,
        })
    }

    /// A connection whose bytes are others' concern.
    pub async fn tunnel(&self, to: &Authority) -> Result<TokioIo<TcpStream>, BoxError> {
        let uri = Uri::builder().scheme("https").authority(to.clone()).path_and_query("/").build()?;
        in_time(self.route.clone().call(uri), self.timeout).await
    }

    /// A pool of connections that speak HTTP/1.1.
    pub fn http1<B>(&self) -> Client<Dial, B>
    where
        B: http_body::Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        client(Dial { connect: self.http1.clone(), timeout: self.timeout })
    }

    /// A pool of connections that speak HTTP/2 where the server agrees to it.
    pub fn http2<B>(&self) -> Client<Dial, B>
    where
        B: http_body::Body + Send + Unpin + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        client(Dial { connect: self.any.clone(), timeout: self.timeout })
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
}

impl Service<Uri> for Dial {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = Boxed<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connect.poll_ready(cx)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = self.connect.call(to);
        let timeout = self.timeout;
        Box::pin(in_time(connecting, timeout))
    }
}

async fn in_time<T>(
    connecting: impl Future<Output = Result<T, BoxError>>,
    timeout: Duration,
) -> Result<T, BoxError> {
    tokio::time::timeout(timeout, connecting).await.unwrap_or_else(|_| {
        let words = format!("no connection within {} ms", timeout.as_millis());
        Err(io::Error::new(io::ErrorKind::TimedOut, words).into())
    })
}

/// Straight to the server, or through a tunnel.
#[derive(Clone)]
struct Route {
    http: HttpConnector,
    proxies: Arc<Matcher>,
}

impl Route {
    fn from_env() -> Self {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        // A chunk must not wait for the acknowledgement of the one before it.
        http.set_nodelay(true);
        http.set_keepalive(Some(Duration::from_secs(60)));
        Self { http, proxies: Arc::new(Matcher::from_env()) }
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
            Ok(tunnel.call(to).await?)
        })
    }
}

/// No forward proxy leads to this machine.
fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn tls(extra_roots: &[PathBuf]) -> Result<ClientConfig> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    // What of the machine's store does not parse, others cannot use either.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for path in extra_roots {
        add_roots(&mut roots, path)?;
    }
    let provider: Arc<CryptoProvider> = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn add_roots(roots: &mut RootCertStore, path: &Path) -> Result<()> {
    let wrong = |why: String| Error::Certificates { path: path.to_owned(), why };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| wrong(error.to_string()))?;
    let mut count = 0;
    for certificate in certificates {
        roots
            .add(certificate.map_err(|error| wrong(error.to_string()))?)
            .map_err(|error| wrong(error.to_string()))?;
        count += 1;
    }
    if count == 0 { Err(wrong("it holds none".into())) } else { Ok(()) }
}
