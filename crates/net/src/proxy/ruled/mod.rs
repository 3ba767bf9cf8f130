//! The way of an exchange that rules match: what they say happens to what goes on.
//!
//! **Nobody else comes here.** A proxy without rules, and an exchange that none matches, take the path of `forward`.
//!
//! **What is on record** is what was said on the wire to the upstream: the request as it went there, the response as it came
//! from there. What the rules did stands beside it (`trace.rules`), in the spool before the bytes that it tells of are
//! passed on. Of a request that is blocked there is the request as it came, and the answer that we gave.
//!
//! **A stream stays a stream** (`stream`). An event goes on when its last byte has come, and after the wait that a rule asks for; the
//! next frame of the upstream's is asked for when all before it has gone on, so back-pressure is what it was.
//!
//! **A whole body** (`whole`), of a request or of a response that is no stream, is gathered where a rule replaces in it, up to
//! [`MAX_BODY_BYTES`]; a larger one passes as it comes. Its length is written anew if it changes. A request is on record as it comes
//! while it is gathered (`coming`).
//!
//! **What messages of MCP ask for** (`calls`) is known when the body has come, which is gathered where a rule goes by that.
//!
//! **Encodings.** Where rules look at what comes back, the upstream is asked for `identity`. What is encoded nonetheless is
//! decoded, and goes on decoded if it is a stream or has changed.
//!
//! **What cannot be done is not done**, and said (`unread` in the mark): then the bytes pass as they came. An interceptor that fails
//! is out of the exchange (`interceptor::live`).

mod calls;
mod coming;
mod fields;
mod gathered;
mod instead;
mod stream;
mod way;
mod whole;

pub use calls::{Calls, Matched};
pub use gathered::Gathered;

use super::body::ResponseBody;
use super::forward::{Answer, Own, Sent, adapt, expects_continue};
use super::patience::Patience;
use super::{forward::OfConnection, hop};
use crate::failure::Failure;
use crate::tape::Exchange;
use crate::wire;
use bytes::Bytes;
use calls::Held;
use claude_trace_core::interceptor::live::{Live, Part};
use coming::Came;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, EXPECT};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, request, response};
use http_body::Body;
use http_body_util::{BodyExt, Either};
use hyper::body::Incoming;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use stream::Events;
use way::{Asked, IS_STREAM, Way};

/// A body that is larger passes as it comes. An API takes no larger request.
pub const MAX_BODY_BYTES: usize = 32 << 20;

/// A rule breaks the client's connection off.
#[derive(Debug)]
pub struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rule breaks the connection off")
    }
}

impl std::error::Error for Aborted {}

