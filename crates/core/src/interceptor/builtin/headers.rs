//! Sets, removes and renames recorded headers.

use crate::interceptor::{Failed, HeaderChange, Hooks, Interceptor, Message};

/// Rules for the recorded heads, applied in their order.
#[derive(Clone, Debug, Default)]
pub struct HeaderRules {
    /// For the request's.
    pub request: Vec<HeaderChange>,
    /// For the response's.
    pub response: Vec<HeaderChange>,
}

impl HeaderRules {
    /// The hooks that the rules need.
    pub fn hooks(&self) -> Hooks {
        Hooks { request: !self.request.is_empty(), response: !self.response.is_empty(), ..Hooks::NONE }
    }
}

impl Interceptor for HeaderRules {
    fn on_request(&mut self, request: &mut Message<'_>) -> Result<(), Failed> {
        self.request.iter().cloned().for_each(|change| request.change(change));
        Ok(())
    }

    fn on_response(&mut self, response: &mut Message<'_>) -> Result<(), Failed> {
        self.response.iter().cloned().for_each(|change| response.change(change));
        Ok(())
    }
}
