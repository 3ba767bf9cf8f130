//! A WebSocket through the proxy, as bytes; and other addresses than 127.0.0.1.

mod support;

use support::*;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

const ASK: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
const TURN: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

async fn turned(proxy: &Running, upstream: &Upstream) -> (TcpStream, TcpStream) {
    let mut client = proxy.connect().await;
    write(&mut client, ASK).await;
    let mut server = upstream.accept().await;
    expect(&mut server, ASK.replace("localhost", &upstream.host())).await;
    write(&mut server, TURN).await;
    expect(&mut client, TURN).await;
    (client, server)
}

#[tokio::test]
async fn a_websocket_passes_and_is_one_exchange() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    let (mut client, mut server) = turned(&proxy, &upstream).await;
    for round in 0..3 {
        write(&mut client, format!("\u{1}ping{round}")).await;
        expect(&mut server, format!("\u{1}ping{round}")).await;
        write(&mut server, format!("\u{1}pong{round}")).await;
        expect(&mut client, format!("\u{1}pong{round}")).await;
    }
    // One side ends, and the other may still speak.
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut server).await, b"");
    write(&mut server, "bye").await;
    drop(server);
    assert_eq!(rest(&mut client).await, b"bye");
    let record = proxy.record().await;
    assert_eq!(record["response"]["status_code"], 101);
    assert_eq!(record["request"]["body"], "\u{1}ping0\u{1}ping1\u{1}ping2");
    assert_eq!(record["response"]["body_raw"], "\u{1}pong0\u{1}pong1\u{1}pong2bye");
    assert!(record.get("note").is_none(), "{record}");
}

#[tokio::test]
async fn an_upgrade_that_is_declined_is_an_ordinary_answer() {
    let upstream = Upstream::listen().await;
    let proxy = proxy(&upstream.url()).await;
    let mut client = proxy.connect().await;
    write(&mut client, ASK).await;
    let mut server = upstream.accept().await;
    read_head(&mut server).await;
    write(&mut server, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno").await;
    expect(&mut client, "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno").await;
    let record = proxy.record().await;
    assert_eq!((&record["response"]["status_code"], record.get("note")), (&426.into(), None));
}

#[tokio::test]
async fn ipv6_on_both_sides() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        eprintln!("this machine has no IPv6: nothing was tested");
        return;
    };
    let address = listener.local_addr().unwrap();
    let proxy = proxy_with(&format!("http://{address}"), Wish { listen: "[::1]:0", ..Wish::default() }).await;
    let mut client = proxy.connect().await;
    write(&mut client, format!("GET /6 HTTP/1.1\r\nHost: {}\r\n\r\n", proxy.address)).await;
    let (mut server, _) = soon(listener.accept()).await.unwrap();
    expect(&mut server, format!("GET /6 HTTP/1.1\r\nHost: {address}\r\n\r\n")).await;
    write(&mut server, "HTTP/1.1 204 No Content\r\n\r\n").await;
    expect(&mut client, "HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(proxy.record().await["request"]["url"], format!("http://{address}/6"));
}
