//! Bodies on their way through: each frame is told to the exchange, then handed on.
//!
//! A frame is fetched when its taker asks for one, and the taker asks when it can send: that is all the back-pressure there
//! is to it. What is dropped before its end was given up by whoever should have taken it.

use super::patience::Patience;
use super::ruled::Gathered;
use crate::failure::{CLIENT_CLOSED, Failure};
use crate::tape::Exchange;
use crate::wire;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Either;
use hyper::body::Incoming;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::{fmt, io};

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Decision = Pin<Box<dyn Future<Output = bool> + Send + Sync>>;

/// Why a body that is not hyper's own breaks off. (An error in a box cannot be asked to become one again.)
#[derive(Debug)]
pub struct Broken(BoxError);

impl Broken {
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// A request's body: from the client to the upstream.
pub struct RequestBody {
    body: Either<Incoming, Gathered<Incoming>>,
    exchange: Option<Exchange>,
    /// So many bytes at its start the exchange has been told of.
    told: usize,
    /// What it waits for before it begins.
    decision: Option<Decision>,
}

impl RequestBody {
    pub fn new(
        body: Either<Incoming, Gathered<Incoming>>,
        exchange: Option<Exchange>,
        told: usize,
        patience: Option<&Patience>,
    ) -> Self {
        let decision = patience.map(|patience| Box::pin(patience.clone().decision()) as Decision);
        Self { body, exchange, told, decision }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Some(decision) = &mut this.decision {
            let is_wanted = ready!(decision.as_mut().poll(cx));
            this.decision = None;
            if !is_wanted {
                let words = "the upstream has answered without the body";
                return Poll::Ready(Some(Err(io::Error::other(words).into())));
            }
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        if let Some(exchange) = &this.exchange {
            match &frame {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        let known = this.told.min(bytes.len());
                        this.told -= known;
                        if known < bytes.len() {
                            exchange.request_body(&bytes[known..]);
                        }
                    }
                    if frame.is_trailers() || this.body.is_end_stream() {
                        exchange.request_end();
                    }
                }
                Some(Err(_)) => exchange.fail(&CLIENT_CLOSED),
                None => exchange.request_end(),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response's body: from the upstream to the client.
pub struct ResponseBody {
    body: Incoming,
    exchange: Option<Exchange>,
    patience: Option<Patience>,
}

impl ResponseBody {
    pub fn new(body: Incoming, exchange: Option<Exchange>, patience: Option<Patience>) -> Self {
        if let Some(exchange) = exchange.as_ref().filter(|_| body.is_end_stream()) {
            exchange.response_end(b"");
        }
        Self { body, exchange, patience }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        if let Some(exchange) = &this.exchange {
            match &frame {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        exchange.response_body(bytes);
                    }
                    if let Some(trailers) = frame.trailers_ref() {
                        exchange.response_end(&wire::trailers(trailers));
                    } else if this.body.is_end_stream() {
                        exchange.response_end(b"");
                    }
                }
                Some(Err(error)) => exchange.fail(&Failure::of(error)),
                None => exchange.response_end(b""),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        if let Some(patience) = &self.patience {
            patience.over();
        }
        // Nothing happens if it has ended. The request's half may still be held by the connection to the upstream.
        if let Some(exchange) = &self.exchange {
            // Of HTTP/2 a client has all when it has as much as was promised, before the end of the stream is said.
            if self.body.size_hint().exact() == Some(0) {
                exchange.response_end(b"");
            } else {
                exchange.abandon_response();
            }
        }
    }
}
