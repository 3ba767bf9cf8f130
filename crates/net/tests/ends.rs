//! How exchanges end when somebody goes away, and who is not let in.

mod support;

use claude_trace_net::{Access, Error};
use std::time::Duration;
use support::*;
use tokio::io::AsyncReadExt;

#[tokio::test]
async fn a_client_that_goes_away_before_the_answer_ends_its_request_upstream() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    let mut client = proxy.connect().await;
    write(&mut client, "POST /w HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi").await;
    let mut server = upstream.accept().await;
    read_head(&mut server).await;
    expect(&mut server, "hi").await;
    drop(client);
    assert_eq!(rest(&mut server).await, b"");
    let record = proxy.record().await;
    assert_eq!(record["trace"]["error"]["code"], "ABORT_ERR");
    assert_eq!(record["note"], "REQUEST_FAILED - ABORT_ERR: the client closed the connection before the end");
    assert_eq!(record["request"]["body"], "hi");
}

#[tokio::test]
async fn a_client_that_goes_away_in_mid_stream_ends_it_upstream_and_what_it_got_is_on_record() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    let mut client = proxy.connect().await;
    write(&mut client, "GET /s HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut server = upstream.accept().await;
    read_head(&mut server).await;
    write(&mut server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
    read_until(&mut client, b"first\r\n").await;
    drop(client);
    assert_eq!(rest(&mut server).await, b"");
    let record = proxy.record().await;
    assert_eq!(record["response"]["body_raw"], "first");
    assert_eq!(
        record["note"],
        "PARTIAL_RESPONSE - ABORT_ERR: the client closed the connection before the end"
    );
}

#[tokio::test]
async fn a_client_that_goes_away_in_mid_request_does_not_look_like_one_that_was_done() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    let mut client = proxy.connect().await;
    write(
        &mut client,
        "POST /u HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    )
    .await;
    let mut server = upstream.accept().await;
    read_head(&mut server).await;
    expect(&mut server, "4\r\nhalf\r\n").await;
    drop(client);
    assert_eq!(rest(&mut server).await, b"", "no final chunk");
    let record = proxy.record().await;
    assert_eq!(
        (&record["request"]["body"], &record["trace"]["error"]["code"]),
        (&"half".into(), &"ABORT_ERR".into())
    );
    assert!(record["trace"]["timing_ms"].get("request_sent").is_none());
}

#[tokio::test]
async fn an_upstream_that_breaks_off_breaks_the_client_off_too() {
    for (framing, body) in [("Transfer-Encoding: chunked", "5\r\nfirst\r\n"), ("Content-Length: 10", "first")]
    {
        let upstream = Upstream::listen().await;
        let proxy = proxy(&upstream.url()).await;
        let mut client = proxy.connect().await;
        write(&mut client, "GET /b HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let mut server = upstream.accept().await;
        read_head(&mut server).await;
        let answer = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{body}");
        write(&mut server, &answer).await;
        expect(&mut client, &answer).await;
        drop(server);
        assert_eq!(rest(&mut client).await, b"", "no final chunk");
        let record = proxy.record().await;
        assert_eq!(record["response"]["body_raw"], "first");
        assert_eq!(record["trace"]["error"]["code"], "ECONNRESET", "{record}");
    }
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_a_502_that_says_so_and_a_failed_exchange() {
    let free = Upstream::listen().await.url();
    let proxy = proxy(&free).await;
    let mut client = proxy.connect().await;
    write(&mut client, "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}").await;
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{head}");
    let length =
        head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    soon(client.read_exact(&mut body)).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&body["type"], &body["error"]["type"]), (&"error".into(), &"api_error".into()));
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.starts_with(&format!("claude-trace: no answer from {free}: ")), "{message}");
    assert!(message.ends_with("(ECONNREFUSED)"), "{message}");
    let record = proxy.record().await;
    assert_eq!(
        (&record["response"], &record["trace"]["error"]["code"]),
        (&serde_json::Value::Null, &"ECONNREFUSED".into())
    );
    assert_eq!(record["request"]["url"], format!("{free}/v1/messages"));
}

