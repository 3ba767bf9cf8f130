//! What an accumulator tells of an event, and what it makes of all of them.

use serde::Serialize;
use serde_json::{Map, Value};

/// What an event was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It carries a piece of what the model generated.
    Token,
    /// Anything else: a frame of the message, a ping, something unknown.
    Other,
    /// Its data is not JSON.
    Unread,
}

impl Effect {
    /// Of a delta: the first ones are often empty.
    pub(super) fn of_delta(delta: &str) -> Self {
        if delta.is_empty() { Self::Other } else { Self::Token }
    }
}

/// A message and what there is to say of it.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) message: Option<Value>,
    /// The provider said that this is all of it.
    pub(super) is_complete: bool,
    pub(super) error: Option<Value>,
    pub(super) model: Option<String>,
    pub(super) stop_reason: Option<String>,
    pub(super) usage: Option<Usage>,
}

/// Tokens, in the same words for all providers. What a provider does not tell is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Of the prompt, without those below: prompts of all providers add up alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Of the prompt, read from a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read_tokens: Option<u64>,
    /// Of the prompt, written to a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Generated, reasoning included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Of these, reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
}

impl Usage {
    /// `None` if nothing is known.
    pub(super) fn if_any(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

/// A number of tokens at a path of keys.
pub(super) fn count(of: &Map<String, Value>, path: &[&str]) -> Option<u64> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(of.get(*first)?, |value, key| value.get(key))?.as_u64()
}

/// A string under a key.
pub(super) fn string(of: &Map<String, Value>, key: &str) -> Option<String> {
    of.get(key)?.as_str().map(str::to_owned)
}