impl OfConnection {
    /// Forwards a request that those are on the way of, and answers it. Dropping the future is how a client goes away.
    pub async fn ruled(
        self: Arc<Self>,
        matched: Matched,
        mut parts: request::Parts,
        body: Incoming,
        mut sent: Sent,
    ) -> Result<Answer, Aborted> {
        let is_upgrade = sent.upgrade.is_some();
        let came = Came::now(&parts);
        let (mut live, calls, held) = matched.settle(&self, came, &parts, body, is_upgrade).await?;
        let plan = live.request(&wire::request_head_to(&parts.uri.to_string(), &parts));
        if let Some(instead) = plan.instead {
            let (exchange, rest) = match held {
                Held::Not(came, body) => (came.begin(self.forward(), parts.uri.path()), Some(body)),
                Held::Gathered(coming, gathered) => (coming.stays(), gathered.into_rest()),
            };
            say(&mut live, exchange.as_ref());
            return instead::answer(instead, &calls, &parts, rest, exchange, plan.wait, &sent).await;
        }
        fields::apply(&mut parts.headers, &plan.changes);
        let looks = !is_upgrade && live.looks_at(Part::RequestBody);
        let held = match held {
            Held::Not(came, body) if looks && may_be_read(&mut live, &parts, &body) => {
                let (coming, gathered) = came.gather(self.forward(), parts.uri.path(), body).await?;
                Held::Gathered(coming, gathered)
            }
            held => held,
        };
        if (live.looks_at(Part::ResponseBody) || live.looks_at(Part::Events)) && !is_upgrade {
            parts.headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        let body = match held {
            Held::Not(_, body) => {
                sent.exchange = self.forward().exchange(&parts);
                sent.patience = expects_continue(&parts).then(Patience::new);
                Either::Left(body)
            }
            Held::Gathered(coming, mut gathered) => {
                // The client was told to go on by our asking for it.
                parts.headers = hop::fields_without(std::mem::take(&mut parts.headers), &EXPECT);
                let is_new = looks && look(&mut live, true, &mut parts.headers, &mut gathered);
                (sent.exchange, sent.told) =
                    coming.goes_on(self.forward(), &parts, &gathered, is_new, &mut live);
                Either::Right(gathered)
            }
        };
        say(&mut live, sent.exchange.as_ref());
        pause(plan.wait).await;
        let is_head = parts.method == Method::HEAD;
        let asked = Asked { is_head, url: parts.uri.to_string(), calls };
        match self.send(parts, body, &sent).await {
            Ok(response) => Ok(self.ruled_answer(live, response, sent, &asked).await),
            Err(error) => Ok(self.forward().failed(sent.exchange.as_ref(), &Failure::of(&error))),
        }
    }

    async fn ruled_answer(
        &self,
        mut live: Live,
        response: Response<Incoming>,
        sent: Sent,
        asked: &Asked,
    ) -> Answer {
        if sent.upgrade.is_some() || response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return sent.answered(self.forward(), response);
        }
        let (mut parts, body) = response.into_parts();
        let head = wire::response_head(&parts);
        let Sent { exchange, patience, version, stays, .. } = sent;
        if let Some(exchange) = &exchange {
            exchange.response_head(&head);
            // There may be more to say when all of it has come.
            exchange.hold();
        }
        if let Some(patience) = &patience {
            patience.answered();
        }
        let way = Way::of(&live, &parts, body.is_end_stream(), asked);
        let plan = live.response(&head);
        adapt(&mut parts, version, false, stays);
        fields::apply(&mut parts.headers, &plan.changes);
        match &way {
            Way::Passes(Some(why)) => live.unread(Part::ResponseBody, why),
            Way::Events => live.unread_stream(IS_STREAM),
            Way::Passes(None) | Way::Whole => {}
        }
        say(&mut live, exchange.as_ref());
        let body = ResponseBody::new(body, exchange.clone(), patience);
        pause(plan.wait).await;
        match way {
            Way::Passes(_) => {
                if let Some(exchange) = &exchange {
                    exchange.release();
                }
                Response::from_parts(parts, Either::Left(body))
            }
            Way::Events => match Events::new(live, body, exchange, &parts.headers, asked.calls.asked()) {
                Ok(events) => {
                    fields::of_another_body(&mut parts.headers);
                    Response::from_parts(parts, own(events))
                }
                Err(body) => Response::from_parts(parts, Either::Left(body)),
            },
            Way::Whole => {
                let body = response_body(&mut live, &mut parts, body).await;
                if let Some(exchange) = &exchange {
                    say(&mut live, Some(exchange));
                    exchange.release();
                }
                Response::from_parts(parts, own(body))
            }
        }
    }
}

fn own(
    body: impl Body<Data = Bytes, Error = super::body::Broken> + Send + 'static,
) -> Either<ResponseBody, Own> {
    Either::Right(body.boxed_unsync())
}

/// Waits; not at all where nothing was asked for: a timer has whole milliseconds.
async fn pause(wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

/// Tells the record what was done, if there is news.
fn say(live: &mut Live, exchange: Option<&Exchange>) {
    if let (Some(exchange), Some(mark)) = (exchange, live.mark()) {
        exchange.rules(&mark);
    }
}

/// Whether a request's body can be looked at; if there is one and it cannot, the mark says why.
fn may_be_read(live: &mut Live, parts: &request::Parts, body: &Incoming) -> bool {
    if body.is_end_stream() {
        return false;
    }
    let why = whole::why_no_text(&parts.headers);
    if let Some(why) = &why {
        live.unread(Part::RequestBody, why);
    }
    why.is_none()
}

/// Gathers a response's body and has it looked at. The fields that go with it are right afterwards.
async fn response_body(
    live: &mut Live,
    parts: &mut response::Parts,
    body: ResponseBody,
) -> Gathered<ResponseBody> {
    let mut gathered = Gathered::up_to(body, MAX_BODY_BYTES, |_| {}).await;
    look(live, false, &mut parts.headers, &mut gathered);
    gathered
}

/// Has a body looked at that was gathered. Whether it is another one now.
fn look<B>(live: &mut Live, is_request: bool, headers: &mut HeaderMap, gathered: &mut Gathered<B>) -> bool {
    let part = if is_request { Part::RequestBody } else { Part::ResponseBody };
    let bytes = match gathered.whole() {
        Ok(bytes) => bytes,
        // It broke off: nobody gets it.
        Err(None) => return false,
        Err(Some(why)) => {
            live.unread(part, why);
            return false;
        }
    };
    let encoding = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
    match whole::decoded(encoding, &bytes) {
        Ok(text) => {
            let Some(new) = live.body(is_request, &text) else { return false };
            fields::of_whole_body(headers, new.len());
            gathered.put(new.into());
            true
        }
        Err(why) => {
            live.unread(part, &why);
            false
        }
    }
}
