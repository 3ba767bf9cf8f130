//! A stream of events on its way through the interceptors.

use super::super::body::{Broken, ResponseBody};
use super::say;
use crate::failure::Failure;
use crate::tape::Exchange;
use bytes::Bytes;
use claude_trace_core::clock::monotonic_nanos;
use claude_trace_core::decode::PushDecoder;
use claude_trace_core::interceptor::live::{EventStream, Live, Part, Piece};
use claude_trace_core::interceptor::rules::MAX_TEXT_BYTES;
use claude_trace_core::jsonrpc::Id;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, HeaderValue};
use http_body::{Body, Frame};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::time::Sleep;

/// The body of a response whose events are looked at.
pub struct Events {
    body: ResponseBody,
    live: Live,
    exchange: Option<Exchange>,
    stream: EventStream,
    /// If it comes encoded.
    decoder: Option<PushDecoder>,
    /// What goes on, in order.
    queue: VecDeque<Piece>,
    /// The first of the queue waits for this.
    sleep: Option<Pin<Box<Sleep>>>,
    /// What comes behind the queue, when the upstream has said all.
    end: Option<End>,
}

enum End {
    Trailers(Option<HeaderMap>),
    Failed(Broken),
    Over,
}

impl Events {
    /// `asked` are the requests of JSON-RPC that it answers. The body is given back if its encoding cannot be undone as it comes.
    pub fn new(
        mut live: Live,
        body: ResponseBody,
        exchange: Option<Exchange>,
        headers: &HeaderMap,
        asked: Vec<Id>,
    ) -> Result<Self, ResponseBody> {
        let encoding = headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
        let Some(decoder) = PushDecoder::of(encoding) else {
            let encoding: String = String::from_utf8_lossy(encoding).chars().take(100).collect();
            let why = format!("content-encoding {encoding} cannot be undone as it comes");
            for part in [Part::Events, Part::ResponseBody] {
                live.unread(part, &why);
            }
            say(&mut live, exchange.as_ref());
            if let Some(exchange) = &exchange {
                exchange.release();
            }
            return Err(body);
        };
        let (stream, queue) = (EventStream::default().answering(asked), VecDeque::new());
        Ok(Self { body, live, exchange, stream, decoder, queue, sleep: None, end: None })
    }

    /// Bytes came from the upstream, and are on record.
    fn came(&mut self, bytes: &[u8]) {
        let Self { live, stream, queue, .. } = self;
        let at = monotonic_nanos();
        let is_read = match &mut self.decoder {
            None => {
                queue.extend(stream.push(live, bytes, at));
                true
            }
            Some(decoder) => {
                let mut decoded = 0;
                decoder.push(bytes, |bytes| {
                    decoded += bytes.len();
                    queue.extend(stream.push(live, bytes, at));
                    decoded <= MAX_TEXT_BYTES
                })
            }
        };
        if !is_read {
            let words = "the stream is not what its content-encoding says, or too large";
            if let Some(exchange) = &self.exchange {
                exchange.fail(&Failure::new("ERR_CONTENT_DECODING", words.into()));
            }
            self.over(End::Failed(Broken::new(words)));
        }
    }

    /// Nothing more comes. What is held back is no event, and goes on as it is.
    fn over(&mut self, end: End) {
        let bytes = self.stream.finish();
        if !bytes.is_empty() {
            self.queue.push_back(Piece { bytes, ..Piece::default() });
        }
        self.end = Some(end);
    }

    /// The next of the queue, when its wait is over.
    fn poll_queue(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(sleep) = &mut self.sleep {
            ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        } else if let Some(first) = self.queue.front().filter(|first| !first.wait.is_zero()) {
            let mut sleep = Box::pin(tokio::time::sleep(first.wait));
            if sleep.as_mut().poll(cx).is_pending() {
                self.sleep = Some(sleep);
                return Poll::Pending;
            }
        }
        Poll::Ready(self.queue.pop_front().map(|piece| piece.bytes.into()))
    }

    fn release(&self) {
        if let Some(exchange) = &self.exchange {
            exchange.release();
        }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        loop {
            if let Some(bytes) = ready!(this.poll_queue(cx)) {
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            if let Some(end) = &mut this.end {
                return Poll::Ready(match std::mem::replace(end, End::Over) {
                    End::Trailers(Some(trailers)) => Some(Ok(Frame::trailers(trailers))),
                    End::Failed(error) => Some(Err(error)),
                    End::Trailers(None) | End::Over => None,
                });
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) => this.came(&bytes),
                    Err(frame) => this.over(End::Trailers(frame.into_trailers().ok())),
                },
                Some(Err(error)) => this.over(End::Failed(Broken::new(error))),
                None => this.over(End::Trailers(None)),
            }
            if this.end.is_none() && this.body.is_end_stream() {
                this.over(End::Trailers(None));
            }
            say(&mut this.live, this.exchange.as_ref());
            if this.end.is_some() {
                this.release();
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.queue.is_empty() && matches!(self.end, Some(End::Trailers(None) | End::Over))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // What the client has not taken it has given up, unless the upstream had said all.
        self.release();
    }
}
