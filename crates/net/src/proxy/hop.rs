//! Fields that concern one connection only (RFC 9110 §7.6.1), and what is left of them on the next one. Pure.
//!
//! Kept are `Transfer-Encoding: chunked`, because hyper then frames the body the same way, at the same place of the head;
//! `Connection: keep-alive`, which is as true of our connection as of the client's; `TE: trailers`, since trailers pass;
//! and, of a request for one, the upgrade.

use http::Version;
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Whether a request asks for another protocol on its connection. Only HTTP/1.1 can.
pub fn asks_for_upgrade(version: Version, headers: &HeaderMap) -> bool {
    version == Version::HTTP_11
        && headers.contains_key(UPGRADE)
        && named_by_connection(headers).any(|name| name.eq_ignore_ascii_case("upgrade"))
}

/// The fields of a request as they go to the upstream. `host`: what `Host` becomes, if it does not stay.
pub fn request_fields(
    came: &HeaderMap,
    host: Option<&HeaderValue>,
    version: Version,
    upgrades: bool,
) -> HeaderMap {
    let mut fields = forwarded(came, version, upgrades);
    if version == Version::HTTP_2 {
        join_cookies(&mut fields);
    } else if let Some(host) = host.filter(|_| fields.contains_key(HOST)) {
        // In its place.
        fields.insert(HOST, host.clone());
    }
    fields
}

/// The fields of a response as they go to the client. `stays`: whether its connection does; hyper says it if it does not.
pub fn response_fields(came: &HeaderMap, version: Version, upgrades: bool, stays: bool) -> HeaderMap {
    let mut fields = forwarded(came, version, upgrades);
    if !stays && !upgrades && fields.contains_key(CONNECTION) {
        fields = fields_without(fields, &CONNECTION);
    }
    fields
}

/// Whether a request leaves its connection open for the next one (RFC 9112 §9.3).
pub fn keeps_alive(version: Version, headers: &HeaderMap) -> bool {
    let says = |word: &str| named_by_connection(headers).any(|name| name.eq_ignore_ascii_case(word));
    if version == Version::HTTP_10 { says("keep-alive") } else { !says("close") }
}

/// The others in their order: `HeaderMap::remove` would put the last one in its place.
pub fn fields_without(mut fields: HeaderMap, without: &HeaderName) -> HeaderMap {
    let mut rest = HeaderMap::with_capacity(fields.len());
    let mut name = None;
    for (next, value) in fields.drain() {
        name = next.or(name);
        if let Some(name) = name.as_ref().filter(|name| *name != without) {
            rest.append(name.clone(), value);
        }
    }
    rest
}

/// HTTP/2 may cut cookies into lines, HTTP/1.1 must not, and whether the upstream speaks it is not known yet.
fn join_cookies(fields: &mut HeaderMap) {
    if fields.get_all(COOKIE).iter().nth(1).is_some() {
        let lines: Vec<_> = fields.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
        if let Ok(joined) = HeaderValue::from_bytes(&lines.join(&b"; "[..])) {
            fields.insert(COOKIE, joined);
        }
    }
}

fn forwarded(came: &HeaderMap, version: Version, upgrades: bool) -> HeaderMap {
    let named: Vec<&str> = named_by_connection(came).collect();
    let mut fields = HeaderMap::with_capacity(came.len());
    for (name, value) in came {
        if passes(name, value, &named, version, upgrades) {
            fields.append(name, value.clone());
        }
    }
    fields
}

fn passes(name: &HeaderName, value: &HeaderValue, named: &[&str], version: Version, upgrades: bool) -> bool {
    let is_http1 = version != Version::HTTP_2;
    let is = |word: &str| value.as_bytes().eq_ignore_ascii_case(word.as_bytes());
    match *name {
        CONNECTION => is_http1 && (upgrades || is("keep-alive")),
        UPGRADE => is_http1 && upgrades,
        TRANSFER_ENCODING => is_http1 && is("chunked"),
        TE => value
            .to_str()
            .is_ok_and(|text| text.split(',').any(|one| one.trim().eq_ignore_ascii_case("trailers"))),
        PROXY_AUTHENTICATE | PROXY_AUTHORIZATION => false,
        // Whoever lists these in `Connection` would change what the message is.
        HOST | CONTENT_LENGTH => is_http1 || name != HOST,
        _ if *name == KEEP_ALIVE || *name == PROXY_CONNECTION => false,
        _ => !named.iter().any(|other| other.eq_ignore_ascii_case(name.as_str())),
    }
}

