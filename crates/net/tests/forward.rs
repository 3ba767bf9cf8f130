//! What passes the reverse proxy, byte for byte, against clients and upstreams that a test plays by hand.

mod support;

use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn heads_and_bodies_pass_as_they_came_but_for_the_host() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    let mut client = proxy.connect().await;
    let fields = "x-Api-Key: sk-ant-0123456789012345678901234567890\r\nB: 1\r\na: 2\r\nA: 3\r\nContent-Type: application/json\r\nConnection: keep-alive\r\nContent-Length: 13\r\n";
    write(
        &mut client,
        format!(
            "POST /v1/messages?x=%2f&b HTTP/1.1\r\nhOst: {}\r\n{fields}\r\n{{\"a\":   1.0 }}",
            proxy.address
        ),
    )
    .await;
    let mut server = upstream.accept().await;
    let sent = format!(
        "POST /v1/messages?x=%2f&b HTTP/1.1\r\nhOst: {}\r\n{fields}\r\n{{\"a\":   1.0 }}",
        upstream.host()
    );
    expect(&mut server, sent).await;
    let answer = "HTTP/1.1 429 Slow Down Please\r\nRequest-ID: r1\r\nset-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 4\r\n\r\nwait";
    write(&mut server, answer).await;
    expect(&mut client, answer).await;

    let record = proxy.record().await;
    assert_eq!(record["request"]["url"], format!("{}/v1/messages?x=%2f&b", upstream.url()));
    assert_eq!(record["request"]["headers"]["host"], upstream.host());
    assert_eq!(record["request"]["headers"]["a"], "2, 3");
    assert_eq!(record["request"]["body"]["a"].to_string(), "1.0");
    assert_eq!(record["response"]["status_code"], 429);
    assert_eq!(record["response"]["headers"]["set-cookie"][0], "[REDACTED]");
    assert_eq!(record["response"]["body_raw"], "wait");
    assert_eq!(record["trace"]["via"], "proxy");
    assert_eq!(record["trace"]["http"], "1.1");
    assert!(record.get("note").is_none());
}

#[tokio::test]
async fn credentials_never_reach_a_file() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    let mut client = proxy.connect().await;
    let secret = "sk-ant-oat01-verysecretverysecretverysecret";
    write(
        &mut client,
        format!(
            "GET /x?api_key={secret} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\n\r\n"
        ),
    )
    .await;
    let mut server = upstream.accept().await;
    assert!(read_head(&mut server).await.contains(&format!("Authorization: Bearer {secret}\r\n")));
    // Open: what there is lies in the spool.
    let written = proxy.written();
    assert!(written.windows(6).any(|bytes| bytes == b"Bearer"), "the head is in the spool");
    assert!(!written.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()));
    write(&mut server, "HTTP/1.1 204 No Content\r\n\r\n").await;
    read_head(&mut client).await;
    proxy.record().await;
    assert!(!proxy.written().windows(secret.len()).any(|bytes| bytes == secret.as_bytes()));
}

#[tokio::test]
async fn each_chunk_passes_before_the_next_one_is_sent() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    let mut client = proxy.connect().await;
    write(&mut client, "POST /s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let mut server = upstream.accept().await;
    assert!(read_head(&mut server).await.contains("Transfer-Encoding: chunked\r\n"));
    for n in 0..5 {
        write(&mut client, format!("4\r\nup-{n}\r\n")).await;
        expect(&mut server, format!("4\r\nup-{n}\r\n")).await;
    }
    write(&mut client, "0\r\n\r\n").await;
    expect(&mut server, "0\r\n\r\n").await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    write(&mut server, head).await;
    expect(&mut client, head).await;
    for n in 0..5 {
        let chunk = format!("9\r\ndata: {n}\n\n\r\n");
        write(&mut server, &chunk).await;
        expect(&mut client, &chunk).await;
    }
    write(&mut server, "0\r\n\r\n").await;
    expect(&mut client, "0\r\n\r\n").await;
    let record = proxy.record().await;
    assert_eq!(record["request"]["body"], "up-0up-1up-2up-3up-4");
    assert_eq!(record["trace"]["chunks"]["bytes"], serde_json::json!([9, 9, 9, 9, 9]));
}

#[tokio::test]
async fn what_a_client_does_not_take_is_not_taken_from_the_upstream() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    let mut client = proxy.connect().await;
    write(&mut client, "GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut server = upstream.accept().await;
    read_head(&mut server).await;
    let total = 64 << 20;
    write(&mut server, format!("HTTP/1.1 200 OK\r\nContent-Length: {total}\r\n\r\n")).await;
    let piece = vec![b'x'; 1 << 20];
    let mut sent = 0;
    while let Ok(written) =
        tokio::time::timeout(std::time::Duration::from_millis(500), server.write(&piece)).await
    {
        sent += written.unwrap();
        assert!(sent < 40 << 20, "{sent} bytes were taken for a client that reads nothing");
    }
    read_head(&mut client).await;
    // From here on it flows again.
    let reading = tokio::spawn(async move {
        let mut buffer = vec![0; 1 << 16];
        let mut read = 0;
        while read < total {
            read += soon(client.read(&mut buffer)).await.unwrap();
        }
        read
    });
    while sent < total {
        let rest = (total - sent).min(piece.len());
        sent += soon(server.write(&piece[..rest])).await.unwrap();
    }
    assert_eq!(soon(reading).await.unwrap(), total);
}

