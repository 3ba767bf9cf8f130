//! What the proxy says itself, in the shape of an error of the Anthropic API (which OpenAI's clients read too), so that a
//! client shows it to its user.

use super::access::Refusal;
use crate::failure::Failure;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, PROXY_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::json;

/// The upstream cannot be reached, or has broken off before it answered.
pub fn unreachable(origin: &str, failure: &Failure) -> Response<Full<Bytes>> {
    let code = if failure.code.is_empty() { String::new() } else { format!(" ({})", failure.code) };
    let words = format!("no answer from {origin}: {}{code}", failure.message());
    error(StatusCode::BAD_GATEWAY, "api_error", &words)
}

/// The request makes no URL of the upstream's.
pub fn bad_target() -> Response<Full<Bytes>> {
    error(StatusCode::BAD_REQUEST, "invalid_request_error", "the request's target makes no URL")
}

/// The request is not forwarded.
pub fn refused(refusal: Refusal) -> Response<Full<Bytes>> {
    let words = match refusal {
        Refusal::ForeignHost => "the request names a host that is not this proxy",
        Refusal::Tunnel => "this proxy makes no tunnels",
        Refusal::NoToken => "the token of this proxy is missing or wrong",
    };
    error(StatusCode::FORBIDDEN, "permission_error", words)
}

/// A forward proxy wants to see its token.
pub fn no_credentials() -> Response<Full<Bytes>> {
    let words = "this proxy is for the program that it was started for";
    let mut response = error(StatusCode::PROXY_AUTHENTICATION_REQUIRED, "authentication_error", words);
    response
        .headers_mut()
        .insert(PROXY_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"claude-trace\""));
    response
}

/// A forward proxy was asked for a page of its own.
pub fn no_target() -> Response<Full<Bytes>> {
    let words = "this is a forward proxy: a request names a host and a port (CONNECT), or an absolute URL";
    error(StatusCode::BAD_REQUEST, "invalid_request_error", words)
}

/// A request for another host than its connection was opened to.
pub fn misdirected() -> Response<Full<Bytes>> {
    let words = "the request is for another host than its connection";
    error(StatusCode::MISDIRECTED_REQUEST, "invalid_request_error", words)
}

fn error(status: StatusCode, kind: &str, words: &str) -> Response<Full<Bytes>> {
    let body = json!({"type": "error", "error": {"type": kind, "message": format!("claude-trace: {words}")}});
    let body = Bytes::from(body.to_string());
    let mut response = Response::new(Full::new(body.clone()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    response
}
