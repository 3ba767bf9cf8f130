//! What a request of MCP over HTTP asks for: rules may go by that, as they do on standard streams.
//!
//! **Its body is gathered first**, on record (`coming`), and who is on its way is known then. A batch is one body: rules that one of its
//! messages fits act on all of it, and if one is blocked, all of it is: nothing that a rule blocks gets out beside what it does not.
//!
//! **What cannot be read** (a body over [`super::MAX_BODY_BYTES`], no text, an encoding that cannot be undone) passes without those who
//! go by messages, and the mark says so. What is no JSON-RPC is nothing to them.

use super::coming::{Came, Coming};
use super::{Aborted, Gathered, whole};
use crate::mcp::BLOCKED;
use crate::proxy::forward::OfConnection;
use claude_trace_core::interceptor::live::Live;
use claude_trace_core::interceptor::{Call, Registry, Reply};
use claude_trace_core::jsonrpc::{self, Id, Kind, Message};
use http::header::CONTENT_ENCODING;
use http::{HeaderValue, request};
use hyper::body::Incoming;
use std::sync::Arc;

/// Who is on the way of a request, as far as its head says.
pub enum Matched {
    /// These.
    Live(Live),
    /// That depends on what it asks for.
    Asks(Arc<Registry>),
}

/// A request's body.
pub enum Held {
    /// Of which nothing was read.
    Not(Came, Incoming),
    Gathered(Coming, Gathered<Incoming>),
}

/// The requests of JSON-RPC that a body carries.
#[derive(Default)]
pub struct Calls {
    /// As they are spelled.
    ids: Vec<String>,
    is_batch: bool,
}

impl Matched {
    /// Those for a request for `url` (absolute).
    pub fn of(registry: &Arc<Registry>, method: &[u8], url: &[u8]) -> Option<Self> {
        // Messages are sent by POST alone.
        if method == b"POST" && registry.asks(method, url) {
            return Some(Self::Asks(Arc::clone(registry)));
        }
        Live::of(registry, method, url).map(Self::Live)
    }

    /// Those who are on its way after all, what it asks for, and its body.
    pub async fn settle(
        self,
        of: &OfConnection,
        came: Came,
        parts: &request::Parts,
        body: Incoming,
        is_upgrade: bool,
    ) -> Result<(Live, Calls, Held), Aborted> {
        let registry = match self {
            Self::Live(live) => return Ok((live, Calls::default(), Held::Not(came, body))),
            Self::Asks(registry) => registry,
        };
        let (method, url) = (parts.method.as_str().as_bytes(), parts.uri.to_string());
        let unread = |why: &str| Live::of_unread(&registry, method, url.as_bytes(), why);
        if is_upgrade || http_body::Body::is_end_stream(&body) {
            let live = Live::of_calls(&registry, method, url.as_bytes(), &[]).unwrap_or_default();
            return Ok((live, Calls::default(), Held::Not(came, body)));
        }
        if let Some(why) = whole::why_no_text(&parts.headers) {
            return Ok((unread(&why), Calls::default(), Held::Not(came, body)));
        }
        let (coming, gathered) = came.gather(of.forward(), parts.uri.path(), body).await?;
        let encoding = parts.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes).unwrap_or_default();
        let whole = gathered.whole().map_err(Option::unwrap_or_default);
        let text = match &whole {
            Ok(bytes) => whole::decoded(encoding, bytes),
            Err(why) => Err((*why).to_owned()),
        };
        let (live, calls) = match text {
            Ok(text) => Calls::read(&registry, method, url.as_bytes(), &text),
            Err(why) => (unread(&why), Calls::default()),
        };
        Ok((live, calls, Held::Gathered(coming, gathered)))
    }
}

impl Calls {
    /// What a body carries, and who is on the way of that.
    pub fn read(registry: &Registry, method: &[u8], url: &[u8], text: &[u8]) -> (Live, Self) {
        let elements = if jsonrpc::is_likely(text) { jsonrpc::batch(text) } else { None };
        let is_batch = elements.is_some();
        let texts = elements.unwrap_or_else(|| vec![text]);
        let messages: Vec<_> = texts.into_iter().filter_map(Message::parse).collect();
        let tools: Vec<_> = messages.iter().map(Message::tool).collect();
        let asking = messages.iter().zip(&tools);
        let calls: Vec<_> = asking
            .filter_map(|(message, tool)| {
                let method = message.method.as_deref().filter(|_| message.kind != Kind::Response)?;
                Some(Call { method, tool: tool.as_deref() })
            })
            .collect();
        let live = Live::of_calls(registry, method, url, &calls).unwrap_or_default();
        let requests = messages.iter().filter(|message| message.kind == Kind::Request);
        let ids = requests.filter_map(|message| message.id.map(str::to_owned)).collect();
        (live, Self { ids, is_batch })
    }

    /// The ids of those that will be answered.
    pub fn asked(&self) -> Vec<Id> {
        self.ids.iter().filter_map(|id| Id::parse(id)).collect()
    }

    /// What they get that are blocked: errors. What wants no answer is accepted, as Streamable HTTP says.
    pub fn refused(&self, words: &str) -> Reply {
        if self.ids.is_empty() {
            return Reply { status: 202, headers: Vec::new(), body: Vec::new() };
        }
        let errors: Vec<_> = self.ids.iter().map(|id| jsonrpc::error(id, BLOCKED, words)).collect();
        let errors = errors.join(&b',');
        let body = if self.is_batch { [&b"["[..], &errors, b"]"].concat() } else { errors };
        Reply { status: 200, headers: vec![("content-type".into(), "application/json".into())], body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use claude_trace_core::interceptor::rules::Rules;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(text: &[u8]) -> Calls {
        let rules = "[[rule]]\nname = \"x\"\nmatch.tool = \"*\"\nblock = {}\n";
        let rules = Rules::parse("x", rules).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        Calls::read(&rules.registry(), b"POST", b"http://x/", text).1
    }

    proptest! {
        /// Whatever the ids, and whatever else there is: those that ask are answered under their own ids.
        #[test]
        fn each_request_gets_its_error(
            ids in prop::collection::vec(prop_oneof![any::<i32>().prop_map(Value::from), "\\PC{0,5}".prop_map(Value::from)], 0..6),
            words in "\\PC{0,9}",
        ) {
            let asks = ids.iter().map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": "ping" }));
            let tells = json!({ "jsonrpc": "2.0", "method": "notifications/x" });
            let answers = json!({ "jsonrpc": "2.0", "id": 1, "result": 1 });
            let all: Vec<_> = asks.chain([tells, answers, json!(7)]).collect();
            let reply = read(json!(all).to_string().as_bytes()).refused(&words);
            prop_assert_eq!(reply.status, if ids.is_empty() { 202 } else { 200 });
            if !ids.is_empty() {
                let answer: Vec<Value> = serde_json::from_slice(&reply.body).unwrap();
                let answered: Vec<_> = answer.iter().map(|error| error["id"].clone()).collect();
                prop_assert_eq!(answered, ids);
                prop_assert!(answer.iter().all(|error| error["error"]["message"] == words));
            }
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = read(&bytes).refused("");
        }
    }
}
