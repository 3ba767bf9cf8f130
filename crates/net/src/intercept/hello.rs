//! What a client begins with inside a tunnel: TLS, HTTP, or something else. The bytes are kept, so that whatever it is can be
//! passed on as if nobody had looked.

use rustls::server::Acceptor;
use std::io::Read;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};

/// A client hello is about 2 KB with today's keys. More than this is none.
const MAX_HELLO: usize = 64 * 1024;
/// A client of TLS or HTTP speaks first, and at once. Where nobody does for this long, the server is the one to begin.
const SILENCE: Duration = Duration::from_secs(3);
const METHOD: usize = 24;

/// The first bytes of a client, and what they are.
#[derive(Debug)]
pub struct Opening {
    pub bytes: Vec<u8>,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Tls(Hello),
    Http,
    /// Not for us.
    Other,
}

/// What a client hello asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// SNI, lower-case. Clients name no addresses.
    pub name: Option<String>,
    /// ALPN, in the client's order; `None` if it says nothing.
    pub protocols: Option<Vec<Vec<u8>>>,
}

/// Reads as much as it takes to know, behind the bytes that were read already.
pub async fn read(stream: &mut (impl AsyncRead + Unpin), mut bytes: Vec<u8>) -> std::io::Result<Opening> {
    loop {
        if let Some(what) = look(&bytes) {
            return Ok(Opening { bytes, what });
        }
        let reading = stream.read_buf(&mut bytes);
        match tokio::time::timeout(SILENCE, reading).await {
            Ok(Ok(1..)) => {}
            Ok(Err(error)) => return Err(error),
            Ok(Ok(0)) | Err(_) => return Ok(Opening { bytes, what: What::Other }),
        }
    }
}

/// What begins with these bytes; `None`: it takes more of them to know.
pub fn look(bytes: &[u8]) -> Option<What> {
    let first = *bytes.first()?;
    // A record of TLS that holds a handshake.
    if first == 22 { hello(bytes) } else { http(bytes) }
}

fn hello(bytes: &[u8]) -> Option<What> {
    let mut acceptor = Acceptor::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        match acceptor.read_tls(&mut rest as &mut dyn Read) {
            Ok(1..) => {}
            Ok(0) | Err(_) => return Some(What::Other),
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let hello = accepted.client_hello();
                return Some(What::Tls(Hello {
                    name: hello.server_name().map(str::to_ascii_lowercase),
                    protocols: hello.alpn().map(|names| names.map(<[u8]>::to_vec).collect()),
                }));
            }
            Ok(None) => {}
            Err(_) => return Some(What::Other),
        }
    }
    if bytes.len() < MAX_HELLO { None } else { Some(What::Other) }
}

/// A method and a blank; HTTP/2 begins with one too (`PRI * HTTP/2.0`).
fn http(bytes: &[u8]) -> Option<What> {
    let word =
        bytes.iter().take(METHOD).take_while(|byte| byte.is_ascii_uppercase() || **byte == b'-').count();
    match bytes.get(word) {
        Some(b' ') if word > 1 => Some(What::Http),
        None if word < METHOD => None,
        _ => Some(What::Other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, ClientConnection, RootCertStore};
    use std::sync::Arc;

    fn hello_of(name: &'static str, protocols: &[&str]) -> Vec<u8> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let mut client =
            ClientConnection::new(Arc::new(config), ServerName::try_from(name).unwrap()).unwrap();
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    fn tls(name: Option<&str>, protocols: Option<&[&str]>) -> What {
        let protocols = protocols.map(|names| names.iter().map(|name| name.as_bytes().to_vec()).collect());
        What::Tls(Hello { name: name.map(Into::into), protocols })
    }

    #[test]
    fn tls_is_known_with_its_name_and_its_protocols() {
        assert_eq!(
            look(&hello_of("API.anthropic.com", &["h2", "http/1.1"])),
            Some(tls(Some("api.anthropic.com"), Some(&["h2", "http/1.1"])))
        );
        assert_eq!(look(&hello_of("127.0.0.1", &[])), Some(tls(None, None)));
    }

    #[test]
    fn a_hello_is_known_when_it_is_whole_and_not_before() {
        let hello = hello_of("a.b", &["h2"]);
        for end in 1..hello.len() {
            assert_eq!(look(&hello[..end]), None, "{end}");
        }
        assert!(look(&hello).is_some());
    }

    #[test]
    fn http_is_known_by_its_method() {
        for text in ["GET /", "POST ", "PRI * HTTP/2.0", "M-SEARCH *"] {
            assert_eq!(look(text.as_bytes()), Some(What::Http), "{text}");
        }
        for text in ["", "G", "GET", "PATCH"] {
            assert_eq!(look(text.as_bytes()), None, "{text}");
        }
        for text in ["SSH-2.0-OpenSSH\r\n", "get /", " ", "\u{0}", "EHLO\r\n", "ABCDEFGHIJKLMNOPQRSTUVWXYZ "]
        {
            assert_eq!(look(text.as_bytes()), Some(What::Other), "{text}");
        }
        assert_eq!(look(&[22; 100]), Some(What::Other));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_says_nothing_is_passed_on() {
        let (_client, mut server) = tokio::io::duplex(64);
        let opening = read(&mut server, Vec::new()).await.unwrap();
        assert_eq!((opening.what, opening.bytes), (What::Other, vec![]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_and_none_is_lost(bytes in proptest::collection::vec(any::<u8>(), 0..300), tls in any::<bool>(), cut in 1usize..50) {
            let mut bytes = bytes;
            if tls { bytes.splice(0..0, [22, 3, 1]); }
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            let opening = runtime.block_on(async {
                let mut parts: Vec<&[u8]> = bytes.chunks(cut).collect();
                let first = if parts.is_empty() { &[][..] } else { parts.remove(0) };
                read(&mut parts.concat().as_slice(), first.to_vec()).await.unwrap()
            });
            prop_assert!(bytes.starts_with(&opening.bytes));
            if let Some(what) = look(&opening.bytes) { prop_assert_eq!(what, opening.what); }
        }
    }
}
