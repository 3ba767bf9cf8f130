//! Heads and trailers as the text that the recorder takes: HTTP/1.1 lines, whatever the wire spoke. Pure.

use http::{HeaderMap, Version, request, response};
use hyper::ext::ReasonPhrase;

/// `METHOD TARGET HTTP/x.y` and the fields.
pub fn request_head(parts: &request::Parts) -> Vec<u8> {
    request_head_to(parts.uri.path_and_query().map_or("/", |path| path.as_str()), parts)
}

/// The same with another target.
pub fn request_head_to(target: &str, parts: &request::Parts) -> Vec<u8> {
    let mut text = Vec::with_capacity(64 + target.len() + length(&parts.headers));
    text.extend_from_slice(parts.method.as_str().as_bytes());
    text.push(b' ');
    text.extend_from_slice(target.as_bytes());
    text.push(b' ');
    text.extend_from_slice(version(parts.version));
    text.extend_from_slice(b"\r\n");
    // HTTP/2 says it in `:authority`.
    if let (false, Some(authority)) = (parts.headers.contains_key(http::header::HOST), parts.uri.authority())
    {
        line(b"host", authority.as_str().as_bytes(), &mut text);
    }
    fields(&parts.headers, &mut text);
    text
}

/// `HTTP/x.y STATUS REASON` and the fields.
pub fn response_head(parts: &response::Parts) -> Vec<u8> {
    let mut text = Vec::with_capacity(48 + length(&parts.headers));
    text.extend_from_slice(version(parts.version));
    text.push(b' ');
    text.extend_from_slice(parts.status.as_str().as_bytes());
    text.push(b' ');
    // One that is not the usual one is kept aside by hyper.
    match parts.extensions.get::<ReasonPhrase>() {
        Some(reason) => text.extend_from_slice(reason.as_bytes()),
        None if parts.version < Version::HTTP_2 => {
            text.extend_from_slice(parts.status.canonical_reason().unwrap_or_default().as_bytes());
        }
        None => {}
    }
    text.extend_from_slice(b"\r\n");
    fields(&parts.headers, &mut text);
    text
}

/// The fields alone.
pub fn trailers(headers: &HeaderMap) -> Vec<u8> {
    let mut text = Vec::with_capacity(length(headers));
    fields(headers, &mut text);
    text
}

fn fields(headers: &HeaderMap, text: &mut Vec<u8>) {
    for (name, value) in headers {
        line(name.as_str().as_bytes(), value.as_bytes(), text);
    }
}

fn line(name: &[u8], value: &[u8], text: &mut Vec<u8>) {
    text.extend_from_slice(name);
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}

fn length(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

fn version(version: Version) -> &'static [u8] {
    match version {
        Version::HTTP_10 => b"HTTP/1.0",
        Version::HTTP_2 => b"HTTP/2",
        _ => b"HTTP/1.1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, Request, Response};

    #[test]
    fn a_request_keeps_its_order_its_repetitions_and_its_bytes() {
        let request = Request::post("https://up.example/v1?x=1")
            .header("host", "up.example")
            .header("b", HeaderValue::from_bytes(b"caf\xe9").unwrap())
            .header("a", "1")
            .header("a", "2");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(
            request_head(&parts),
            b"POST /v1?x=1 HTTP/1.1\r\nhost: up.example\r\nb: caf\xe9\r\na: 1\r\na: 2\r\n"
        );
    }

    #[test]
    fn http2_has_its_host_from_the_authority() {
        let request = Request::get("https://up.example/").version(Version::HTTP_2).header("a", "1");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(request_head(&parts), b"GET / HTTP/2\r\nhost: up.example\r\na: 1\r\n");
    }

    #[test]
    fn a_response_has_the_reason_that_was_sent() {
        let with = |version| {
            let (parts, ()) = Response::builder().status(429).version(version).body(()).unwrap().into_parts();
            parts
        };
        assert_eq!(response_head(&with(Version::HTTP_11)), b"HTTP/1.1 429 Too Many Requests\r\n");
        assert_eq!(response_head(&with(Version::HTTP_2)), b"HTTP/2 429 \r\n");
        let mut own = with(Version::HTTP_11);
        own.extensions.insert(ReasonPhrase::from_static(b"Slow down"));
        assert_eq!(response_head(&own), b"HTTP/1.1 429 Slow down\r\n");
    }
}
