//! What a stranger may make the reverse proxy read beyond HTTP itself, in one place, for property tests and the fuzz target
//! `reverse_proxy`: who may use it, what is forwarded of a request and of a response, where it goes, what is recorded; and what a
//! body asks for, where rules go by that.
//!
//! A request is read as hyper would: a line and fields; whatever hyper would not take, nobody here sees.

use super::access::{Access, Token};
use super::ruled::Calls;
use super::selection::{Selection, is_model_call};
use super::{answer, hop};
use crate::upstream::Upstream;
use crate::wire;
use claude_trace_core::interceptor::Registry;
use claude_trace_core::interceptor::rules::Rules;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TE, UPGRADE};
use http::{Method, Request, Version, request};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::LazyLock;

const TOKEN: &str = "0123456789abcdef";

/// A rule that goes by messages, and fits each of them.
static OF_CALLS: LazyLock<Registry> = LazyLock::new(|| {
    let text = "[[rule]]\nname = \"calls\"\nmatch.method = \"*\"\nblock = {}\n";
    Rules::parse("rules", text).unwrap_or_else(|mistakes| panic!("{mistakes}")).registry()
});

/// Reads `bytes` in each of these ways. Panics if what comes of it breaks a promise.
pub fn read(bytes: &[u8]) {
    calls(bytes);
    let Some((version, parts)) = request(bytes) else { return };
    let upstreams = ["http://up.example", "https://a.b:8443/llm", "http://[::1]:1/x/y/"];
    for upstream in upstreams.map(|url| url.parse::<Upstream>().expect("it is a URL")) {
        for access in accesses() {
            forward(&access, &upstream, parts.clone(), version);
        }
    }
    response(&parts.headers, version);
}

/// Who asks and is blocked gets an error under the id that was asked with; nobody else gets anything.
fn calls(body: &[u8]) {
    let (_, calls) = Calls::read(&OF_CALLS, b"POST", b"http://up.example/mcp", body);
    let reply = calls.refused("no");
    if reply.status == 202 {
        return assert!(reply.body.is_empty(), "nobody has asked");
    }
    let (errors, asking) = (ids(&reply.body), ids(body));
    let mut asking = asking.iter();
    assert!(!errors.is_empty() && errors.iter().all(|id| asking.any(|one| one == id)), "as they asked");
}

/// The ids of a message or a batch, as they are spelled.
fn ids(text: &[u8]) -> Vec<&str> {
    let elements: Vec<&RawValue> = match serde_json::from_slice(text) {
        Ok(elements) => elements,
        Err(_) => vec![serde_json::from_slice(text).expect("it is JSON")],
    };
    let members = elements.into_iter().filter_map(|one| serde_json::from_str(one.get()).ok());
    members
        .filter_map(|members: HashMap<String, &RawValue>| members.get("id").copied())
        .map(RawValue::get)
        .collect()
}

fn accesses() -> [Access; 4] {
    let token = || -> Token { TOKEN.parse().expect("it is long enough") };
    [Access::Local, Access::LocalWith(token()), Access::Remote(token()), Access::Granted]
}

/// `METHOD TARGET` and fields, each a line; the first byte chooses the version.
fn request(bytes: &[u8]) -> Option<(Version, request::Parts)> {
    let (&choice, text) = bytes.split_first()?;
    let version = [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2][usize::from(choice % 3)];
    let mut lines = text.split(|byte| *byte == b'\n');
    let mut words = lines.next()?.splitn(2, |byte| *byte == b' ');
    let method = Method::from_bytes(words.next()?).ok()?;
    let mut request = Request::builder().method(method).uri(words.next()?).version(version).body(()).ok()?;
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        request.headers_mut().try_append(name, value).ok()?;
    }
    Some((version, request.into_parts().0))
}

fn forward(access: &Access, upstream: &Upstream, mut parts: request::Parts, version: Version) {
    let came = parts.clone();
    let upgrades = hop::asks_for_upgrade(version, &parts.headers);
    assert!(!upgrades || version == Version::HTTP_11, "HTTP/1.1 alone can change its protocol");
    if let Err(refusal) = access.check(&mut parts) {
        let _ = answer::refused(refusal);
        return;
    }
    let is_open = matches!(access, Access::Granted);
    assert!(is_open || came.method != Method::CONNECT, "nobody gets a tunnel");
    if matches!(access, Access::Local | Access::LocalWith(_)) {
        let mut hosts = came.headers.get_all(HOST).iter().peekable();
        assert!(hosts.peek().is_some() || came.uri.authority().is_some(), "it is named");
        for host in hosts {
            let text = host.to_str().expect("a name is text").to_ascii_lowercase();
            assert!(names_us(&text), "{text:?} is let in");
        }
    }
    if matches!(access, Access::LocalWith(_) | Access::Remote(_)) {
        let shown = came.headers.values().any(|value| value.as_bytes() == TOKEN.as_bytes());
        assert!(shown || came.uri.path().contains(TOKEN), "a token was shown");
        assert!(!parts.headers.contains_key("x-claude-trace-token"), "it goes no further");
    }
    let Some(url) = upstream.url(&parts.uri) else { return };
    assert_eq!(url.authority(), upstream.origin().parse::<http::Uri>().expect("it is a URL").authority());
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let sent = url.path_and_query().map_or("", |target| target.as_str());
    assert!(sent.ends_with(target.trim_start_matches('/')) || target == "*", "{sent} of {target}");
    let fields = hop::request_fields(&parts.headers, Some(&upstream.host_field()), version, upgrades);
    assert_fields(&parts.headers, &fields, version, upgrades);
    for host in fields.get_all(HOST) {
        assert_eq!(host, upstream.host_field(), "no other host is named");
    }
    (parts.uri, parts.headers) = (url, fields);
    assert_lines(&wire::request_head(&parts), parts.headers.len());
    let path = parts.uri.path();
    assert!(Selection::All.takes(upstream, path));
    assert!(!is_model_call(path) || Selection::ModelCalls.takes(upstream, path));
}

