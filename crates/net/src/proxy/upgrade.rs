//! A connection after `101 Switching Protocols`: bytes in both directions until both have ended.
//!
//! On record it is one exchange: what the client sends stands in the request's body, what the upstream sends in the
//! response's, as the bytes of the new protocol (a WebSocket's frames, the client's with their masks).

use crate::failure::Failure;
use crate::tape::Exchange;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional};

/// Joins the two as soon as both have turned.
pub async fn relay(client: OnUpgrade, upstream: OnUpgrade, exchange: Option<Exchange>) {
    let end = async {
        let (client, upstream) = tokio::try_join!(client, upstream).map_err(|error| Failure::of(&error))?;
        let mut client =
            Heard { io: TokioIo::new(client), exchange: exchange.as_ref(), tell: Exchange::request_body };
        let mut upstream =
            Heard { io: TokioIo::new(upstream), exchange: exchange.as_ref(), tell: Exchange::response_body };
        copy_bidirectional(&mut client, &mut upstream).await.map_err(|error| Failure::of(&error))
    };
    let end = end.await;
    if let Some(exchange) = &exchange {
        match end {
            Ok(_) => {
                exchange.request_end();
                exchange.response_end(b"");
            }
            Err(failure) => exchange.fail(&failure),
        }
    }
}

/// A stream whose bytes are told as they are read.
struct Heard<'e, S> {
    io: S,
    exchange: Option<&'e Exchange>,
    tell: fn(&Exchange, &[u8]),
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        let read = &buffer.filled()[before..];
        if let Some(exchange) = self.exchange.filter(|_| !read.is_empty()) {
            (self.tell)(exchange, read);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<'_, S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
