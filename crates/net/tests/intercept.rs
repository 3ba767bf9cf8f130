//! The TLS proxy between a client that trusts its authority and upstreams with certificates of their own.

mod support;

use claude_trace_net::Selection;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::sync::Arc;
use support::{Intercepting, intercept};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

/// An upstream with a certificate of its own, which answers each connection once with what it was asked behind the answer.
async fn upstream() -> (u16, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut asked = vec![0; 4096];
                while matches!(stream.read(&mut asked).await, Ok(1..)) {
                    stream.write_all(ANSWER).await.unwrap();
                }
            });
        }
    });
    (port, cert.pem())
}

/// A client that trusts what is in the file.
async fn tls(stream: TcpStream, roots: &[u8]) -> std::io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(roots) {
        store.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// Sends a head and reads the head of the answer.
async fn said(stream: &mut TcpStream, head: &str) -> String {
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(text).unwrap()
}

async fn tunnel(proxy: &Intercepting, port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    let head = format!(
        "CONNECT localhost:{port} HTTP/1.1\r\nHost: localhost:{port}\r\nProxy-Authorization: {}\r\n\r\n",
        proxy.authorization
    );
    assert!(said(&mut stream, &head).await.starts_with("HTTP/1.1 200 "));
    stream
}

async fn ask(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), port: u16) -> Vec<u8> {
    let head = format!(
        "GET /v1/messages HTTP/1.1\r\nHost: localhost:{port}\r\nx-api-key: made-up-secret-0123456789\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; ANSWER.len()];
    stream.read_exact(&mut answer).await.unwrap();
    answer
}

fn ca(proxy: &Intercepting) -> Vec<u8> {
    std::fs::read(proxy.ca_folder().join("ca.pem")).unwrap()
}

#[tokio::test]
async fn a_host_that_is_named_is_opened_and_recorded() {
    let (port, pem) = upstream().await;
    let proxy = intercept(&format!("https://localhost:{port}"), &pem, Selection::ModelCalls).await;
    let mut client = tls(tunnel(&proxy, port).await, &ca(&proxy)).await.unwrap();
    assert_eq!(ask(&mut client, port).await, ANSWER);
    assert_eq!(ask(&mut client, port).await, ANSWER, "on the same connection");
    let records = proxy.records(2).await;
    assert_eq!(records[0]["request"]["url"], format!("https://localhost:{port}/v1/messages"));
    assert_eq!(
        records[0]["response"]["body_raw"].as_str().or(records[0]["response"]["body"].as_str()),
        Some("hi")
    );
    assert!(!format!("{records:?}").contains("made-up-secret-0123456789"));
}

#[tokio::test]
async fn other_hosts_are_tunnelled_untouched() {
    let (port, pem) = upstream().await;
    let proxy = intercept("https://api.example", "", Selection::All).await;
    // It is the upstream's own certificate that the client sees.
    let mut client = tls(tunnel(&proxy, port).await, pem.as_bytes()).await.unwrap();
    assert_eq!(ask(&mut client, port).await, ANSWER);
    assert!(proxy.log().is_empty());
}

#[tokio::test]
async fn an_upstream_that_nobody_vouches_for_is_refused_on_the_clients_behalf() {
    let (port, _) = upstream().await;
    let proxy = intercept(&format!("https://localhost:{port}"), "", Selection::All).await;
    let mut client = tls(tunnel(&proxy, port).await, &ca(&proxy)).await.unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = client.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("certificate"), "{answer}");
}

#[tokio::test]
async fn without_its_credentials_it_does_nothing() {
    let (port, pem) = upstream().await;
    let proxy = intercept(&format!("https://localhost:{port}"), &pem, Selection::All).await;
    let connect = format!("CONNECT localhost:{port} HTTP/1.1\r\nHost: localhost:{port}\r\n");
    for fields in ["", "Proxy-Authorization: Basic bm9uc2Vuc2U=\r\n"] {
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        let answer = said(&mut stream, &format!("{connect}{fields}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 407 ") && answer.contains("Basic"), "{answer}");
    }
    let mut stream = TcpStream::connect(proxy.address).await.unwrap();
    let plain = format!(
        "GET http://localhost:{port}/ HTTP/1.1\r\nHost: localhost:{port}\r\nProxy-Authorization: {}\r\n\r\n",
        proxy.authorization
    );
    assert!(said(&mut stream, &plain).await.starts_with("HTTP/1.1 403 "));
    assert!(proxy.log().is_empty());
}

#[tokio::test]
async fn inside_a_tunnel_only_its_host_is_meant() {
    let (port, pem) = upstream().await;
    let proxy = intercept(&format!("https://localhost:{port}"), &pem, Selection::All).await;
    let mut client = tls(tunnel(&proxy, port).await, &ca(&proxy)).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let _ = client.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
}

#[tokio::test]
async fn a_client_that_does_not_trust_us_sees_that_it_is_not_its_server() {
    let (port, pem) = upstream().await;
    let proxy = intercept(&format!("https://localhost:{port}"), &pem, Selection::All).await;
    let error = tls(tunnel(&proxy, port).await, pem.as_bytes()).await.unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}
