//! Who may use a proxy. Pure.

use super::hop::fields_without;
use crate::error::{Error, Result};
use http::header::{HOST, HeaderMap, HeaderName};
use http::uri::{Authority, PathAndQuery};
use http::{Method, Uri, request};
use std::net::IpAddr;
use std::str::FromStr;

/// The field that carries a token where a URL cannot.
const TOKEN_FIELD: HeaderName = HeaderName::from_static("x-claude-trace-token");

/// Who may use a proxy.
#[derive(Clone, Debug)]
pub enum Access {
    /// Programs of this machine.
    Local,
    /// Programs of this machine that have the token.
    LocalWith(Token),
    /// Whoever has the token, from anywhere, by any name.
    Remote(Token),
    /// Whoever is on the connection: it was let in when it was opened.
    Granted,
}

/// What a client has to show: in the field `x-claude-trace-token`, or as the first segment of its URL's path.
#[derive(Clone)]
pub struct Token(String);

/// Why a request is not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is meant for somebody else.
    ForeignHost,
    /// It asks for a tunnel.
    Tunnel,
    /// It shows no token, or a wrong one.
    NoToken,
}

impl Access {
    /// Whether the request may pass. Takes the token out of it.
    pub fn check(&self, request: &mut request::Parts) -> Result<(), Refusal> {
        if request.method == Method::CONNECT {
            return Err(Refusal::Tunnel);
        }
        let token = match self {
            Self::Local => return if is_local(request) { Ok(()) } else { Err(Refusal::ForeignHost) },
            Self::Granted => return Ok(()),
            Self::LocalWith(_) if !is_local(request) => return Err(Refusal::ForeignHost),
            Self::LocalWith(token) | Self::Remote(token) => token,
        };
        if token.taken_from_field(&mut request.headers) || token.taken_from_path(&mut request.uri) {
            Ok(())
        } else {
            Err(Refusal::NoToken)
        }
    }
}

/// Whether every name that the request has for us is one of this machine's own. The port does not matter: a tunnel to us may
/// have another.
fn is_local(request: &request::Parts) -> bool {
    let mut named = false;
    if let Some(authority) = request.uri.authority() {
        named = true;
        if !is_local_authority(authority) {
            return false;
        }
    }
    for value in request.headers.get_all(HOST) {
        named = true;
        let authority = value.to_str().ok().and_then(|text| Authority::from_str(text).ok());
        if !authority.is_some_and(|authority| is_local_authority(&authority)) {
            return false;
        }
    }
    named
}

