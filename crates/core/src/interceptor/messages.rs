//! Messages of MCP as events: those that come as bodies, and not in a stream of events.
//!
//! The body of a request is one message, or a batch of them; so is an answer of `application/json`. Each is an event: its data are the
//! message, it has neither type nor id. What says so is the head, so that other traffic is not gathered: a relay's URL, or a POST
//! of JSON that takes JSON and streams of events alike, as MCP's Streamable HTTP demands of its clients. A body that turns out to be
//! no JSON-RPC has no events.

use super::hooks::Message;
use super::reader::decoder_of;
use crate::decode::PushDecoder;
use crate::head::RequestHead;
use crate::jsonrpc;
use std::ops::Range;

/// The scheme of what a relay of standard streams records.
const OVER_STREAMS: &[u8] = b"mcp+stdio://";

/// Whether a request with that head may be one of MCP.
pub fn may_be_mcp(head: &[u8]) -> bool {
    let RequestHead { line, fields } = RequestHead::parse(head);
    if line.target.starts_with(OVER_STREAMS) {
        return true;
    }
    let (mut sends_json, mut takes_json, mut takes_events) = (false, false, false);
    for field in fields {
        if field.is("content-type") {
            sends_json = is_json(field.value);
        } else if field.is("accept") {
            let mut types = field.value.split(|byte| *byte == b',');
            takes_json |= types.clone().any(is_json);
            takes_events |= types.any(|one| essence(one).eq_ignore_ascii_case(b"text/event-stream"));
        }
    }
    line.method == b"POST" && sends_json && takes_json && takes_events
}

fn is_json(media_type: &[u8]) -> bool {
    essence(media_type).eq_ignore_ascii_case(b"application/json")
}

fn essence(media_type: &[u8]) -> &[u8] {
    media_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

/// Whether an answer with that head may be a message.
pub(super) fn is_one_body(head: &[u8]) -> bool {
    Message::new(head).header("content-type").is_some_and(is_json)
}

/// A body, decoded, as far as it has come.
pub(super) struct Gathered {
    decoder: Option<PushDecoder>,
    pub(super) bytes: Vec<u8>,
    /// Where its last piece came.
    pub(super) at: u64,
}

impl Gathered {
    /// `None`: it cannot be decoded as it comes.
    pub(super) fn of(head: &[u8], is_decoded: bool) -> Option<Self> {
        let decoder = decoder_of(&Message::new(head), is_decoded)?;
        Some(Self { decoder, bytes: Vec::new(), at: 0 })
    }

    /// Adds a piece. Whether there was room for it in `max` bytes, and more can be read.
    pub(super) fn push(&mut self, piece: &[u8], at: u64, max: usize) -> bool {
        let Self { decoder, bytes, .. } = self;
        self.at = at;
        let mut add = |more: &[u8]| {
            let has_room = bytes.len() + more.len() <= max;
            if has_room {
                bytes.extend_from_slice(more);
            }
            has_room
        };
        match decoder {
            Some(decoder) => decoder.push(piece, add),
            None => add(piece),
        }
    }
}

/// Where the messages of a body lie, and whether they are the elements of a batch.
pub(super) fn messages_in(body: &[u8]) -> (Vec<Range<usize>>, bool) {
    if !jsonrpc::is_likely(body) {
        return (Vec::new(), false);
    }
    if jsonrpc::Message::parse(body).is_some() {
        return (std::iter::once(0..body.len()).collect(), false);
    }
    let elements = jsonrpc::batch(body).unwrap_or_default();
    if !elements.iter().any(|element| jsonrpc::Message::parse(element).is_some()) {
        return (Vec::new(), false);
    }
    // They are slices of it.
    let start = |element: &[u8]| element.as_ptr().addr() - body.as_ptr().addr();
    let places = elements.into_iter().map(|element| start(element)..start(element) + element.len());
    (places.collect(), true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_head_says_what_may_be_mcp() {
        let may = |head: &str| may_be_mcp(head.as_bytes());
        let (json, both) =
            ("content-type: application/json\r\n", "accept: application/json, Text/Event-Stream;q=1\r\n");
        assert!(may(&format!("POST http://x/mcp HTTP/1.1\r\n{json}{both}")));
        let apart = "accept: application/json\r\naccept: text/event-stream\r\n";
        assert!(may(&format!("POST http://x/mcp HTTP/1.1\r\n{json}{apart}")));
        assert!(may("POST mcp+stdio://files/tools/call\r\n"));
        for other in [
            format!("GET http://x/mcp HTTP/1.1\r\n{json}{both}"),
            format!("POST http://x/mcp HTTP/1.1\r\n{both}"),
            format!("POST http://x/v1/messages HTTP/1.1\r\n{json}accept: application/json\r\n"),
            format!("POST http://x/v1/messages HTTP/1.1\r\n{json}accept: */*\r\n"),
            "POST http://x/mcp+stdio://".into(),
            String::new(),
        ] {
            assert!(!may(&other), "{other}");
        }
    }

    proptest! {
        #[test]
        fn messages_lie_where_it_says(
            elements in prop::collection::vec(prop_oneof![
                3 => Just(r#"{"jsonrpc":"2.0","method":"a"}"#),
                1 => Just(r#"{"jsonrpc":"1.0"}"#),
                1 => Just("[1]"),
            ], 0..4),
            space in "[ \n]{0,2}",
            cut in 0_usize..200,
        ) {
            let is_message = |text: &str| text.contains("2.0");
            for (body, expected) in [
                (format!("{space}{}{space}", elements.first().unwrap_or(&"")), None),
                (format!("{space}[{space}{}{space}]", elements.join(&format!("{space},{space}"))), Some(&elements)),
            ] {
                let (places, is_batch) = messages_in(body.as_bytes());
                let found: Vec<&str> = places.iter().map(|place| body[place.clone()].trim()).collect();
                match expected {
                    Some(elements) if elements.iter().any(|one| is_message(one)) => {
                        prop_assert_eq!((&found, is_batch), (elements, true));
                    }
                    None if is_message(&body) => prop_assert_eq!((found, is_batch), (vec![body.trim()], false)),
                    _ => prop_assert!(found.is_empty()),
                }
                let cut = cut.min(body.trim_end().len().saturating_sub(1));
                prop_assert!(messages_in(&body.as_bytes()[..cut]).0.is_empty(), "half a body is none");
            }
        }
    }
}
