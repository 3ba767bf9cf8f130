//! Where requests go.

use crate::error::{Error, Result};
use crate::intercept::Target;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};
use std::fmt;
use std::str::FromStr;

/// A base URL: the one place that a proxy forwards to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    scheme: Scheme,
    authority: Authority,
    /// `` or `/a/b`, without a slash at its end.
    prefix: String,
    /// A base path whose `/messages` is asked for as `/v1/messages`.
    version_below: Option<String>,
}

impl Upstream {
    /// The URL of a request for `target` (what a client asked of us). `None` if the two make no URL.
    pub fn url(&self, target: &Uri) -> Option<Uri> {
        let asked = target.path_and_query().map_or("/", PathAndQuery::as_str);
        let versioned = self.versioned(asked);
        let asked = versioned.as_deref().unwrap_or(asked);
        let path = if self.prefix.is_empty() {
            PathAndQuery::from_str(asked)
        } else {
            let slash = if asked.starts_with('/') { "" } else { "/" };
            PathAndQuery::try_from(format!("{}{slash}{asked}", self.prefix))
        };
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path.ok()?);
        Uri::from_parts(parts).ok()
    }

    /// For a client of the Anthropic API that is told a base URL that its user never chose. To most, the version is a part of
    /// the path; to the AI SDK it is a part of the base URL, and it would ask for `/messages`, which no server has.
    pub fn with_version_of_messages(mut self) -> Self {
        if !self.prefix.ends_with("/v1") {
            self.version_below = Some(self.prefix.clone());
        }
        self
    }

    fn versioned(&self, asked: &str) -> Option<String> {
        let base = self.version_below.as_deref()?;
        let rest = asked.strip_prefix(base)?;
        let below = rest.strip_prefix("/messages")?;
        let is_whole = below.is_empty() || below.starts_with(['/', '?']);
        is_whole.then(|| format!("{base}/v1{rest}"))
    }

    /// The host and port of `target`, without a path.
    pub(crate) fn at(target: &Target, is_tls: bool) -> Option<Self> {
        let (scheme, usual) = if is_tls { (Scheme::HTTPS, 443) } else { (Scheme::HTTP, 80) };
        let authority = if target.port() == usual { target.url_host() } else { target.to_string() };
        let authority = Authority::try_from(authority).ok()?;
        Some(Self { scheme, authority, prefix: String::new(), version_below: None })
    }

    /// Where it is reached.
    pub(crate) fn target(&self) -> Option<Target> {
        Target::of_url(&self.url(&Uri::from_static("/"))?)
    }

    /// Whether it is spoken to by TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The path of the base URL, without a slash at its end.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// `scheme://host[:port]`.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// What a client of the upstream says in `Host`.
    pub fn host_field(&self) -> HeaderValue {
        let default = if self.scheme == Scheme::HTTPS { 443 } else { 80 };
        let text = match self.authority.port_u16() {
            Some(port) if port == default => self.authority.host(),
            _ => self.authority.as_str(),
        };
        HeaderValue::from_str(text).expect("an authority is visible ASCII")
    }

    /// Its host, lower-case, IPv6 addresses in brackets.
    pub fn host(&self) -> String {
        self.authority.host().to_ascii_lowercase()
    }

    /// The same upstream without its path, and that path: for a client that is told to put it before its own.
    pub fn split_prefix(mut self) -> (Self, String) {
        let prefix = std::mem::take(&mut self.prefix);
        (self, prefix)
    }

    /// What lies under the base URL: the rest of the path, or `None` if it is not under it.
    pub fn under<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(self.prefix.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl FromStr for Upstream {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why| Err(Error::Upstream { url: without_secrets(text), why });
        let Ok(uri) = text.trim().parse::<Uri>() else { return wrong("it does not parse") };
        let parts = uri.into_parts();
        let scheme = match parts.scheme {
            Some(scheme) if scheme == Scheme::HTTP || scheme == Scheme::HTTPS => scheme,
            _ => return wrong("it does not begin with http:// or https://"),
        };
        let Some(authority) = parts.authority.filter(|authority| !authority.host().is_empty()) else {
            return wrong("it names no host");
        };
        if authority.as_str().contains('@') {
            return wrong("it carries a user name or a password");
        }
        let path = parts.path_and_query;
        if path.as_ref().is_some_and(|path| path.query().is_some()) {
            return wrong("it has a query");
        }
        let prefix = path.as_ref().map_or("", PathAndQuery::path).trim_end_matches('/').to_owned();
        Ok(Self { scheme, authority, prefix, version_below: None })
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

/// A base URL may carry credentials in its user part or query even when it does not parse.
fn without_secrets(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let shown = match text.rsplit_once('@') {
        Some((before, after)) => {
            let scheme = before.find("://").map_or("", |at| &before[..at + 3]);
            format!("{scheme}***@{after}")
        }
        None => text.to_owned(),
    };
    shown.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn url(upstream: &str, target: &str) -> String {
        upstream.parse::<Upstream>().unwrap().url(&target.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn a_target_is_put_behind_the_prefix_and_otherwise_kept() {
        assert_eq!(url("https://a.b", "/v1/messages?x=%2F&y"), "https://a.b/v1/messages?x=%2F&y");
        assert_eq!(url("https://a.b/llm/", "/v1/messages"), "https://a.b/llm/v1/messages");
        assert_eq!(url("http://[::1]:8080", "http://localhost:1/x"), "http://[::1]:8080/x");
        assert_eq!(url("http://a.b/p", "*"), "http://a.b/p/*");
        assert_eq!(url("http://a.b", "*"), "http://a.b*");
    }

    #[test]
    fn the_version_is_added_for_those_who_take_it_to_be_in_the_base_url() {
        let url = |base: &str, target: &str| {
            let (upstream, _) = base.parse::<Upstream>().unwrap().with_version_of_messages().split_prefix();
            upstream.url(&target.parse().unwrap()).unwrap().path_and_query().unwrap().to_string()
        };
        assert_eq!(url("https://a.b", "/messages?x"), "/v1/messages?x");
        assert_eq!(url("https://a.b/llm", "/llm/messages/count_tokens"), "/llm/v1/messages/count_tokens");
        for (base, asked) in [
            ("https://a.b", "/v1/messages"),
            ("https://a.b", "/messagesx"),
            ("https://a.b", "/x/messages"),
            ("https://a.b/v1", "/v1/messages"),
            ("https://a.b/llm", "/messages"),
        ] {
            assert_eq!(url(base, asked), asked, "{base}");
        }
    }

    #[test]
    fn its_host_field_is_that_of_a_direct_client() {
        let host = |text: &str| text.parse::<Upstream>().unwrap().host_field();
        assert_eq!(host("https://a.b"), "a.b");
        assert_eq!(host("https://a.b:443/x"), "a.b");
        assert_eq!(host("http://a.b:443"), "a.b:443");
        assert_eq!(host("http://[::1]:80"), "[::1]");
    }

    #[test]
    fn what_is_no_base_url_is_refused_without_showing_secrets() {
        for (text, words) in [
            ("api.anthropic.com", "http://"),
            ("ftp://a.b", "http://"),
            ("https://", "no base URL"),
            ("https://me:secret@a.b", "user name"),
            ("https://a.b/x?key=secret", "query"),
            ("https://me:sec ret@a.b", "parse"),
        ] {
            let error = text.parse::<Upstream>().unwrap_err();
            assert_eq!(error.code(), "TRACE_ERR_UPSTREAM");
            let said = error.to_string();
            assert!(said.contains(words) && !said.contains("sec"), "{said}");
        }
    }

    #[test]
    fn what_lies_under_it_is_found_by_whole_segments() {
        let upstream: Upstream = "https://a.b/llm".parse().unwrap();
        assert_eq!(upstream.under("/llm/v1"), Some("/v1"));
        assert_eq!(upstream.under("/llm"), Some(""));
        assert_eq!(upstream.under("/llmx"), None);
        let (bare, prefix) = upstream.split_prefix();
        assert_eq!((bare.to_string().as_str(), prefix.as_str()), ("https://a.b", "/llm"));
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_it_is_asked_of_the_upstream(
            base in "https?://[a-z]{1,8}(:[0-9]{1,4})?(/[a-z0-9/]{0,10})?",
            target in "(https?://[ -~]{0,20})?/?[ -~]{0,40}",
        ) {
            let upstream: Upstream = match base.parse() {
                Ok(upstream) => upstream,
                Err(_) => return Ok(()),
            };
            let Ok(target) = target.parse::<Uri>() else { return Ok(()) };
            for upstream in [upstream.clone(), upstream.with_version_of_messages()] {
                if let Some(url) = upstream.url(&target) {
                    let text = url.to_string();
                    let path = text.strip_prefix(&upstream.origin()).unwrap_or_default();
                    // `OPTIONS *` asks of the server, and not of a path.
                    prop_assert!(path.starts_with('/') || path == "*", "{}", url);
                    prop_assert_eq!(url.authority(), Some(&upstream.authority));
                }
            }
        }

        #[test]
        fn any_text_is_a_base_url_or_is_refused(text in "(https?://)?\\PC{0,60}") {
            if let Ok(upstream) = text.parse::<Upstream>() {
                prop_assert_eq!(upstream.to_string().parse::<Upstream>().unwrap(), upstream);
            }
        }
    }
}
