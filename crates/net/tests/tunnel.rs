//! The forward proxy: what is not decrypted, who may not use it, and plain HTTP.

mod support;

use support::tls::*;
use support::*;
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn an_unmatched_host_shows_its_own_certificate_and_is_not_recorded() {
    let authority = Authority::new();
    let upstream = authority.server(&["h2", "http/1.1"]).await;
    let proxy = forward(&["https://other.example"], &[]).await;
    let tunnel = proxy.tunnel(&upstream.host()).await;
    let root = authority.certificate();
    let (client, server) =
        tokio::join!(handshake(tunnel, "localhost", &root, &["http/1.1"]), upstream.accept());
    let (mut client, mut server) = (client.unwrap(), server);
    write(&mut client, "POST /v1/messages HTTP/1.1\r\n").await;
    expect(&mut server, "POST /v1/messages HTTP/1.1\r\n").await;
    write(&mut server, "anything").await;
    expect(&mut client, "anything").await;
    assert!(proxy.running.tape.drain(std::time::Instant::now() + STUCK));
    assert!(proxy.running.log().is_empty() && proxy.running.tape.stats().total_pairs == 0);
}

#[tokio::test]
async fn bytes_pass_a_tunnel_as_they_are_and_each_side_ends_by_itself() {
    let upstream = Upstream::listen().await;
    let proxy = forward(&[], &[]).await;
    let mut client = proxy.tunnel(&upstream.host()).await;
    let mut server = upstream.accept().await;
    // The server may be the one to begin.
    write(&mut server, "220 ready\r\n").await;
    expect(&mut client, "220 ready\r\n").await;
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let (sent, got) = tokio::join!(
        async {
            soon(client.write_all(&bytes)).await.unwrap();
            client.shutdown().await
        },
        rest(&mut server)
    );
    sent.unwrap();
    assert!(got == bytes);
    write(&mut server, "still here").await;
    drop(server);
    assert_eq!(rest(&mut client).await, b"still here");
}

#[tokio::test]
async fn what_is_not_http_is_left_alone_even_for_a_matched_host() {
    let authority = Authority::new();
    let both = |params: &mut rcgen::CertificateParams| {
        params.subject_alt_names.push(rcgen::SanType::DnsName("other.example".try_into().unwrap()));
    };
    let upstream = authority.server_with(&["acme-tls/1", "h2"], both).await;
    let proxy = forward(&[&upstream.url()], &[]).await;
    let root = authority.certificate();
    // Another protocol; another name than the tunnel's.
    for (protocols, name) in [(&["acme-tls/1"][..], "localhost"), (&["h2"], "other.example")] {
        let tunnel = proxy.tunnel(&upstream.host()).await;
        let (client, _server) = tokio::join!(handshake(tunnel, name, &root, protocols), upstream.accept());
        client.expect("the server's own certificate");
    }
    // Its first bytes.
    let mut client = proxy.tunnel(&upstream.host()).await;
    write(&mut client, "SSH-2.0-x\r\n").await;
    let mut server = upstream.tcp.accept().await;
    expect(&mut server, "SSH-2.0-x\r\n").await;
    assert_eq!(proxy.running.tape.stats().total_pairs, 0);
}

#[tokio::test]
async fn without_the_token_nobody_gets_anywhere() {
    let upstream = Upstream::listen().await;
    let proxy = forward(&[&upstream.url()], &[]).await;
    let host = upstream.host();
    let wrong = proxy.authorization().replace("Basic ", "Basic AA");
    for field in ["X: 1", &wrong, "Proxy-Authorization: Basic Og==", "Authorization: Basic Og=="] {
        for head in [format!("CONNECT {host} HTTP/1.1"), format!("GET http://{host}/v1/messages HTTP/1.1")] {
            let mut client = proxy.running.connect().await;
            write(&mut client, format!("{head}\r\nHost: {host}\r\n{field}\r\n\r\n")).await;
            let answer = read_head(&mut client).await;
            assert!(answer.starts_with("HTTP/1.1 407 "), "{head} {field}: {answer}");
            assert!(answer.to_lowercase().contains("proxy-authenticate: basic realm="), "{answer}");
        }
    }
    assert!(!upstream.has_visitor().await);
    assert_eq!(proxy.running.tape.stats().total_pairs, 0);
}

#[tokio::test]
async fn what_names_no_target_is_refused() {
    let proxy = forward(&[], &[]).await;
    for head in [
        "GET /v1/messages HTTP/1.1",
        "CONNECT localhost HTTP/1.1",
        "CONNECT localhost:0 HTTP/1.1",
        "GET ftp://a/ HTTP/1.1",
    ] {
        let mut client = proxy.running.connect().await;
        write(&mut client, format!("{head}\r\nHost: localhost\r\n{}\r\n\r\n", proxy.authorization())).await;
        let answer = read_head(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{head}: {answer}");
    }
}

#[tokio::test]
async fn a_tunnel_to_where_nobody_listens_is_refused_in_words() {
    let upstream = Upstream::listen().await;
    let host = upstream.host();
    drop(upstream);
    let proxy = forward(&[], &[]).await;
    let mut client = proxy.running.connect().await;
    write(
        &mut client,
        format!(
            "CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{}\r\nConnection: close\r\n\r\n",
            proxy.authorization()
        ),
    )
    .await;
    let answer = String::from_utf8(rest(&mut client).await).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 502 ") && answer.contains("ECONNREFUSED") && answer.contains(&host),
        "{answer}"
    );
}

