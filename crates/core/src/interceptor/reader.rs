//! From the pieces of a body to its events: decoded as they come, if they are encoded.

use super::hooks::Message;
use crate::decode::PushDecoder;
use crate::message::{Framing, Hints};
use crate::sse;

/// What undoes the encoding of a message's body, if there is one; `None`: it cannot be undone as it comes.
#[allow(clippy::option_option, reason = "as PushDecoder::of")]
pub(super) fn decoder_of(message: &Message<'_>, is_decoded: bool) -> Option<Option<PushDecoder>> {
    if is_decoded {
        return Some(None);
    }
    PushDecoder::of(message.header("content-encoding").unwrap_or_default())
}

/// Reads a stream of events as it comes.
pub(super) struct Reader {
    parser: sse::Parser,
    decoder: Option<PushDecoder>,
    decoded_bytes: u64,
}

impl Reader {
    /// `None`: the response is no stream of server-sent events, or one that cannot be decoded as it comes.
    pub(super) fn of(head: &[u8], url: &[u8], is_decoded: bool) -> Option<Self> {
        let message = Message::new(head);
        let content_type = message.header("content-type").unwrap_or_default();
        if (Hints { content_type, url }).framing() != Some(Framing::Sse) {
            return None;
        }
        let decoder = decoder_of(&message, is_decoded)?;
        Some(Self { parser: sse::Parser::default(), decoder, decoded_bytes: 0 })
    }

    /// Whether more can be read.
    pub(super) fn read(
        &mut self,
        piece: &[u8],
        max_decoded_bytes: u64,
        mut on_event: impl FnMut(sse::Event<'_>),
    ) -> bool {
        let Self { parser, decoder, decoded_bytes } = self;
        let Some(decoder) = decoder else {
            parser.push(piece, on_event);
            return true;
        };
        decoder.push(piece, |bytes| {
            *decoded_bytes += bytes.len() as u64;
            let is_short = *decoded_bytes <= max_decoded_bytes;
            if is_short {
                parser.push(bytes, &mut on_event);
            }
            is_short
        })
    }
}
