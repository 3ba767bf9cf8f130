//! HTTP/2 on the way in (prior knowledge) and out (ALPN), and many streams at once.

mod support;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::*;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};

type ChannelBody = StreamBody<Received>;

struct Received(mpsc::Receiver<Frame<Bytes>>);

impl futures_core::Stream for Received {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

fn channel() -> (mpsc::Sender<Frame<Bytes>>, ChannelBody) {
    let (sender, receiver) = mpsc::channel(4);
    (sender, StreamBody::new(Received(receiver)))
}

/// An upstream that speaks what TLS agrees on, and echoes: each frame of the request, and a trailer.
struct Tls {
    port: u16,
    /// Where its certificate lies.
    folder: tempfile::TempDir,
    connections: Arc<AtomicUsize>,
}

impl Tls {
    async fn start(protocols: &[&str]) -> Self {
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("cert.pem"), certified.cert.pem()).unwrap();
        let key = rustls_pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key.into())
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service_fn(echo)).await;
                });
            }
        });
        Self { port, folder, connections }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    fn wish(&self) -> Wish {
        Wish { roots: vec![self.folder.path().join("cert.pem")], ..Wish::default() }
    }
}

async fn echo(request: Request<Incoming>) -> Result<Response<ChannelBody>, Infallible> {
    let (sender, body) = channel();
    let version = format!("{:?}", request.version());
    let host = request.uri().authority().map_or_else(
        || request.headers()["host"].to_str().unwrap().to_owned(),
        |authority| authority.to_string(),
    );
    tokio::spawn(async move {
        let mut incoming = request.into_body();
        while let Some(Ok(frame)) = incoming.frame().await {
            let _ = sender.send(frame).await;
        }
        let mut trailers = HeaderMap::new();
        trailers.insert("x-echo", "done".parse().unwrap());
        let _ = sender.send(Frame::trailers(trailers)).await;
    });
    Ok(Response::builder()
        .header("x-version", version)
        .header("x-host", host)
        .header("trailer", "x-echo")
        .body(body)
        .unwrap())
}

async fn http2_client(proxy: &Running) -> SendRequest<ChannelBody> {
    let stream = TokioIo::new(proxy.connect().await);
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request(proxy: &Running, path: &str, body: ChannelBody) -> Request<ChannelBody> {
    let uri = format!("http://{}{path}", proxy.address);
    Request::post(uri)
        .version(Version::HTTP_2)
        .header("x-a", "1")
        .header("te", "trailers")
        .body(body)
        .unwrap()
}

/// One exchange, frame by frame.
async fn converse(proxy: &Running) -> Response<()> {
    let mut client = http2_client(proxy).await;
    let (sender, body) = channel();
    let (head, mut answer) =
        soon(client.send_request(request(proxy, "/v1/messages", body))).await.unwrap().into_parts();
    for n in 0..3 {
        let bytes = Bytes::from(format!("frame {n}"));
        sender.send(Frame::data(bytes.clone())).await.unwrap();
        let frame = soon(answer.frame()).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), bytes, "before the next one is sent");
    }
    drop(sender);
    let trailers = soon(answer.frame()).await.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(trailers["x-echo"], "done");
    Response::from_parts(head, ())
}

#[tokio::test]
async fn http2_in_and_out() {
    let upstream = Tls::start(&["h2", "http/1.1"]).await;
    let proxy = proxy_with(&upstream.url(), upstream.wish()).await;
    let answer = converse(&proxy).await;
    assert_eq!(answer.headers()["x-version"], "HTTP/2.0");
    assert_eq!(answer.headers()["x-host"], format!("localhost:{}", upstream.port));
    let record = proxy.record().await;
    assert_eq!(record["trace"]["http"], "2");
    assert_eq!(record["request"]["url"], format!("{}/v1/messages", upstream.url()));
    assert_eq!(record["request"]["headers"]["host"], format!("localhost:{}", upstream.port));
    assert_eq!(record["response"]["body_raw"], "frame 0frame 1frame 2");
    assert_eq!(record["response"]["trailers"]["x-echo"], "done");
    assert_eq!(record["trace"]["chunks"]["bytes"], serde_json::json!([7, 7, 7]));
}

