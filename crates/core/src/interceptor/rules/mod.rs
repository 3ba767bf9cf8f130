//! Rules of a file, as interceptors on the live path.
//!
//! ```text
//!  text (TOML) ──parse──► Rules, or every mistake with its line ──registry()──► live::Live, for each exchange that one matches
//! ```
//!
//! **A rule** says which exchanges it is for and what it does there: to heads, bodies and events, or in place of the whole exchange.
//! `docs/rules.md` is what users read. A rule does one thing to one set of events; whoever wants more writes more rules.
//!
//! **All mistakes at once.** The text is walked with the places of its parts, and what is wrong is gathered; nothing is guessed,
//! nothing unknown is passed over: a rule that silently does nothing is worse than none.
//!
//! **What a rule cannot do** is break the framing: fields that say where a message ends or that concern one connection are
//! refused here, and data that are JSON stay JSON (`text`): a replacement that would break them is an error of the rule, which
//! is then out of that exchange.
//!
//! **No transport.** A relay of messages reads the same files for itself ([`Rules::read_for_messages`]): its rules go by what a message
//! asks for, and have no headers. It asks [`live::Live::of_call`](super::live::Live::of_call).

mod actions;
mod check;
mod mistake;
mod parse;
mod reader;
#[cfg(test)]
mod tests;
mod text;

pub use mistake::{Mistake, Mistakes};

use super::hooks::Instead;
use super::registry::{Limits, Maker, Registration, Registry};
use super::rule::{Pattern, Rule as Exchanges};
use super::{HeaderChange, Interceptor};
use actions::Acting;
use std::sync::Arc;
use std::time::Duration;
use text::Replace;

/// A larger file is refused.
pub const MAX_FILE_BYTES: usize = 1 << 20;
/// More rules are refused.
pub const MAX_RULES: usize = 1000;
/// What a rule may make of a body or of an event's data.
pub const MAX_TEXT_BYTES: usize = 64 << 20;

/// The rules of a file.
#[derive(Debug)]
pub struct Rules(Vec<Arc<Rule>>);

/// A rule.
#[derive(Debug)]
pub struct Rule {
    name: String,
    order: i32,
    exchanges: Exchanges,
    instead: Option<Instead>,
    request: OfMessage,
    response: OfMessage,
    events: OfEvents,
}

/// What it does to a request or to a response.
#[derive(Debug, Default)]
struct OfMessage {
    headers: Vec<HeaderChange>,
    delay: Duration,
    replace: Vec<Replace>,
}

/// What it does to events.
#[derive(Debug, Default)]
struct OfEvents {
    /// Which; empty: all.
    kinds: Vec<Pattern>,
    drop: bool,
    delay: Duration,
    replace: Vec<Replace>,
}

impl Rules {
    /// Reads a file's text. `file` is what mistakes call it.
    pub fn parse(file: &str, text: &str) -> Result<Self, Mistakes> {
        Self::parse_for(file, text, false)
    }

    fn parse_for(file: &str, text: &str, is_for_messages: bool) -> Result<Self, Mistakes> {
        parse::rules(text, is_for_messages).map(Self).map_err(|list| Mistakes::new(file, text, list))
    }

    /// Reads a file's bytes.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self, Mistakes> {
        Self::read_for(file, bytes, false)
    }

    /// The same for a relay of messages: they are known by what they ask for, and have no headers.
    pub fn read_for_messages(file: &str, bytes: &[u8]) -> Result<Self, Mistakes> {
        Self::read_for(file, bytes, true)
    }

    fn read_for(file: &str, bytes: &[u8], is_for_messages: bool) -> Result<Self, Mistakes> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse_for(file, text, is_for_messages),
            Err(error) => {
                let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                let mistake =
                    Mistake::new(error.valid_up_to(), "", "this is no UTF-8; allowed: TOML, which is");
                Err(Mistakes::new(file, &good, vec![mistake]))
            }
        }
    }

    /// How many there are: one at least.
    #[allow(clippy::len_without_is_empty, reason = "they never are")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// What they are called, in the order in which they act.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|rule| rule.name.as_str())
    }

    /// As interceptors, for [`live::Live::of`](super::live::Live::of).
    pub fn registry(&self) -> Registry {
        let registry = Registry::default();
        for rule in &self.0 {
            let own = Arc::clone(rule);
            let make = move || -> Box<dyn Interceptor> { Box::new(Acting(Arc::clone(&own))) };
            registry.add(Registration {
                name: rule.name.clone(),
                order: rule.order,
                rule: rule.exchanges.clone(),
                scope: None,
                hooks: rule.hooks(),
                limits: Limits::default(),
                maker: Maker::Local(Box::new(make)),
            });
        }
        registry
    }
}
