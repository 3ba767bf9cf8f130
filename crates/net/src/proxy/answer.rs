//! What the proxy says itself, in the shape of an error of the Anthropic API (which OpenAI's clients read too), so that a
//! client shows it to its user.

use super::access::Refusal;
use crate::failure::Failure;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
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

/// The client of the TLS proxy shows no credentials, or wrong ones.
pub fn unknown_client() -> Response<Full<Bytes>> {
    let words = "the credentials of this proxy are missing or wrong";
    error(StatusCode::PROXY_AUTHENTICATION_REQUIRED, "authentication_error", words)
}

/// The TLS proxy was asked for something else than a tunnel.
pub fn only_tunnels() -> Response<Full<Bytes>> {
    error(StatusCode::FORBIDDEN, "permission_error", "this proxy is for https alone")
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
