//! What a client gets in place of an exchange.

use super::super::forward::{Answer, Sent, adapt, expects_continue, own};
use super::calls::Calls;
use super::{Aborted, fields, pause};
use crate::failure::Failure;
use crate::tape::Exchange;
use crate::wire;
use bytes::Bytes;
use claude_trace_core::interceptor::{HeaderChange, Instead, Reply};
use http::{Response, StatusCode, Version, request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use std::time::Duration;

/// Answers in the upstream's place. What has not been read of the request is read to its end first: a client that is still sending does
/// not read.
pub async fn answer(
    instead: Instead,
    calls: &Calls,
    request: &request::Parts,
    mut body: Option<Incoming>,
    exchange: Option<Exchange>,
    wait: Duration,
    sent: &Sent,
) -> Result<Answer, Aborted> {
    // One that waits for leave to send gets its answer in place of that.
    while let Some(body) = body.as_mut().filter(|_| !expects_continue(request)) {
        match body.frame().await {
            None => break,
            Some(Ok(frame)) => {
                if let (Some(exchange), Some(bytes)) = (&exchange, frame.data_ref()) {
                    exchange.request_body(bytes);
                }
            }
            // The client is gone, which the exchange says when it is let go of.
            Some(Err(_)) => return Err(Aborted),
        }
    }
    if let Some(exchange) = &exchange {
        exchange.request_end();
    }
    pause(wait).await;
    match instead {
        Instead::Abort => {
            if let Some(exchange) = &exchange {
                exchange.fail(&Failure::new("ERR_BLOCKED", "a rule broke the connection off".into()));
            }
            Err(Aborted)
        }
        Instead::Refuse(words) => Ok(told(calls.refused(&words), exchange.as_ref(), sent)),
        Instead::Answer(reply) => Ok(told(reply, exchange.as_ref(), sent)),
    }
}

fn told(Reply { status, headers, body }: Reply, exchange: Option<&Exchange>, sent: &Sent) -> Answer {
    let body = Bytes::from(body);
    let mut response = Response::new(Full::new(body.clone()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
    *response.version_mut() = Version::HTTP_11;
    let changes: Vec<_> =
        headers.into_iter().map(|(name, value)| HeaderChange::Add { name, value }).collect();
    fields::apply(response.headers_mut(), &changes);
    if !matches!(status, 204 | 304) {
        response.headers_mut().insert(http::header::CONTENT_LENGTH, body.len().into());
    }
    let (mut parts, full) = response.into_parts();
    adapt(&mut parts, sent.version, false, sent.stays);
    if let Some(exchange) = exchange {
        exchange.response_head(&wire::response_head(&parts));
        if !body.is_empty() {
            exchange.response_body(&body);
        }
        exchange.response_end(b"");
    }
    own(Response::from_parts(parts, full))
}
