//! A forward proxy in this process, and upstreams and clients of TLS around it.

use super::*;
use claude_trace_core::notice::{Level, Notices};
use claude_trace_net::intercept::{self, Ca};
use claude_trace_net::proxy::Token;
use claude_trace_net::{ForwardProxy, Rules};
use hyper_util::client::proxy::matcher::Matcher;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use std::sync::{Arc, Mutex};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

/// A forward proxy, what its clients are told, and what it has said.
pub struct Forward {
    pub running: Running,
    /// Of our authority.
    pub certificate: CertificateDer<'static>,
    /// `user:token`, as clients send it.
    pub credentials: String,
    pub said: Arc<Mutex<Vec<String>>>,
}

/// `rules` are base URLs. `roots` are trusted upstream.
pub async fn forward(rules: &[&str], roots: &[&Authority]) -> Forward {
    forward_through(rules, roots, "").await
}

/// The same, behind the user's own proxy.
pub async fn forward_through(rules: &[&str], roots: &[&Authority], proxy: &str) -> Forward {
    let folder = tempfile::tempdir().unwrap();
    let ca = Ca::open(&folder.path().join("ca")).unwrap();
    let certificate = CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap();
    let roots: Vec<_> = roots.iter().map(|authority| authority.file()).collect();
    let proxies = Matcher::builder().all(proxy.to_owned()).build();
    let connector = Connector::through(proxies, &roots, Duration::from_secs(10)).unwrap();
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&said);
    let tape = tape_in(&folder);
    let config = intercept::Config {
        rules: Rules { bases: rules.iter().map(|url| url.parse().unwrap()).collect(), ..Rules::default() },
        token: Token::random().unwrap(),
        ca,
        notices: Notices::new(Level::Warn, move |_, words| heard.lock().unwrap().push(words.to_owned())),
        live: None,
    };
    let proxy = ForwardProxy::bind(config, &connector, tape.clone()).await.unwrap();
    let url = proxy.url();
    let (credentials, address) = url.strip_prefix("http://").unwrap().split_once('@').unwrap();
    let running = Running {
        address: address.parse().unwrap(),
        tape,
        serving: tokio::spawn(async move { proxy.serve(&[Handle::current()]).await }),
        folder,
    };
    Forward { running, certificate, credentials: credentials.to_owned(), said }
}

impl Forward {
    pub fn authorization(&self) -> String {
        use base64::Engine;
        format!("Proxy-Authorization: Basic {}", base64::prelude::BASE64_STANDARD.encode(&self.credentials))
    }

    /// A tunnel to `host`.
    pub async fn tunnel(&self, host: &str) -> TcpStream {
        let mut stream = self.running.connect().await;
        write(
            &mut stream,
            format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{}\r\n\r\n", self.authorization()),
        )
        .await;
        expect(&mut stream, "HTTP/1.1 200 OK\r\n\r\n").await;
        stream
    }

    /// TLS inside a tunnel, by a client that trusts our authority alone.
    pub async fn client(&self, host: &str, protocols: &[&str]) -> client::TlsStream<TcpStream> {
        let tunnel = self.tunnel(host).await;
        let name = host.rsplit_once(':').unwrap().0.to_owned();
        handshake(tunnel, &name, &self.certificate, protocols).await.unwrap()
    }
}

pub async fn handshake(
    stream: TcpStream,
    name: &str,
    root: &CertificateDer<'static>,
    protocols: &[&str],
) -> std::io::Result<client::TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = names(protocols);
    let name = ServerName::try_from(name.to_owned()).unwrap();
    soon(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

fn names(protocols: &[&str]) -> Vec<Vec<u8>> {
    protocols.iter().map(|name| name.as_bytes().to_vec()).collect()
}

/// Somebody else's authority.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        // Two of one name would be taken for one another.
        params.distinguished_name.push(rcgen::DnType::CommonName, folder.path().display().to_string());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(folder.path().join("root.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    pub fn file(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    pub fn certificate(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// A server for `localhost` and 127.0.0.1, with a certificate from here.
    pub async fn server(&self, protocols: &[&str]) -> TlsUpstream {
        self.server_with(protocols, |_| ()).await
    }

    pub async fn server_with(&self, protocols: &[&str], change: fn(&mut CertificateParams)) -> TlsUpstream {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".into()]).unwrap();
        change(&mut params);
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .unwrap();
        config.alpn_protocols = names(protocols);
        TlsUpstream { tcp: Upstream::listen().await, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }
}

/// An upstream that a test plays by hand, behind TLS.
pub struct TlsUpstream {
    pub tcp: Upstream,
    acceptor: TlsAcceptor,
}

impl TlsUpstream {
    pub fn port(&self) -> String {
        self.tcp.host().rsplit_once(':').unwrap().1.to_owned()
    }

    pub fn host(&self) -> String {
        format!("localhost:{}", self.port())
    }

    pub fn url(&self) -> String {
        format!("https://{}", self.host())
    }

    pub async fn accept(&self) -> server::TlsStream<TcpStream> {
        self.try_accept().await.unwrap()
    }

    pub async fn try_accept(&self) -> std::io::Result<server::TlsStream<TcpStream>> {
        let stream = self.tcp.accept().await;
        soon(self.acceptor.accept(stream)).await
    }

    /// The same, on a connection that has come some other way.
    pub async fn accept_on(&self, stream: TcpStream) -> server::TlsStream<TcpStream> {
        soon(self.acceptor.accept(stream)).await.unwrap()
    }
}