#[tokio::test]
async fn http2_in_and_http1_out_where_the_server_has_nothing_newer() {
    let upstream = Tls::start(&["http/1.1"]).await;
    let proxy = proxy_with(&upstream.url(), upstream.wish()).await;
    let answer = converse(&proxy).await;
    assert_eq!(answer.headers()["x-version"], "HTTP/1.1");
    let record = proxy.record().await;
    assert_eq!(record["trace"]["http"], "1.1");
    assert_eq!(record["response"]["body_raw"], "frame 0frame 1frame 2");
}

#[tokio::test]
async fn http1_in_and_http1_out_even_where_the_server_has_http2() {
    let upstream = Tls::start(&["h2", "http/1.1"]).await;
    let proxy = proxy_with(&upstream.url(), upstream.wish()).await;
    let mut client = proxy.connect().await;
    write(&mut client, "POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi").await;
    let head = read_head(&mut client).await;
    assert!(head.contains("x-version: HTTP/1.1\r\n"), "{head}");
    proxy.record().await;
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let upstream = Tls::start(&["http/1.1"]).await;
    let proxy = proxy(&upstream.url()).await;
    let mut client = proxy.connect().await;
    write(&mut client, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 502 "));
    assert_eq!(proxy.record().await["trace"]["error"]["code"], "ERR_TLS");
}

#[tokio::test]
async fn each_client_connection_has_an_http2_connection_of_its_own() {
    let upstream = Tls::start(&["h2"]).await;
    let proxy = proxy_with(&upstream.url(), upstream.wish()).await;
    for _ in 0..2 {
        converse(&proxy).await;
    }
    assert_eq!(upstream.connections.load(Ordering::Relaxed), 2);
    proxy.records(2).await;
}

#[tokio::test]
async fn a_stream_that_is_reset_ends_upstream_and_its_connection_stays() {
    let upstream = Tls::start(&["h2"]).await;
    let proxy = proxy_with(&upstream.url(), upstream.wish()).await;
    let mut client = http2_client(&proxy).await;
    let (sender, body) = channel();
    let mut answer = soon(client.send_request(request(&proxy, "/reset", body))).await.unwrap().into_body();
    sender.send(Frame::data(Bytes::from_static(b"one"))).await.unwrap();
    assert_eq!(soon(answer.frame()).await.unwrap().unwrap().into_data().unwrap(), "one");
    drop(answer);
    drop(sender);
    let record = proxy.record().await;
    assert_eq!((&record["response"]["body_raw"], &record["trace"]["partial"]), (&"one".into(), &true.into()));
    let (sender, body) = channel();
    drop(sender);
    let again = soon(client.send_request(request(&proxy, "/again", body))).await.unwrap();
    assert_eq!(again.status(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_streams_at_once() {
    const STREAMS: usize = 2000;
    let upstream = Upstream::listen().await;
    let proxy = Arc::new(proxy(&upstream.url()).await);
    let all_open = Arc::new(Semaphore::new(0));
    let server = {
        let all_open = Arc::clone(&all_open);
        tokio::spawn(async move {
            for _ in 0..STREAMS {
                let mut stream = upstream.accept().await;
                let all_open = Arc::clone(&all_open);
                tokio::spawn(async move {
                    read_head(&mut stream).await;
                    write(&mut stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
                        .await;
                    let _go = all_open.acquire().await.unwrap();
                    write(&mut stream, "3\r\ntwo\r\n0\r\n\r\n").await;
                });
            }
        })
    };
    let mut clients = Vec::new();
    for n in 0..STREAMS {
        let mut client = proxy.connect().await;
        write(&mut client, format!("GET /{n} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        clients.push(client);
    }
    for client in &mut clients {
        assert!(read_until(client, b"one\r\n").await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    soon(server).await.unwrap();
    all_open.add_permits(STREAMS);
    for client in &mut clients {
        expect(client, "3\r\ntwo\r\n0\r\n\r\n").await;
    }
    let records = proxy.records(STREAMS).await;
    assert!(
        records
            .iter()
            .all(|record| record["response"]["body_raw"] == "onetwo" && record.get("note").is_none())
    );
}
