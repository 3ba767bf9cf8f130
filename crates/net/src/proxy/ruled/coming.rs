//! A request whose body is gathered: on record from its first byte.
//!
//! **As it comes.** The exchange begins with the head that the client has sent, and has each piece of the body when it has come. So
//! what had come is there if the client goes away, or if this process is killed, before any of it has gone up.
//!
//! **As it goes up.** If that is something else, a second exchange is told all of it, before any of it is passed on, and only then the first
//! is taken back. A kill between the two leaves both on record, never neither.

use super::super::forward::Forward;
use super::{Aborted, Gathered, MAX_BODY_BYTES, say};
use crate::failure::CLIENT_CLOSED;
use crate::tape::Exchange;
use crate::wire;
use claude_trace_core::clock::monotonic_nanos;
use claude_trace_core::interceptor::live::Live;
use http::request;
use hyper::body::Incoming;

/// A request as it came.
pub struct Came {
    head: Vec<u8>,
    /// When, on the monotonic clock.
    at: u64,
}

/// The same on record.
pub struct Coming {
    came: Came,
    exchange: Option<Exchange>,
}

impl Came {
    /// One that has come just now.
    pub fn now(parts: &request::Parts) -> Self {
        Self { head: wire::request_head(parts), at: monotonic_nanos() }
    }

    /// Begins to record it as it came.
    pub fn begin(&self, forward: &Forward, path: &str) -> Option<Exchange> {
        forward.exchange_at(path, &self.head, self.at)
    }

    /// Gathers its body, on record.
    pub async fn gather(
        self,
        forward: &Forward,
        path: &str,
        body: Incoming,
    ) -> Result<(Coming, Gathered<Incoming>), Aborted> {
        let exchange = self.begin(forward, path);
        let hear = |bytes: &[u8]| {
            if let Some(exchange) = &exchange {
                exchange.request_body(bytes);
            }
        };
        let gathered = Gathered::up_to(body, MAX_BODY_BYTES, hear).await;
        // A stream of HTTP/2 that the client has let go of without an error (Node's `destroy()`) ends like one that is whole. When we wait,
        // hyper looks for that, and drops us.
        tokio::task::yield_now().await;
        if gathered.has_failed() {
            if let Some(exchange) = &exchange {
                exchange.fail(&CLIENT_CLOSED);
            }
            return Err(Aborted);
        }
        Ok((Coming { came: self, exchange }, gathered))
    }
}

impl Coming {
    /// It does not go on.
    pub fn stays(self) -> Option<Exchange> {
        self.exchange
    }

    /// It goes on with these parts and this body, which is another one or not. The exchange that is on record from now on, and how much of
    /// the body it was told of.
    pub fn goes_on(
        self,
        forward: &Forward,
        parts: &request::Parts,
        body: &Gathered<Incoming>,
        is_other_body: bool,
        live: &mut Live,
    ) -> (Option<Exchange>, usize) {
        let told = body.pieces().map(|piece| piece.len()).sum();
        let head = wire::request_head(parts);
        if is_other_body || head != self.came.head {
            // Without room for another one there is still that which came.
            if let Some(exchange) = forward.exchange_at(parts.uri.path(), &head, self.came.at) {
                body.pieces().for_each(|piece| exchange.request_body(piece));
                say(live, Some(&exchange));
                if let Some(came) = self.exchange {
                    came.abandon();
                }
                return (Some(exchange), told);
            }
        }
        (self.exchange, told)
    }
}