#[tokio::test]
async fn an_upstream_that_closes_without_an_answer_is_a_502_too() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    let mut client = proxy.connect().await;
    write(&mut client, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut server = upstream.accept().await;
    read_head(&mut server).await;
    drop(server);
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 502 "));
    assert_eq!(proxy.record().await["trace"]["error"]["code"], "ECONNRESET");
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_is_given_up() {
    let upstream = Upstream::listen().await;
    let wish = Wish { connect_timeout: Duration::from_millis(50), ..Wish::default() };
    let proxy = proxy_with(&format!("https://{}", upstream.host()), wish).await;
    let mut client = proxy.connect().await;
    write(&mut client, "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let _server = upstream.accept().await;
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 502 "));
    let record = proxy.record().await;
    assert_eq!(record["trace"]["error"]["code"], "ETIMEDOUT");
    assert!(record["trace"]["error"]["message"].as_str().unwrap().contains("no connection within 50 ms"));
}

#[tokio::test]
async fn what_is_meant_for_somebody_else_is_refused_and_goes_nowhere() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    for request in [
        "GET /v1 HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        "GET /v1 HTTP/1.1\r\nHost: 127.0.0.1.evil.example\r\n\r\n",
        "GET http://evil.example/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /v1 HTTP/1.0\r\n\r\n",
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
        "CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n",
    ] {
        let mut client = proxy.connect().await;
        write(&mut client, request).await;
        let head = read_head(&mut client).await;
        assert!(head[8..].starts_with(" 403 Forbidden\r\n"), "{request}: {head}");
    }
    assert!(!upstream.has_visitor().await);
    // An absolute target that names the proxy itself goes where everything goes.
    let mut client = proxy.connect().await;
    write(&mut client, format!("GET http://{}/v1 HTTP/1.1\r\nHost: localhost\r\n\r\n", proxy.address)).await;
    let mut server = upstream.accept().await;
    assert!(read_head(&mut server).await.starts_with("GET /v1 HTTP/1.1\r\n"));
    write(&mut server, "HTTP/1.1 204 No Content\r\n\r\n").await;
    read_head(&mut client).await;
    assert_eq!(
        proxy.record().await["request"]["url"],
        format!("{}/v1", upstream.url()),
        "it alone is on record"
    );
}

#[tokio::test]
async fn other_machines_need_a_token() {
    let config = |access| claude_trace_net::Config {
        listen: "0.0.0.0:0".parse().unwrap(),
        upstream: "http://localhost".parse().unwrap(),
        access,
        selection: claude_trace_net::Selection::All,
        live: None,
    };
    let token = "0123456789abcdef";
    let running = proxy("http://localhost").await;
    let connector = claude_trace_net::connect::Connector::new(&[], Duration::from_secs(1)).unwrap();
    for access in [Access::Local, Access::LocalWith(token.parse().unwrap())] {
        let refused = claude_trace_net::Proxy::bind(config(access), &connector, running.tape.clone()).await;
        assert!(matches!(refused, Err(Error::Remote { .. })));
    }
    let upstream = Upstream::listen().await;
    let wish =
        Wish { listen: "0.0.0.0:0", access: Access::Remote(token.parse().unwrap()), ..Wish::default() };
    let proxy = proxy_with(&upstream.url(), wish).await;
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: recorder.example\r\n\r\n");
    let connect =
        || async { tokio::net::TcpStream::connect(("127.0.0.1", proxy.address.port())).await.unwrap() };
    let mut client = connect().await;
    write(&mut client, request("/v1")).await;
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 403 "));
    assert!(!upstream.has_visitor().await);
    let mut client = connect().await;
    write(&mut client, request(&format!("/{token}/v1"))).await;
    let mut server = upstream.accept().await;
    assert!(read_head(&mut server).await.starts_with("GET /v1 HTTP/1.1\r\n"));
    write(&mut server, "HTTP/1.1 204 No Content\r\n\r\n").await;
    assert!(read_head(&mut client).await.starts_with("HTTP/1.1 204 "));
    proxy.record().await;
    assert!(!proxy.written().windows(token.len()).any(|bytes| bytes == token.as_bytes()));
}
