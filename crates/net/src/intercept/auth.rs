//! What a client of the TLS proxy shows, and nobody else on this machine knows.

use crate::error::{Error, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::PROXY_AUTHORIZATION;
use std::net::SocketAddr;

const USER: &str = "claude-trace";
const SECRET_BYTES: usize = 16;

/// A name and a secret.
pub struct Credentials {
    secret: String,
    /// The value of `Proxy-Authorization`.
    shown: String,
}

impl Credentials {
    /// New ones.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; SECRET_BYTES];
        let random = rustls::crypto::ring::default_provider().secure_random;
        random.fill(&mut bytes).map_err(|error| Error::Tls(error.into()))?;
        let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let shown = format!("Basic {}", STANDARD.encode(format!("{USER}:{secret}")));
        Ok(Self { secret, shown })
    }

    /// The URL of a proxy, with them.
    pub fn url(&self, address: SocketAddr) -> String {
        format!("http://{USER}:{}@{address}", self.secret)
    }

    /// Whether a request shows them.
    pub fn are_shown_by(&self, headers: &HeaderMap) -> bool {
        let shown = headers.get(PROXY_AUTHORIZATION).map(|value| value.as_bytes());
        shown.is_some_and(|shown| same(self.shown.as_bytes(), shown))
    }
}

/// In a time that does not depend on where the two begin to differ.
pub fn same(own: &[u8], shown: &[u8]) -> bool {
    let mut difference = own.len() ^ shown.len();
    for (index, byte) in own.iter().enumerate() {
        difference |= usize::from(byte ^ shown.get(index).copied().unwrap_or(0));
    }
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_new_each_time_and_only_they_pass() {
        let own = Credentials::random().unwrap();
        let other = Credentials::random().unwrap();
        let headers = |value: &str| HeaderMap::from_iter([(PROXY_AUTHORIZATION, value.parse().unwrap())]);
        assert!(own.are_shown_by(&headers(&own.shown)));
        for wrong in [other.shown.as_str(), "Basic", "", &own.shown[..own.shown.len() - 1]] {
            assert!(!own.are_shown_by(&headers(wrong)), "{wrong}");
        }
        assert!(!own.are_shown_by(&HeaderMap::new()));
        assert!(own.url(([127, 0, 0, 1], 9).into()).ends_with("@127.0.0.1:9"));
    }
}
