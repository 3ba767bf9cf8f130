//! A rule as an interceptor.

use super::Rule;
use super::text::Replace;
use crate::interceptor::hooks::{Body, Failed, Hooks, Interceptor, Message};
use crate::interceptor::{Event, EventBatch, Replacement, Verdict};
use crate::jsonrpc::{self, Kind, Message as Rpc};
use std::borrow::Cow;
use std::sync::Arc;

/// A rule in one exchange.
pub(super) struct Acting(pub Arc<Rule>);

impl Rule {
    /// What it has to be asked about.
    pub(super) fn hooks(&self) -> Hooks {
        let Self { request, response, events, instead, .. } = self;
        Hooks {
            request: instead.is_some() || !request.headers.is_empty() || !request.delay.is_zero(),
            response: !response.headers.is_empty() || !response.delay.is_zero(),
            request_body: !request.replace.is_empty(),
            response_body: !response.replace.is_empty(),
            events: events.drop || !events.delay.is_zero() || !events.replace.is_empty(),
            end: false,
        }
    }
}

impl Interceptor for Acting {
    fn on_request(&mut self, message: &mut Message<'_>) -> Result<(), Failed> {
        let Rule { request, instead, .. } = &*self.0;
        request.headers.iter().cloned().for_each(|change| message.change(change));
        if !request.delay.is_zero() {
            message.delay(request.delay);
        }
        if let Some(instead) = instead {
            message.answer(instead.clone());
        }
        Ok(())
    }

    fn on_response(&mut self, message: &mut Message<'_>) -> Result<(), Failed> {
        let response = &self.0.response;
        response.headers.iter().cloned().for_each(|change| message.change(change));
        if !response.delay.is_zero() {
            message.delay(response.delay);
        }
        Ok(())
    }

    fn on_body(&mut self, body: &mut Body<'_>) -> Result<(), Failed> {
        let of = if body.is_request { &self.0.request } else { &self.0.response };
        if let Some(text) = Replace::all(&of.replace, body.bytes)? {
            body.replace(text);
        }
        Ok(())
    }

    fn on_events(&mut self, batch: &mut EventBatch) -> Result<(), Failed> {
        let events = &self.0.events;
        for index in 0..batch.len() {
            let Some(event) = batch.get(index).filter(|event| self.is_for(event)) else { continue };
            if events.drop {
                batch.decide(index, Verdict::Drop);
                continue;
            }
            let text = Replace::all(&events.replace, event.data)
                .map_err(|Failed(why)| Failed(format!("event {}: {why}", event.number)))?;
            if let Some(data) = text {
                batch.decide(
                    index,
                    Verdict::Replace(Replacement { data: Some(data), ..Replacement::default() }),
                );
            }
            if !events.delay.is_zero() {
                batch.delay(index, events.delay);
            }
        }
        Ok(())
    }
}

impl Acting {
    fn is_for(&self, event: &Event<'_>) -> bool {
        let kind = if event.kind.is_empty() { b"message" } else { event.kind };
        let kinds = &self.0.events.kinds;
        let is_one = |kind: &[u8]| kinds.iter().any(|pattern| pattern.fits(kind));
        kinds.is_empty() || is_one(kind) || told_by(event).is_some_and(|method| is_one(method.as_bytes()))
    }
}

/// The method of the notification that an event of MCP is.
fn told_by<'e>(event: &Event<'e>) -> Option<Cow<'e, str>> {
    if !matches!(event.kind, b"" | b"message") || !jsonrpc::is_likely(event.data) {
        return None;
    }
    Rpc::parse(event.data).filter(|message| message.kind == Kind::Notification)?.method
}
