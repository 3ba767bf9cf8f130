//! Where a client wants to get to: the authority of a `CONNECT` (RFC 9110 §9.3.6). Pure.

use http::Uri;
use http::uri::Authority;
use rustls_pki_types::ServerName;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Lower-case, without the dot of a root; an IPv6 address without brackets.
    host: String,
    port: u16,
}

impl Target {
    /// The host and the port of `authority`. `None` for all that is not exactly that.
    pub fn of(authority: &Authority) -> Option<Self> {
        let text = authority.as_str();
        let (host, port) = text.rsplit_once(':')?;
        let is_number = !port.is_empty() && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = if is_number { port.parse().ok().filter(|port| *port > 0)? } else { return None };
        Some(Self { host: host_of(host)?, port })
    }

    /// The same of what an absolute URL names, with its scheme's port where it names none.
    pub fn of_url(url: &Uri) -> Option<Self> {
        let authority = url.authority()?;
        if authority.as_str().contains('@') {
            return None;
        }
        let usual = match url.scheme_str() {
            Some("http") => 80,
            Some("https") => 443,
            _ => return None,
        };
        let has_port = authority.as_str().len() > authority.host().len();
        let port = if has_port { authority.port_u16().filter(|port| *port > 0)? } else { usual };
        Some(Self { host: host_of(authority.host())?, port })
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host as it stands in a URL.
    pub fn url_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }

    /// What a certificate has to be for.
    pub fn server_name(&self) -> Option<ServerName<'static>> {
        ServerName::try_from(self.host.clone()).ok()
    }

    /// What a connection to it is asked for by.
    pub fn url(&self) -> Option<Uri> {
        format!("https://{self}/").parse().ok()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.url_host(), self.port)
    }
}

/// A host as rules and certificates spell it.
pub fn host_of(text: &str) -> Option<String> {
    if let Some(address) = text.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some(address.to_string());
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return address.is_ipv4().then(|| address.to_string());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_name = name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        });
    is_name.then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(text: &str) -> Option<String> {
        Target::of(&text.parse().ok()?).map(|target| target.to_string())
    }

    #[test]
    fn an_authority_has_one_spelling() {
        for (text, target) in [
            ("API.Anthropic.com:443", "api.anthropic.com:443"),
            ("a.b.:1", "a.b:1"),
            ("127.0.0.1:65535", "127.0.0.1:65535"),
            ("[::1]:80", "[::1]:80"),
            ("[2001:DB8:0::1]:80", "[2001:db8::1]:80"),
            ("a_b:0443", "a_b:443"),
        ] {
            assert_eq!(of(text).as_deref(), Some(target), "{text}");
        }
    }

    #[test]
    fn what_is_no_authority_of_a_host_and_a_port_is_refused() {
        for text in [
            "a",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            ":1",
            "me@a:1",
            "me:pw@a:1",
            "[::1]",
            "[::1%25lo]:1",
            "[a]:1",
            "::1:1",
            "a..b:1",
            ".a:1",
            "a b:1",
            "é:1",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
        assert_eq!(of(&format!("{}:1", "a".repeat(64))), None);
    }

    #[test]
    fn an_absolute_url_has_its_schemes_port() {
        let of = |url: &str| Target::of_url(&url.parse().unwrap()).map(|target| target.to_string());
        assert_eq!(of("http://A.b/x").as_deref(), Some("a.b:80"));
        assert_eq!(of("http://[::1]:8080/x").as_deref(), Some("[::1]:8080"));
        assert_eq!(of("https://a.b").as_deref(), Some("a.b:443"));
        assert_eq!(of("ftp://a.b/x"), None);
        assert_eq!(of("http://me@a.b/x"), None);
        assert_eq!(of("http://a.b:0/x"), None);
    }

    proptest! {
        #[test]
        fn a_target_is_read_again_as_what_it_is(text in "(\\[[0-9a-fA-F:.]{0,20}\\]|[ -~]{0,30}|[a-z0-9.-]{1,20})(:[0-9]{0,6})?") {
            if let Some(target) = text.parse().ok().and_then(|authority| Target::of(&authority)) {
                let again = Target::of(&target.to_string().parse().unwrap());
                prop_assert_eq!(again.as_ref(), Some(&target));
                prop_assert!(target.url().is_some());
                prop_assert!(target.host() == target.host().to_ascii_lowercase() && target.port() > 0);
            }
        }
    }
}
