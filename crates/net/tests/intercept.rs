//! The forward proxy: hosts that are decrypted.

mod support;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls_pki_types::CertificateDer;
use std::convert::Infallible;
use support::tls::*;
use support::*;
use tokio::io::AsyncWriteExt;

const ASK: &str = "POST /v1/messages?beta=true HTTP/1.1\r\nX-Odd-Case: 1\r\nHost: HOST\r\nAuthorization: Bearer sk-ant-made-up-0123456789\r\nContent-Length: 2\r\n\r\nhi";
const ANSWER: &str =
    "HTTP/1.1 200 Fine\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test]
async fn a_matched_host_is_decrypted_and_recorded_and_both_sides_see_the_same_bytes() {
    let authority = Authority::new();
    let upstream = authority.server(&["http/1.1"]).await;
    let proxy = forward(&[&upstream.url()], &[&authority]).await;
    let host = upstream.host();
    let ask = ASK.replace("HOST", &host);
    let (mut client, mut server) = tokio::join!(proxy.client(&host, &["http/1.1"]), upstream.accept());
    for round in 0..2 {
        write(&mut client, &ask).await;
        expect(&mut server, &ask).await;
        write(&mut server, ANSWER).await;
        expect(&mut client, ANSWER).await;
        for chunk in ["5\r\nfirst\r\n", "6\r\nsecond\r\n", "0\r\n\r\n"] {
            write(&mut server, chunk).await;
            expect(&mut client, chunk).await;
        }
        let records = proxy.running.records(round + 1).await;
        let record = &records[round];
        assert_eq!(record["request"]["url"], format!("{}/v1/messages?beta=true", upstream.url()));
        assert_eq!(record["request"]["body"], "hi");
        assert_eq!(record["response"]["body_raw"], "firstsecond");
        assert_eq!((&record["trace"]["via"], record.get("note")), (&"proxy".into(), None));
    }
    assert!(!upstream.tcp.has_visitor().await, "one connection for one connection");
    let written = proxy.running.written();
    let token = proxy.credentials.split_once(':').unwrap().1;
    for secret in [token, "sk-ant-made-up-0123456789"] {
        assert!(memchr::memmem::find(&written, secret.as_bytes()).is_none(), "{secret}");
    }
}

#[tokio::test]
async fn an_address_is_a_host_too() {
    let authority = Authority::new();
    let upstream = authority.server(&[]).await;
    let host = format!("127.0.0.1:{}", upstream.port());
    let proxy = forward(&[&format!("https://{host}")], &[&authority]).await;
    let (mut client, mut server) = tokio::join!(proxy.client(&host, &[]), upstream.accept());
    write(&mut client, "GET /v1/messages HTTP/1.1\r\nHost: x\r\n\r\n").await;
    expect(&mut server, "GET /v1/messages HTTP/1.1\r\nHost: x\r\n\r\n").await;
    write(&mut server, "HTTP/1.1 204 No Content\r\n\r\n").await;
    expect(&mut client, "HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(proxy.running.record().await["request"]["url"], format!("https://{host}/v1/messages"));
}

#[tokio::test]
async fn the_client_is_offered_what_the_server_agrees_to() {
    let authority = Authority::new();
    for (client, server, agreed) in [
        (&["h2", "http/1.1"][..], &["h2", "http/1.1"][..], Some("h2")),
        (&["h2", "http/1.1"], &["http/1.1"], Some("http/1.1")),
        (&["http/1.1"], &["h2", "http/1.1"], Some("http/1.1")),
        (&["h2", "http/1.1"], &[], None),
        (&[], &["h2", "http/1.1"], None),
    ] {
        let upstream = authority.server(server).await;
        let proxy = forward(&[&upstream.url()], &[&authority]).await;
        let host = upstream.host();
        let (client, server) = tokio::join!(proxy.client(&host, client), upstream.accept());
        let agreed = agreed.map(str::as_bytes);
        assert_eq!(
            (client.get_ref().1.alpn_protocol(), server.get_ref().1.alpn_protocol()),
            (agreed, agreed)
        );
    }
}

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let version = format!("{:?}", request.version());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Ok(Response::builder()
        .header("x-version", version)
        .header("x-authority", authority)
        .body(Full::new(body))
        .unwrap())
}