/// Not how the proxy does it: by what is left when a port is taken off.
fn names_us(host: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if digits(port) && (!name.contains(':') || name.ends_with(']')) => name,
        _ => host,
    };
    name == "localhost"
        || name == "[::1]"
        || name.starts_with("[::ffff:127.")
        || (name.starts_with("127.") && name.split('.').count() == 4 && name.split('.').all(digits))
        // All its zeros written out.
        || (name.starts_with('[') && name.trim_matches(['[', ']', '0', ':']) == "1")
}

fn response(came: &HeaderMap, version: Version) {
    for (upgrades, stays) in [(false, false), (false, true), (true, true)] {
        let fields = hop::response_fields(came, version, upgrades, stays);
        assert_fields(came, &fields, version, upgrades);
        assert!(stays || upgrades || !fields.contains_key(CONNECTION));
        assert_lines(&wire::trailers(&fields), fields.len());
    }
    let _ = hop::keeps_alive(version, came);
}

/// What is forwarded came, in its order; what concerns a connection did not go on; nothing else is missing.
fn assert_fields(came: &HeaderMap, went: &HeaderMap, version: Version, upgrades: bool) {
    let connection: Vec<String> = came
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let is_ours = |name: &HeaderName| {
        let own = ["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"];
        let framing =
            ["connection", "upgrade", "transfer-encoding", "te", "host", "content-length", "cookie"];
        own.contains(&name.as_str()) || framing.contains(&name.as_str())
    };
    for name in came.keys() {
        let is_named = connection.iter().any(|one| one == name.as_str());
        if !is_ours(name) {
            let count = if is_named { 0 } else { came.get_all(name).iter().count() };
            assert!(went.get_all(name).iter().eq(came.get_all(name).iter().take(count)), "{name}");
        }
    }
    for word in ["keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization"] {
        assert!(!went.contains_key(word), "{word} goes no further");
    }
    assert!(went.keys().all(|name| came.contains_key(name)), "nothing is added");
    assert!(went.get_all(CONTENT_LENGTH).iter().eq(came.get_all(CONTENT_LENGTH)), "framing stays");
    if version == Version::HTTP_2 {
        assert!(!went.contains_key(CONNECTION) && !went.contains_key(UPGRADE), "HTTP/2 has none");
        assert!(!went.contains_key("transfer-encoding"));
    }
    assert!(upgrades || !went.contains_key(UPGRADE));
    for te in went.get_all(TE) {
        assert!(te.to_str().is_ok_and(|text| text.to_ascii_lowercase().contains("trailers")));
    }
    let order = |fields: &HeaderMap| -> Vec<String> {
        let keys = fields.keys().filter(|name| went.contains_key(*name));
        keys.map(|name| name.as_str().to_owned()).collect()
    };
    assert_eq!(order(came), order(went), "in their order");
}

/// A head for the recorder: a line for each field, and no other.
fn assert_lines(text: &[u8], fields: usize) {
    assert!(!text.windows(4).any(|bytes| bytes == b"\r\n\r\n"));
    let lines = text.windows(2).filter(|bytes| bytes == b"\r\n").count();
    assert!(
        lines == fields || lines == fields + 1 || lines == fields + 2,
        "{lines} lines of {fields} fields"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn field() -> impl Strategy<Value = String> {
        let name = prop_oneof![
            Just("Connection"),
            Just("Host"),
            Just("Upgrade"),
            Just("TE"),
            Just("Transfer-Encoding"),
            Just("Content-Length"),
            Just("Keep-Alive"),
            Just("Cookie"),
            Just("X-Claude-Trace-Token"),
            Just("Proxy-Authorization"),
            Just("a"),
            Just("b"),
            Just("x-mine")
        ];
        let value = prop_oneof![
            Just(TOKEN.to_owned()),
            Just("localhost:1".into()),
            Just("127.0.0.1".into()),
            Just("[::1]:80".into()),
            Just("evil.example".into()),
            Just("keep-alive, x-mine".into()),
            Just("Upgrade".into()),
            Just("chunked".into()),
            Just("gzip, Trailers".into()),
            Just("close,a , b,,".into()),
            Just("127.1@localhost".into()),
            Just("host, content-length".into()),
            "[ -~]{0,12}"
        ];
        (name, value).prop_map(|(name, value)| format!("{name}: {value}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn what_looks_like_a_request_keeps_its_promises(
            version in 0_u8..3,
            method in prop_oneof![Just("GET"), Just("POST"), Just("CONNECT"), Just("OPTIONS")],
            target in prop_oneof![
                Just("/v1/messages?x=1".to_owned()), Just(format!("/{TOKEN}/v1/messages")), Just(format!("/{TOKEN}")),
                Just(format!("/{TOKEN}?x")), Just("http://localhost/x".into()), Just("http://evil.example/x".into()),
                Just("localhost:443".into()), Just("*".into()), Just("//x//y".into()), "/[!-~]{0,20}"
            ],
            fields in prop::collection::vec(field(), 0..8),
        ) {
            let text = format!("{method} {target}\n{}", fields.join("\n"));
            read(&[&[version][..], text.as_bytes()].concat());
        }
    }
}
