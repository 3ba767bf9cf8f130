//! One interceptor in the chain of one exchange: whether it still has a part, and calls that cannot bring others down.

use super::changes::Failure;
use super::hooks::{Failed, Interceptor};
use super::intake::Item;
use super::ledger::Side;
use super::measure::Totals;
use super::registry::{Maker, Registered};
use crate::clock::monotonic_nanos;
use crate::error::words_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// An interceptor in the chain of one exchange.
pub(super) struct Step {
    pub(super) one: Arc<Registered>,
    local: Option<Box<dyn Interceptor>>,
    pub(super) state: State,
}

/// Whether it still has a part.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    Active,
    Failed(String),
    Late,
    /// It was not for it, after all.
    Left,
}

impl Step {
    pub(super) fn new(one: Arc<Registered>, totals: &Totals) -> Self {
        let mut step = Self { one, local: None, state: State::Active };
        if let Maker::Local(make) = &step.one.maker {
            match catch_unwind(AssertUnwindSafe(make)) {
                Ok(interceptor) => step.local = Some(interceptor),
                Err(panic) => {
                    let reason = format!("panicked: {}", words_of(&*panic));
                    step.fail(reason, totals);
                }
            }
        }
        step
    }

    pub(super) fn wants(&self, item: &Item) -> bool {
        let hooks = self.one.hooks;
        self.state == State::Active
            && !self.one.is_removed()
            && match item {
                Item::Head(Side::Request, _) => hooks.request,
                Item::Head(Side::Response, _) => hooks.response,
                Item::Events(batch, _) => hooks.events && !batch.is_empty(),
                Item::End => hooks.end,
            }
    }

    /// Whether it runs here and still has a part.
    pub(super) fn is_active(&self) -> bool {
        self.state == State::Active && self.local.is_some() && !self.one.is_removed()
    }

    /// Whether what it wanted holds.
    pub(super) fn counts(&self) -> bool {
        matches!(self.state, State::Active | State::Late)
    }

    pub(super) fn failure(&self) -> Option<Failure> {
        let State::Failed(reason) = &self.state else { return None };
        Some(Failure { by: self.one.name.clone(), reason: reason.clone() })
    }

    /// Whether it went well.
    pub(super) fn call(
        &mut self,
        totals: &Totals,
        act: impl FnOnce(&mut dyn Interceptor) -> Result<(), Failed>,
    ) -> bool {
        let Some(interceptor) = self.local.as_deref_mut() else { return false };
        let begun = monotonic_nanos();
        let result = catch_unwind(AssertUnwindSafe(|| act(interceptor)));
        self.one.meter.called(monotonic_nanos() - begun);
        let reason = match result {
            Ok(Ok(())) => return true,
            Ok(Err(Failed(reason))) => reason,
            Err(panic) => format!("panicked: {}", words_of(&*panic)),
        };
        self.fail(reason, totals);
        false
    }

    pub(super) fn fail(&mut self, reason: String, totals: &Totals) {
        self.state = State::Failed(reason);
        self.one.meter.errors.add(1);
        totals.errors.add(1);
        self.drop_local();
    }

    fn drop_local(&mut self) {
        if let Some(interceptor) = self.local.take() {
            // Its state may be anything by now, and its end is user code as well.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(interceptor)));
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        self.drop_local();
    }
}
