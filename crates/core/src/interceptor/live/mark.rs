//! What one interceptor has done to an exchange.

use crate::interceptor::hooks::Instead;
use serde::Serialize;
use std::time::Duration;

/// What stands for the error of a JSON-RPC request, which has no status.
const REFUSED: u16 = 403;

/// A part of `trace.rules` (`docs/format.md`). What is 0 or absent did not happen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mark {
    name: String,
    /// The status of the answer that was given in the upstream's place.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered: Option<u16>,
    /// The client's connection was broken off.
    #[serde(skip_serializing_if = "is_false")]
    aborted: bool,
    /// Of all waits together.
    #[serde(skip_serializing_if = "is_zero")]
    delayed_ms: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    bodies: Vec<&'static str>,
    /// Events.
    #[serde(skip_serializing_if = "is_zero")]
    replaced: u64,
    #[serde(skip_serializing_if = "is_zero")]
    dropped: u64,
    /// Events that it was not given: they are too large.
    #[serde(skip_serializing_if = "is_zero")]
    passed: u64,
    /// What it was not given, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unread: Vec<String>,
    /// Why it is out of the exchange.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<String>,
    /// What is less than a millisecond of `delayed_ms`.
    #[serde(skip)]
    delayed: Duration,
}

impl Mark {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Whether there is anything to say.
    pub fn has_acted(&self) -> bool {
        *self != Self::new(&self.name)
    }

    pub(super) fn delayed(&mut self, wait: Duration) {
        self.delayed = self.delayed.saturating_add(wait);
        self.delayed_ms = u64::try_from(self.delayed.as_millis()).unwrap_or(u64::MAX);
    }

    pub(super) fn instead(&mut self, instead: &Instead) {
        match instead {
            Instead::Answer(reply) => self.answered = Some(reply.status),
            Instead::Refuse(_) => self.answered = Some(REFUSED),
            Instead::Abort => self.aborted = true,
        }
    }

    pub(super) fn head(&mut self, is_request: bool) {
        self.headers.push(side(is_request));
    }

    pub(super) fn body(&mut self, is_request: bool) {
        self.bodies.push(side(is_request));
    }

    pub(super) fn event(&mut self, is_left_out: bool) {
        *if is_left_out { &mut self.dropped } else { &mut self.replaced } += 1;
    }

    pub(super) fn passed(&mut self, events: u64) {
        self.passed += events;
    }

    pub(super) fn unread(&mut self, is_request: bool, why: &str) {
        self.unread.push(format!("{}: {why}", side(is_request)));
    }

    pub(super) fn failed(&mut self, reason: &str) {
        self.failed = Some(reason.to_owned());
    }
}

fn side(is_request: bool) -> &'static str {
    if is_request { "request" } else { "response" }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn is_false(flag: &bool) -> bool {
    !flag
}
