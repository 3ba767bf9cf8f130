//! The `derived` object: what a stream of events comes to, for those who want it in the log.

use super::{Message, Streamed};
use crate::exchange::Exchange;
use crate::head::RequestHead;
use crate::message::{Hints, Stream};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What stands there where deriving failed: that is our bug, and costs the record nothing else.
const FAILED: &[u8] = b"{\"v\":1,\"failed\":true}";

/// The object as JSON; `None`: the response is no stream of events.
pub(super) fn of(exchange: &Exchange, response: &Message, streamed: Option<&Streamed>) -> Option<Vec<u8>> {
    catch_unwind(AssertUnwindSafe(|| derive(exchange, response, streamed)))
        .unwrap_or_else(|_| Some(FAILED.to_vec()))
}

fn derive(exchange: &Exchange, response: &Message, streamed: Option<&Streamed>) -> Option<Vec<u8>> {
    let head = RequestHead::parse(exchange.request_head);
    let mut stream = Stream::of(&Hints { content_type: &response.content_type, url: head.line.target })?;
    if let Some(Streamed { replayed, .. }) = streamed {
        stream.pass_over(replayed.clone());
    }
    let chunks = exchange.response.as_ref().map_or(&[][..], |response| &response.chunks);
    let came_at = |index: usize| chunks.get(index).map(|chunk| chunk.at.saturating_sub(exchange.started_at));
    stream.begin(came_at(0));
    response.body.as_it_came(|bytes, index| stream.push(bytes, came_at(index)));
    serde_json::to_vec(&stream.finish()).ok()
}
