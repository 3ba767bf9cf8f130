//! A body of which a part was read before it goes on.

use super::super::body::{BoxError, Broken};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

/// What was read, then the rest.
pub struct Gathered<B> {
    pieces: VecDeque<Bytes>,
    end: End<B>,
}

enum End<B> {
    /// All of it was read.
    Trailers(Option<HeaderMap>),
    /// It is larger than what is read at once.
    Rest(B),
    Failed(Broken),
    Over,
}

impl<B> Gathered<B> {
    /// The whole of it; `Err`: it is not there, and why, if it did not break off.
    pub fn whole(&self) -> Result<Bytes, Option<&'static str>> {
        match &self.end {
            End::Trailers(_) if self.pieces.len() == 1 => Ok(self.pieces[0].clone()),
            End::Trailers(_) => {
                let mut whole = BytesMut::with_capacity(self.pieces.iter().map(Bytes::len).sum());
                self.pieces.iter().for_each(|piece| whole.extend_from_slice(piece));
                Ok(whole.freeze())
            }
            End::Rest(_) => Err(Some("it is larger than 32 MiB")),
            End::Failed(_) | End::Over => Err(None),
        }
    }

    /// What was read of it.
    pub fn pieces(&self) -> impl Iterator<Item = &Bytes> {
        self.pieces.iter()
    }

    /// Whether it broke off.
    pub fn has_failed(&self) -> bool {
        matches!(self.end, End::Failed(_))
    }

    /// What was not read.
    pub fn into_rest(self) -> Option<B> {
        if let End::Rest(rest) = self.end { Some(rest) } else { None }
    }

    /// Other bytes in the place of what was read.
    pub fn put(&mut self, bytes: Bytes) {
        self.pieces = VecDeque::from([bytes]);
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Gathered<B> {
    /// Reads up to that many bytes, and one frame more. `hear` is told of each piece when it comes.
    pub async fn up_to(mut body: B, most: usize, mut hear: impl FnMut(&[u8])) -> Self {
        let (mut pieces, mut length) = (VecDeque::new(), 0);
        let end = loop {
            match body.frame().await {
                None => break End::Trailers(None),
                Some(Err(error)) => break End::Failed(Broken::new(error)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        hear(&data);
                        length += data.len();
                        pieces.push_back(data);
                        if length > most {
                            break End::Rest(body);
                        }
                    }
                    Err(frame) => break End::Trailers(frame.into_trailers().ok()),
                },
            }
        };
        Self { pieces, end }
    }
}

impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin> Body for Gathered<B> {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        if let Some(piece) = this.pieces.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if let End::Rest(body) = &mut this.end {
            return Pin::new(body).poll_frame(cx).map_err(Broken::new);
        }
        Poll::Ready(match std::mem::replace(&mut this.end, End::Over) {
            End::Trailers(Some(trailers)) => Some(Ok(Frame::trailers(trailers))),
            End::Failed(error) => Some(Err(error)),
            _ => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
            && match &self.end {
                End::Trailers(trailers) => trailers.is_none(),
                End::Rest(body) => body.is_end_stream(),
                End::Failed(_) => false,
                End::Over => true,
            }
    }

    fn size_hint(&self) -> SizeHint {
        let read: u64 = self.pieces.iter().map(|piece| piece.len() as u64).sum();
        match &self.end {
            End::Trailers(_) | End::Over => SizeHint::with_exact(read),
            End::Failed(_) => SizeHint::default(),
            End::Rest(body) => {
                let rest = body.size_hint();
                let mut hint = SizeHint::default();
                hint.set_lower(read + rest.lower());
                if let Some(upper) = rest.upper() {
                    hint.set_upper(read + upper);
                }
                hint
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    #[tokio::test]
    async fn what_was_read_and_the_rest_are_the_body() {
        let frames = || {
            let mut trailers = HeaderMap::new();
            trailers.insert("x", "1".parse().unwrap());
            let list = vec![Frame::data("abc".into()), Frame::data("def".into()), Frame::trailers(trailers)];
            VecDeque::from(list)
        };
        for (most, is_whole) in [(0, false), (2, false), (5, false), (6, true), (100, true)] {
            let mut heard = Vec::new();
            let gathered =
                Gathered::up_to(Frames(frames()), most, |bytes| heard.extend_from_slice(bytes)).await;
            assert_eq!(heard, gathered.pieces().flatten().copied().collect::<Vec<_>>(), "{most}");
            assert_eq!(gathered.whole().ok(), is_whole.then(|| Bytes::from("abcdef")), "{most}");
            let collected = gathered.collect().await.unwrap();
            assert!(collected.trailers().is_some(), "{most}");
            assert_eq!(collected.to_bytes(), "abcdef");
        }
        let mut gathered = Gathered::up_to(Full::new(Bytes::from("abc")), 5, |_| {}).await;
        assert_eq!(gathered.size_hint().exact(), Some(3));
        gathered.put("other".into());
        assert_eq!(gathered.size_hint().exact(), Some(5));
        assert_eq!(gathered.collect().await.unwrap().to_bytes(), "other");
    }

    struct Frames(VecDeque<Frame<Bytes>>);

    impl Body for Frames {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Ready(self.0.pop_front().map(Ok))
        }
    }
}