#[tokio::test]
async fn http2_on_both_sides() {
    let authority = Authority::new();
    let upstream = authority.server(&["h2"]).await;
    let proxy = forward(&[&upstream.url()], &[&authority]).await;
    let host = upstream.host();
    let (client, server) = tokio::join!(proxy.client(&host, &["h2", "http/1.1"]), upstream.accept());
    tokio::spawn(async move {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(TokioIo::new(server), service_fn(echo)).await;
    });
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client)).await.unwrap();
    tokio::spawn(connection);
    let ask = |host: &str, body: &'static str| {
        let url = format!("https://{host}/v1/messages");
        Request::post(url)
            .version(Version::HTTP_2)
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .unwrap()
    };
    for body in ["one", "two"] {
        let answer = soon(sender.send_request(ask(&host, body))).await.unwrap();
        assert_eq!(answer.headers()["x-version"], "HTTP/2.0");
        assert_eq!(answer.headers()["x-authority"], host.as_str());
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), body);
    }
    let elsewhere = soon(sender.send_request(ask("other.example", "x"))).await.unwrap();
    assert_eq!(elsewhere.status(), 421);
    let records = proxy.running.records(2).await;
    assert!(records.iter().all(|record| record["trace"]["http"] == "2"));
    assert!(!upstream.tcp.has_visitor().await, "one connection for one connection");
}