fn named_by_connection(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(CONNECTION).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|text| text.split(',')).map(str::trim).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn list(map: &HeaderMap) -> Vec<(&str, &str)> {
        map.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
    }

    fn sent(fields: &[(&'static str, &str)], version: Version, upgrades: bool) -> HeaderMap {
        request_fields(&map(fields), Some(&HeaderValue::from_static("up.example")), version, upgrades)
    }

    #[test]
    fn order_and_repetitions_stay_and_the_host_becomes_the_upstreams_in_its_place() {
        let came =
            [("b", "1"), ("host", "127.0.0.1:1"), ("a", "1"), ("a", "2"), ("connection", "keep-alive")];
        let expected =
            [("b", "1"), ("host", "up.example"), ("a", "1"), ("a", "2"), ("connection", "keep-alive")];
        assert_eq!(list(&sent(&came, Version::HTTP_11, false)), expected);
    }

    #[test]
    fn the_host_can_stay() {
        let came = [("host", "a.b:443"), ("a", "1")];
        assert_eq!(list(&request_fields(&map(&came), None, Version::HTTP_11, false)), came);
    }

    #[test]
    fn what_concerns_the_connection_stays_on_it() {
        let came = [
            ("connection", "close, X-Mine"),
            ("x-mine", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "gzip"),
            ("transfer-encoding", "gzip, chunked"),
            ("upgrade", "h2c"),
            ("proxy-authorization", "x"),
            ("proxy-connection", "x"),
            ("x-other", "2"),
        ];
        assert_eq!(list(&sent(&came, Version::HTTP_11, false)), [("x-other", "2")]);
    }

    #[test]
    fn nobody_removes_the_length_or_the_host_by_naming_it() {
        let came = [("connection", "content-length, host"), ("host", "localhost"), ("content-length", "5")];
        let expected = [("host", "up.example"), ("content-length", "5")];
        assert_eq!(list(&sent(&came, Version::HTTP_11, false)), expected);
    }

    #[test]
    fn a_connection_that_the_client_ends_is_not_said_to_stay() {
        let came = map(&[("a", "1"), ("connection", "keep-alive"), ("b", "2"), ("b", "3")]);
        let fields = |stays| response_fields(&came, Version::HTTP_11, false, stays);
        assert_eq!(list(&fields(true)), list(&came));
        assert_eq!(list(&fields(false)), [("a", "1"), ("b", "2"), ("b", "3")]);
        let keeps = |version, value| keeps_alive(version, &map(&[("connection", value)]));
        assert!(keeps(Version::HTTP_11, "x") && !keeps(Version::HTTP_11, "x, Close"));
        assert!(keeps(Version::HTTP_10, "Keep-Alive") && !keeps(Version::HTTP_10, "x"));
    }

    #[test]
    fn an_upgrade_keeps_its_fields() {
        let came = [("connection", "Upgrade"), ("upgrade", "websocket"), ("sec-websocket-key", "x")];
        assert_eq!(list(&sent(&came, Version::HTTP_11, true)), came);
        let asks = |version, connection| {
            asks_for_upgrade(version, &map(&[("upgrade", "x"), ("connection", connection)]))
        };
        assert!(asks(Version::HTTP_11, "keep-alive, UPGRADE"));
        assert!(!asks(Version::HTTP_11, "keep-alive"));
        assert!(!asks(Version::HTTP_2, "upgrade"));
    }

    #[test]
    fn http2_has_no_field_of_a_connection_and_one_line_of_cookies() {
        let came = [
            ("cookie", "a=1"),
            ("te", "trailers"),
            ("host", "localhost"),
            ("connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("cookie", "b=2"),
        ];
        assert_eq!(list(&sent(&came, Version::HTTP_2, false)), [("cookie", "a=1; b=2"), ("te", "trailers")]);
    }
}