#[tokio::test]
async fn trailers_pass_in_both_directions() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    let mut client = proxy.connect().await;
    write(&mut client, "POST /t HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 1\r\n\r\n").await;
    let mut server = upstream.accept().await;
    let head = read_head(&mut server).await;
    assert!(head.contains("TE: trailers\r\nTrailer: x-sum\r\n"), "{head}");
    expect(&mut server, "2\r\nhi\r\n0\r\nx-sum: 1\r\n\r\n").await;
    let answer = "HTTP/1.1 200 OK\r\nTrailer: x-cost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-cost: 7\r\n\r\n";
    write(&mut server, answer).await;
    expect(&mut client, answer).await;
    assert_eq!(proxy.record().await["response"]["trailers"]["x-cost"], "7");
}

#[tokio::test]
async fn content_encodings_pass_as_they_are() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    let mut client = proxy.connect().await;
    write(&mut client, "GET /z HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n").await;
    let mut server = upstream.accept().await;
    assert!(read_head(&mut server).await.contains("Accept-Encoding: gzip\r\n"));
    // `printf '{"a":1}' | gzip -9n`
    let packed: &[u8] =
        &[31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 74, 84, 178, 50, 172, 5, 0, 175, 172, 27, 86, 7, 0, 0, 0];
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
        packed.len()
    );
    write(&mut server, [head.as_bytes(), packed].concat()).await;
    expect(&mut client, &head).await;
    let mut body = vec![0; packed.len()];
    soon(client.read_exact(&mut body)).await.unwrap();
    assert_eq!(body, packed);
    let record = proxy.record().await;
    assert_eq!(record["trace"]["content_encoding"], "gzip");
    assert_eq!(record["response"]["body"], serde_json::json!({"a": 1}));
    assert_eq!(record["trace"]["response_bytes"], packed.len());
}

#[tokio::test]
async fn leave_to_send_a_body_comes_from_the_upstream() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    let request = "POST /u HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
    let mut client = proxy.connect().await;
    write(&mut client, request).await;
    let mut server = upstream.accept().await;
    assert!(read_head(&mut server).await.contains("Expect: 100-continue\r\n"));
    write(&mut server, "HTTP/1.1 100 Continue\r\n\r\n").await;
    expect(&mut client, "HTTP/1.1 100 Continue\r\n\r\n").await;
    write(&mut client, "body").await;
    expect(&mut server, "body").await;
    write(&mut server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    expect(&mut client, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;

    let mut client = proxy.connect().await;
    write(&mut client, request).await;
    // On the connection that the first one has left.
    assert!(read_head(&mut server).await.contains("Expect: 100-continue\r\n"));
    write(&mut server, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno").await;
    let all = String::from_utf8(rest(&mut client).await).unwrap();
    assert!(
        all.starts_with("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n") && all.ends_with("no"),
        "{all}"
    );
    assert_eq!(rest(&mut server).await, b"", "no body was sent");
    let records = proxy.records(2).await;
    assert_eq!(records[0]["request"]["body"], "body");
    assert_eq!(
        (&records[1]["response"]["status_code"], &records[1]["request"]["body"]),
        (&417.into(), &serde_json::Value::Null)
    );
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_passes_and_so_does_the_rest_of_the_request() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    let mut client = proxy.connect().await;
    write(&mut client, "POST /early HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nhalf").await;
    let mut server = upstream.accept().await;
    read_head(&mut server).await;
    expect(&mut server, "half").await;
    write(&mut server, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n").await;
    expect(&mut client, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n").await;
    write(&mut client, "rest").await;
    expect(&mut server, "rest").await;
    write(&mut server, "0\r\n\r\n").await;
    expect(&mut client, "0\r\n\r\n").await;
    let record = proxy.record().await;
    assert_eq!(
        (&record["request"]["body"], &record["response"]["body_raw"]),
        (&"halfrest".into(), &"ab".into())
    );
    assert!(record.get("note").is_none(), "{record}");
}

#[tokio::test]
async fn connections_are_kept_and_shared() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    let mut server = None;
    for n in 0..3 {
        // Twice on one connection of the client, then on another.
        let mut client = proxy.connect().await;
        for _ in 0..2 {
            write(&mut client, format!("GET /{n} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
            let server = match &mut server {
                Some(server) => server,
                none => none.insert(upstream.accept().await),
            };
            assert!(read_head(server).await.starts_with(&format!("GET /{n} ")));
            write(server, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx").await;
            assert!(read_head(&mut client).await.starts_with("HTTP/1.1 200"));
            expect(&mut client, "x").await;
        }
    }
    assert!(!upstream.has_visitor().await, "one connection was enough");
    assert_eq!(proxy.records(6).await.len(), 6);
}

#[tokio::test]
async fn a_head_request_and_an_answer_without_body_have_none() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    let mut client = proxy.connect().await;
    let mut server = None;
    for (method, answer) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nEtag: x\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
    ] {
        write(&mut client, format!("{method} /x HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        let server = match &mut server {
            Some(server) => server,
            none => none.insert(upstream.accept().await),
        };
        read_head(server).await;
        write(server, answer).await;
        expect(&mut client, answer).await;
    }
    for record in proxy.records(3).await {
        assert_eq!(record["response"]["body_raw"], "");
        assert!(record.get("note").is_none());
    }
}

#[tokio::test]
async fn a_response_that_ends_with_its_connection_is_whole() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    let mut client = proxy.connect().await;
    write(&mut client, "GET /old HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut server = upstream.accept().await;
    read_head(&mut server).await;
    write(&mut server, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold times").await;
    drop(server);
    let head = read_head(&mut client).await;
    assert!(head.to_ascii_lowercase().contains("transfer-encoding: chunked"), "{head}");
    assert!(read_until(&mut client, b"0\r\n\r\n").await.contains("old times"));
    let record = proxy.record().await;
    assert_eq!(
        (&record["response"]["body_raw"], &record["trace"]["http"]),
        (&"old times".into(), &"1.0".into())
    );
    assert!(record.get("note").is_none());
}
