//! Counts the messages of MCP, by kind and by what is asked for, for whoever wants numbers of a server.

use crate::interceptor::measure::{Distribution, Spread};
use crate::interceptor::{End, EventBatch, Failed, Interceptor};
use crate::jsonrpc::{Kind, Message};
use crate::stats::Counter;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// So many methods, and tools, are told apart; the rest is one.
const MAX_ASKED: usize = 256;
/// What a longer name is cut to.
const MAX_NAME: usize = 128;

/// What is asked for: a method, and the tool that `tools/call` names. Both empty: whatever there was no room for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "that is it")]
pub struct Asked {
    pub method: String,
    pub tool: Option<String>,
}

/// Numbers of all messages together.
#[derive(Debug, Default)]
pub struct MessageMetrics {
    /// Requests.
    pub requests: Counter,
    /// Notifications, progress among them.
    pub notifications: Counter,
    /// Responses, errors among them.
    pub responses: Counter,
    /// Errors.
    pub errors: Counter,
    /// Bytes of all of them.
    pub bytes: Counter,
    asked: Mutex<BTreeMap<Asked, Arc<Answers>>>,
}

#[derive(Debug, Default)]
struct Answers {
    requests: Counter,
    errors: Counter,
    unanswered: Counter,
    took_ns: Distribution,
}

/// What one method, or tool, has come to.
#[derive(Clone, Debug, PartialEq)]
pub struct OfMethod {
    /// What it is.
    pub asked: Asked,
    /// How often it was asked for.
    pub requests: u64,
    /// Of these, how many were answered with an error.
    pub errors: u64,
    /// And how many were not answered in their exchange.
    pub unanswered: u64,
    /// Milliseconds from the request to the end of its exchange, of those that were answered.
    pub took_ms: Spread,
}

impl MessageMetrics {
    /// Of each method, or tool, by name.
    pub fn methods(&self) -> Vec<OfMethod> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(asked, answers): (&Asked, &Arc<Answers>)| OfMethod {
            asked: asked.clone(),
            requests: answers.requests.get(),
            errors: answers.errors.get(),
            unanswered: answers.unanswered.get(),
            took_ms: answers.took_ns.spread(1e6),
        };
        asked.iter().map(of).collect()
    }

    fn of(&self, message: &Message<'_>) -> Arc<Answers> {
        let name = |text: &str| text.chars().take(MAX_NAME).collect();
        let key = Asked {
            method: message.method.as_deref().map_or_else(String::new, name),
            tool: message.tool().map(|tool| name(&tool)),
        };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = asked.len() >= MAX_ASKED && !asked.contains_key(&key);
        Arc::clone(asked.entry(if is_full { Asked::default() } else { key }).or_default())
    }
}

/// Counts into [`MessageMetrics`].
#[derive(Debug, Default)]
pub struct Messages {
    into: Arc<MessageMetrics>,
    /// What the request asked for: of a batch, nothing.
    asked: Option<Arc<Answers>>,
    /// Whether the answer was an error, once it is there.
    is_error: Option<bool>,
}

impl Messages {
    /// One that counts there.
    pub fn new(into: Arc<MessageMetrics>) -> Self {
        Self { into, ..Self::default() }
    }
}

impl Interceptor for Messages {
    fn on_events(&mut self, batch: &mut EventBatch) -> Result<(), Failed> {
        let is_alone = batch.len() == 1;
        for event in batch.iter() {
            let Some(message) = Message::parse(event.data) else { continue };
            let into = &*self.into;
            into.bytes.add(event.data.len() as u64);
            match message.kind {
                Kind::Request => {
                    into.requests.add(1);
                    if batch.is_of_request() && is_alone {
                        self.asked.insert(into.of(&message)).requests.add(1);
                    }
                }
                Kind::Notification => into.notifications.add(1),
                Kind::Response => {
                    into.responses.add(1);
                    let is_error = message.error().is_some();
                    into.errors.add(u64::from(is_error));
                    if !batch.is_of_request() {
                        self.is_error.get_or_insert(is_error);
                    }
                }
            }
        }
        Ok(())
    }

    fn on_end(&mut self, end: &mut End<'_>) -> Result<(), Failed> {
        let Some(asked) = self.asked.take() else { return Ok(()) };
        match self.is_error {
            None => asked.unanswered.add(1),
            Some(is_error) => {
                asked.errors.add(u64::from(is_error));
                asked.took_ns.record(end.times.1.saturating_sub(end.times.0));
            }
        }
        Ok(())
    }
}