#[tokio::test]
async fn a_websocket_passes() {
    const TURN: &str =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    let authority = Authority::new();
    let upstream = authority.server(&["http/1.1"]).await;
    let proxy = forward(&[&upstream.url()], &[&authority]).await;
    let host = upstream.host();
    let ask = format!(
        "GET /v1/messages HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    );
    let (mut client, mut server) = tokio::join!(proxy.client(&host, &["http/1.1"]), upstream.accept());
    write(&mut client, &ask).await;
    expect(&mut server, &ask).await;
    write(&mut server, TURN).await;
    expect(&mut client, TURN).await;
    write(&mut client, "ping").await;
    expect(&mut server, "ping").await;
    write(&mut server, "pong").await;
    expect(&mut client, "pong").await;
    server.shutdown().await.unwrap();
    client.shutdown().await.unwrap();
    let record = proxy.running.record().await;
    assert_eq!(
        (&record["request"]["body"], &record["response"]["body_raw"]),
        (&"ping".into(), &"pong".into())
    );
}

#[tokio::test]
async fn a_client_that_goes_away_ends_its_request_upstream() {
    let authority = Authority::new();
    let upstream = authority.server(&["http/1.1"]).await;
    let proxy = forward(&[&upstream.url()], &[&authority]).await;
    let host = upstream.host();
    let ask = ASK.replace("HOST", &host);
    let (mut client, mut server) = tokio::join!(proxy.client(&host, &["http/1.1"]), upstream.accept());
    write(&mut client, &ask).await;
    expect(&mut server, &ask).await;
    write(&mut server, format!("{ANSWER}5\r\nfirst\r\n")).await;
    expect(&mut client, format!("{ANSWER}5\r\nfirst\r\n")).await;
    drop(client);
    assert_eq!(rest(&mut server).await, b"");
    let record = proxy.running.record().await;
    assert_eq!(
        (&record["trace"]["error"]["code"], &record["response"]["body_raw"]),
        (&"ABORT_ERR".into(), &"first".into())
    );
}

/// What a client hears of an upstream that cannot be spoken to, in TLS that it trusts.
async fn refused(proxy: &Forward, host: &str) -> String {
    let mut client = proxy.client(host, &["h2", "http/1.1"]).await;
    assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    write(&mut client, format!("GET /v1/messages HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
        .await;
    String::from_utf8(rest(&mut client).await).unwrap()
}

#[tokio::test]
async fn a_server_that_does_not_prove_who_it_is_gets_no_request() {
    let (known, unknown) = (Authority::new(), Authority::new());
    let old = |params: &mut rcgen::CertificateParams| params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let other = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names = vec![rcgen::SanType::DnsName("other.example".try_into().unwrap())];
    };
    for (upstream, why) in [
        (unknown.server(&["http/1.1"]).await, "UnknownIssuer"),
        (known.server_with(&["http/1.1"], old).await, "expired"),
        (known.server_with(&["http/1.1"], other).await, "not valid for name"),
    ] {
        let proxy = forward(&[&upstream.url()], &[&known]).await;
        let host = upstream.host();
        let (answer, accepted) = tokio::join!(refused(&proxy, &host), upstream.try_accept());
        assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer}");
        assert!(answer.contains("ERR_TLS") && answer.contains(why), "{answer}");
        assert!(accepted.is_err(), "nothing was said to it");
        let record = proxy.running.record().await;
        assert_eq!(record["trace"]["error"]["code"], "ERR_TLS");
        assert_eq!(record["request"]["url"], format!("{}/v1/messages", upstream.url()));
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_on_record() {
    let authority = Authority::new();
    let upstream = authority.server(&[]).await;
    let (host, url) = (upstream.host(), upstream.url());
    drop(upstream);
    let proxy = forward(&[&url], &[&authority]).await;
    let answer = refused(&proxy, &host).await;
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("ECONNREFUSED"), "{answer}");
    assert_eq!(proxy.running.record().await["trace"]["error"]["code"], "ECONNREFUSED");
}

#[tokio::test]
async fn a_client_that_does_not_trust_us_is_told_of_once() {
    let authority = Authority::new();
    let upstream = authority.server(&[]).await;
    let proxy = forward(&[&upstream.url()], &[&authority]).await;
    let host = upstream.host();
    for _ in 0..2 {
        let tunnel = proxy.tunnel(&host).await;
        let stranger: CertificateDer<'static> = authority.certificate();
        let (client, _server) =
            tokio::join!(handshake(tunnel, "localhost", &stranger, &[]), upstream.accept());
        client.unwrap_err();
    }
    let deadline = tokio::time::Instant::now() + STUCK;
    while proxy.said.lock().unwrap().is_empty() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let said = proxy.said.lock().unwrap();
    assert_eq!(said.len(), 1);
    assert!(
        said[0].contains("does not trust our certificate for localhost") && said[0].contains("ca.pem"),
        "{said:?}"
    );
}

// Found with curl, which ends as soon as it has as much as was promised.
#[tokio::test]
async fn all_that_was_promised_is_a_whole_response_before_the_stream_is_said_to_end() {
    let authority = Authority::new();
    let upstream = authority.server(&["h2"]).await;
    let proxy = forward(&[&upstream.url()], &[&authority]).await;
    let host = upstream.host();
    let (client, server) = tokio::join!(proxy.client(&host, &["h2"]), upstream.accept());
    tokio::spawn(async move {
        let service = service_fn(|_: Request<Incoming>| async {
            // Never ends by itself.
            let data = one_frame(Bytes::from_static(b"0123456789"));
            Ok::<_, Infallible>(Response::builder().header("content-length", 10).body(data).unwrap())
        });
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(TokioIo::new(server), service).await;
    });
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client)).await.unwrap();
    tokio::spawn(connection);
    let ask = Request::get(format!("https://{host}/v1/messages")).version(Version::HTTP_2);
    let answer = soon(sender.send_request(ask.body(Full::new(Bytes::new())).unwrap())).await.unwrap();
    let mut body = answer.into_body();
    assert_eq!(soon(body.frame()).await.unwrap().unwrap().into_data().unwrap(), "0123456789");
    drop((body, sender));
    let record = proxy.running.record().await;
    assert_eq!(
        (&record["response"]["body_raw"], record.get("note")),
        (&"0123456789".into(), None),
        "{record}"
    );
}

/// One frame, and no end.
fn one_frame(bytes: Bytes) -> http_body_util::StreamBody<OneFrame> {
    http_body_util::StreamBody::new(OneFrame(Some(bytes)))
}

struct OneFrame(Option<Bytes>);

impl futures_core::Stream for OneFrame {
    type Item = Result<hyper::body::Frame<Bytes>, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        match self.0.take() {
            Some(bytes) => std::task::Poll::Ready(Some(Ok(hyper::body::Frame::data(bytes)))),
            None => std::task::Poll::Pending,
        }
    }
}