fn is_local_authority(authority: &Authority) -> bool {
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    // `Authority` takes anything for a port.
    let has_plain_port = authority.as_str().strip_prefix(host).is_some_and(|rest| {
        rest.is_empty()
            || rest.strip_prefix(':').is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
    });
    has_plain_port
        && (host.eq_ignore_ascii_case("localhost")
            || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

impl Token {
    /// What a client of the proxy at `base` puts before its paths.
    pub fn base_url(&self, base: &str) -> String {
        format!("{base}/{}", self.0)
    }

    fn taken_from_field(&self, headers: &mut HeaderMap) -> bool {
        let Some(value) = headers.get(&TOKEN_FIELD) else { return false };
        let right = self.is(value.as_bytes());
        *headers = fields_without(std::mem::take(headers), &TOKEN_FIELD);
        right
    }

    fn taken_from_path(&self, uri: &mut Uri) -> bool {
        let Some(path) = uri.path_and_query().map(PathAndQuery::as_str) else { return false };
        let path = path.strip_prefix('/').unwrap_or(path);
        let end = path.find(['/', '?']).unwrap_or(path.len());
        if !self.is(&path.as_bytes()[..end]) {
            return false;
        }
        let rest = &path[end..];
        let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
        let mut parts = std::mem::take(uri).into_parts();
        parts.path_and_query = PathAndQuery::try_from(rest).ok();
        Uri::from_parts(parts).map(|rest| *uri = rest).is_ok()
    }

    /// One that nobody can guess.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 16];
        let random = rustls::crypto::ring::default_provider().secure_random;
        random.fill(&mut bytes).map_err(|_| rustls::Error::FailedToGetRandomBytes)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// In a time that does not depend on where the two begin to differ.
    pub(crate) fn is(&self, shown: &[u8]) -> bool {
        let own = self.0.as_bytes();
        let mut difference = own.len() ^ shown.len();
        for (index, byte) in own.iter().enumerate() {
            difference |= usize::from(byte ^ shown.get(index).copied().unwrap_or(0));
        }
        std::hint::black_box(difference) == 0
    }
}

impl FromStr for Token {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fits = (16..=200).contains(&text.len());
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if fits && plain { Ok(Self(text.to_owned())) } else { Err(Error::Token) }
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    const TOKEN: &str = "0123456789abcdef";

    fn parts(uri: &str, fields: &[(&'static str, &str)]) -> request::Parts {
        let request =
            fields.iter().fold(Request::get(uri), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn only_names_of_this_machine_pass() {
        for host in ["localhost:1", "LOCALHOST", "127.0.0.1:8080", "127.9.9.9", "[::1]:1"] {
            assert_eq!(Access::Local.check(&mut parts("/x", &[("host", host)])), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "",
            "me@localhost",
            "[::2]",
            // What the fuzzer found to be let in.
            "localhost:80os",
            "localhost:evil.example",
            "[::1]2",
        ] {
            let refused = Access::Local.check(&mut parts("/x", &[("host", host)]));
            assert_eq!(refused, Err(Refusal::ForeignHost), "{host}");
        }
        assert_eq!(Access::Local.check(&mut parts("/x", &[])), Err(Refusal::ForeignHost));
        let two = &[("host", "localhost"), ("host", "evil.example")];
        assert_eq!(Access::Local.check(&mut parts("/x", two)), Err(Refusal::ForeignHost));
        let absolute = parts("http://evil.example/x", &[("host", "localhost")]);
        assert_eq!(Access::Local.check(&mut { absolute }), Err(Refusal::ForeignHost));
    }

    #[test]
    fn no_tunnel_is_made() {
        let mut tunnel = parts("localhost:443", &[("host", "localhost:443")]);
        tunnel.method = Method::CONNECT;
        assert_eq!(Access::Local.check(&mut tunnel), Err(Refusal::Tunnel));
    }

    #[test]
    fn a_token_is_shown_in_a_field_or_in_the_path_and_goes_no_further() {
        let access = Access::Remote(TOKEN.parse().unwrap());
        let mut by_field =
            parts("/v1?x=1", &[("a", "1"), ("x-claude-trace-token", TOKEN), ("b", "2"), ("b", "3")]);
        assert_eq!(access.check(&mut by_field), Ok(()));
        let left: Vec<_> =
            by_field.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(left, [("a", &b"1"[..]), ("b", b"2"), ("b", b"3")]);
        for (path, rest) in [("/v1?x=1", "/v1?x=1"), ("", "/"), ("?x=1", "/?x=1"), ("/", "/")] {
            let mut by_path = parts(&format!("/{TOKEN}{path}"), &[("host", "proxy.example")]);
            assert_eq!(access.check(&mut by_path), Ok(()));
            assert_eq!(by_path.uri, rest);
        }
    }

    #[test]
    fn without_the_right_token_nothing_passes() {
        let access = Access::Remote(TOKEN.parse().unwrap());
        for (uri, fields) in [
            ("/v1", &[][..]),
            ("/0123456789abcdeX/v1", &[]),
            ("/0123456789abcdef0/v1", &[]),
            ("/v1", &[("x-claude-trace-token", "0123456789abcde")]),
            ("/v1/0123456789abcdef", &[]),
        ] {
            assert_eq!(access.check(&mut parts(uri, fields)), Err(Refusal::NoToken), "{uri} {fields:?}");
        }
        let local = Access::LocalWith(TOKEN.parse().unwrap());
        let foreign = &mut parts("/v1", &[("host", "evil.example"), ("x-claude-trace-token", TOKEN)]);
        assert_eq!(local.check(foreign), Err(Refusal::ForeignHost));
    }

    #[test]
    fn a_weak_token_is_refused() {
        for weak in ["", "short", "0123456789abcde/", "0123456789 abcdef"] {
            assert_eq!(weak.parse::<Token>().unwrap_err().code(), "TRACE_ERR_TOKEN");
        }
    }
}