#[tokio::test]
async fn plain_http_is_forwarded_and_recorded_if_it_matches() {
    let upstream = Upstream::listen().await;
    let host = upstream.host();
    let proxy = forward(&[&upstream.url()], &[]).await;
    for path in ["/v1/messages?x=1", "/other"] {
        let mut client = proxy.running.connect().await;
        let authorization = proxy.authorization();
        write(
            &mut client,
            format!("GET http://{host}{path} HTTP/1.1\r\nHost: {host}\r\n{authorization}\r\nProxy-Connection: keep-alive\r\nX-A: 1\r\n\r\n"),
        )
        .await;
        let mut server = upstream.accept().await;
        expect(&mut server, format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nX-A: 1\r\n\r\n")).await;
        write(&mut server, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await;
        expect(&mut client, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    }
    let record = proxy.running.record().await;
    assert_eq!(record["request"]["url"], format!("http://{host}/v1/messages?x=1"));
    assert!(record["request"]["headers"].get("proxy-authorization").is_none());
}

#[tokio::test]
async fn plain_http_inside_a_tunnel_is_recorded_too() {
    let upstream = Upstream::listen().await;
    let host = upstream.host();
    let proxy = forward(&[&upstream.url()], &[]).await;
    let mut client = proxy.tunnel(&host).await;
    let ask = format!("GET /v1/messages HTTP/1.1\r\nHost: {host}\r\n\r\n");
    write(&mut client, &ask).await;
    let mut server = upstream.accept().await;
    expect(&mut server, &ask).await;
    write(&mut server, "HTTP/1.1 204 No Content\r\n\r\n").await;
    expect(&mut client, "HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(proxy.running.record().await["request"]["url"], format!("http://{host}/v1/messages"));
}

/// The user's own forward proxy, played by hand: takes a `CONNECT`, and is the server from then on.
async fn through(theirs: &Upstream, target: &str) -> tokio::net::TcpStream {
    let mut stream = theirs.accept().await;
    let head = read_head(&mut stream).await;
    assert!(head.starts_with(&format!("CONNECT {target} HTTP/1.1\r\n")), "{head}");
    assert!(head.contains("\r\nProxy-Authorization: Basic bWU6aXQncyBtaW5l\r\n"), "{head}");
    write(&mut stream, "HTTP/1.1 200 Connection established\r\n\r\n").await;
    stream
}

#[tokio::test]
async fn the_users_own_proxy_is_gone_through() {
    let authority = Authority::new();
    let server = authority
        .server_with(&["http/1.1"], |params| {
            params.subject_alt_names = vec![rcgen::SanType::DnsName("up.example".try_into().unwrap())];
        })
        .await;
    let theirs = Upstream::listen().await;
    let url = format!("http://me:it's%20mine@{}", theirs.host());
    let proxy = forward_through(&["https://up.example"], &[&authority], &url).await;
    // A tunnel.
    let (mut client, mut far) =
        tokio::join!(proxy.tunnel("elsewhere.example:7"), through(&theirs, "elsewhere.example:7"));
    write(&mut client, "bytes").await;
    expect(&mut far, "bytes").await;
    // Plain HTTP goes to its own port.
    let mut client = proxy.running.connect().await;
    let authorization = proxy.authorization();
    write(
        &mut client,
        format!("GET http://plain.example/x HTTP/1.1\r\nHost: plain.example\r\n{authorization}\r\n\r\n"),
    )
    .await;
    let mut far = through(&theirs, "plain.example:80").await;
    expect(&mut far, "GET /x HTTP/1.1\r\nHost: plain.example\r\n\r\n").await;
    write(&mut far, "HTTP/1.1 204 No Content\r\n\r\n").await;
    expect(&mut client, "HTTP/1.1 204 No Content\r\n\r\n").await;
    // What is decrypted.
    let (mut client, mut far) = tokio::join!(proxy.client("up.example:443", &["http/1.1"]), async {
        let stream = through(&theirs, "up.example:443").await;
        server.accept_on(stream).await
    });
    write(&mut client, "GET /v1/messages HTTP/1.1\r\nHost: up.example\r\n\r\n").await;
    expect(&mut far, "GET /v1/messages HTTP/1.1\r\nHost: up.example\r\n\r\n").await;
    write(&mut far, "HTTP/1.1 204 No Content\r\n\r\n").await;
    expect(&mut client, "HTTP/1.1 204 No Content\r\n\r\n").await;
    let record = proxy.running.record().await;
    assert_eq!(record["request"]["url"], "https://up.example/v1/messages");
    assert!(memchr::memmem::find(&proxy.running.written(), b"bWU6aXQncyBtaW5l").is_none());
}

#[tokio::test]
async fn a_refusal_of_the_users_own_proxy_is_passed_on_in_words() {
    let theirs = Upstream::listen().await;
    let proxy = forward_through(&[], &[], &format!("http://{}", theirs.host())).await;
    let mut client = proxy.running.connect().await;
    let authorization = proxy.authorization();
    write(&mut client, format!("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n{authorization}\r\nConnection: close\r\n\r\n")).await;
    let mut far = theirs.accept().await;
    read_head(&mut far).await;
    write(&mut far, "HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n").await;
    let answer = String::from_utf8(rest(&mut client).await).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 502 ") && answer.contains("proxy authorization required"),
        "{answer}"
    );
}
