//! Chat Completions, as `ChatCompletionStream` of `openai` accumulates them.
//!
//! Other than there: a choice without a role or a finish reason is shown as it is instead of thrown at, the reasoning that other
//! vendors stream in this shape (`reasoning_content`, `reasoning`) is joined and not its last piece, and tool calls whose
//! index leaves a gap follow each other.

use super::chat_events::{Chunk, Delta, ToolCallDelta};
use super::fields::Fields;
use super::made::{Effect, Made, Usage, count, string};
use super::text::{object, value};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Chat {
    fields: Fields,
    has_begun: bool,
    choices: BTreeMap<usize, Choice>,
    is_done: bool,
    error: Option<Value>,
}

#[derive(Debug, Default)]
struct Choice {
    finish_reason: Option<String>,
    logprobs: Option<Map<String, Value>>,
    fields: Fields,
    message: Message,
}

#[derive(Debug, Default)]
struct Message {
    role: Option<String>,
    content: Option<String>,
    refusal: Option<String>,
    /// Deltas that are joined though the SDK does not know them.
    reasoning: BTreeMap<&'static str, String>,
    audio: Map<String, Value>,
    function_call: Option<(String, String)>,
    tool_calls: BTreeMap<usize, ToolCall>,
    fields: Fields,
}

#[derive(Debug, Default)]
struct ToolCall {
    id: Option<String>,
    kind: Option<String>,
    function: Option<(String, String)>,
    fields: Fields,
}

impl Chat {
    pub(super) fn event(&mut self, json: &str) -> Effect {
        if json.starts_with("[DONE]") {
            self.is_done = true;
            return Effect::Other;
        }
        let Ok(chunk) = serde_json::from_str::<Chunk>(json) else { return Effect::Unread };
        if let Some(error) = chunk.error.and_then(value).filter(|error| !error.is_null()) {
            self.error = Some(error);
            return Effect::Other;
        }
        if !self.has_begun || chunk.has_id {
            self.has_begun = true;
            self.fields.assign(&chunk.rest);
        }
        let mut effect = Effect::Other;
        for part in chunk.choices {
            let Some(index) = part.index.0 else { continue };
            let choice = self.choices.entry(index).or_default();
            if let Some(logprobs) = object(part.logprobs) {
                choice.add_logprobs(logprobs);
            }
            if !part.finish_reason.get().is_empty() {
                choice.finish_reason = Some(part.finish_reason.get().to_owned());
            }
            choice.fields.assign(&part.rest);
            if choice.message.add(&part.delta) {
                effect = Effect::Token;
            }
        }
        effect
    }

    pub(super) fn finish(self) -> Made {
        let is_finished =
            !self.choices.is_empty() && self.choices.values().all(|c| c.finish_reason.is_some());
        let stop_reason = self.choices.values().find_map(|choice| choice.finish_reason.clone());
        let mut message = self.fields.into_map();
        let usage = message.get("usage").and_then(Value::as_object).and_then(usage);
        if self.has_begun {
            message.insert("object".into(), "chat.completion".into());
            let choices = self.choices.into_iter().map(|(index, choice)| choice.finish(index));
            message.insert("choices".into(), choices.collect());
            if matches!(message.get("system_fingerprint"), Some(Value::Null)) {
                message.shift_remove("system_fingerprint");
            }
        }
        Made {
            is_complete: self.is_done || is_finished,
            error: self.error,
            model: string(&message, "model"),
            stop_reason,
            usage,
            message: self.has_begun.then_some(message.into()),
        }
    }
}

impl Choice {
    fn add_logprobs(&mut self, new: Map<String, Value>) {
        let Some(known) = &mut self.logprobs else {
            self.logprobs = Some(new);
            return;
        };
        for (key, value) in new {
            match (known.get_mut(&key), value) {
                (Some(Value::Array(so_far)), Value::Array(more)) => so_far.extend(more),
                (Some(Value::Array(_)), Value::Null) => {}
                (_, value) => _ = known.insert(key, value),
            }
        }
    }

    fn finish(self, index: usize) -> Value {
        let mut choice = self.fields.into_map();
        choice.insert("index".into(), index.into());
        choice.insert("message".into(), self.message.finish());
        choice.insert("logprobs".into(), self.logprobs.into());
        choice.insert("finish_reason".into(), self.finish_reason.into());
        choice.into()
    }
}

impl Message {
    /// Whether that was something the model generated.
    fn add(&mut self, delta: &Delta) -> bool {
        let mut has_token = false;
        let texts = [(&delta.content, &mut self.content), (&delta.refusal, &mut self.refusal)];
        for (text, so_far) in texts.into_iter().filter(|(text, _)| !text.get().is_empty()) {
            so_far.get_or_insert_default().push_str(text.get());
            has_token = true;
        }
        for (name, text) in [("reasoning_content", &delta.reasoning_content), ("reasoning", &delta.reasoning)]
        {
            if !text.get().is_empty() {
                self.reasoning.entry(name).or_default().push_str(text.get());
                has_token = true;
            }
        }
        if !delta.role.get().is_empty() {
            self.role = Some(delta.role.get().to_owned());
        }
        self.fields.assign(&delta.rest);
        if let Some(audio) = object(delta.audio) {
            has_token = true;
            self.add_audio(audio);
        }
        if let Some(call) = &delta.function_call {
            let (name, arguments) = self.function_call.get_or_insert_default();
            replace(name, call.name.get());
            arguments.push_str(call.arguments.get());
            has_token = true;
        }
        for call in &delta.tool_calls {
            let Some(index) = call.index.0 else { continue };
            self.tool_calls.entry(index).or_default().add(call);
            has_token = true;
        }
        has_token
    }

    fn add_audio(&mut self, audio: Map<String, Value>) {
        for (key, value) in audio {
            match (key.as_str(), self.audio.get_mut(&key), value) {
                (_, _, Value::Null) => {}
                ("data" | "transcript", Some(Value::String(so_far)), Value::String(more)) => {
                    so_far.push_str(&more)
                }
                (_, _, value) => _ = self.audio.insert(key, value),
            }
        }
    }

    fn finish(self) -> Value {
        let mut message = Map::new();
        if let Some(role) = self.role {
            message.insert("role".into(), role.into());
        }
        message.insert("content".into(), self.content.into());
        message.insert("refusal".into(), self.refusal.into());
        if !self.audio.is_empty() {
            message.insert("audio".into(), self.audio.into());
        }
        if let Some((name, arguments)) = self.function_call {
            message.insert("function_call".into(), json!({ "name": name, "arguments": arguments }));
            return message.into();
        }
        if !self.tool_calls.is_empty() {
            let calls = self.tool_calls.into_values().map(ToolCall::finish);
            message.insert("tool_calls".into(), calls.collect());
        }
        message.extend(self.reasoning.into_iter().map(|(name, text)| (name.to_owned(), text.into())));
        message.extend(self.fields.into_map());
        message.into()
    }
}

impl ToolCall {
    fn add(&mut self, delta: &ToolCallDelta) {
        self.fields.assign(&delta.rest);
        for (known, new) in [(&mut self.id, &delta.id), (&mut self.kind, &delta.kind)] {
            if !new.get().is_empty() {
                *known = Some(new.get().to_owned());
            }
        }
        if let Some(function) = &delta.function {
            let (name, arguments) = self.function.get_or_insert_default();
            replace(name, function.name.get());
            arguments.push_str(function.arguments.get());
        }
    }

    fn finish(self) -> Value {
        let mut call = Map::new();
        if let Some(id) = self.id {
            call.insert("id".into(), id.into());
        }
        if let Some(kind) = self.kind {
            call.insert("type".into(), kind.into());
        }
        if let Some((name, arguments)) = self.function {
            call.insert("function".into(), json!({ "name": name, "arguments": arguments }));
        }
        call.extend(self.fields.into_map());
        call.into()
    }
}

fn replace(known: &mut String, new: &str) {
    if !new.is_empty() {
        new.clone_into(known);
    }
}

fn usage(usage: &Map<String, Value>) -> Option<Usage> {
    let cached = count(usage, &["prompt_tokens_details", "cached_tokens"]);
    Usage {
        input_tokens: count(usage, &["prompt_tokens"]).map(|all| all.saturating_sub(cached.unwrap_or(0))),
        cache_read_tokens: cached,
        cache_write_tokens: None,
        output_tokens: count(usage, &["completion_tokens"]),
        reasoning_tokens: count(usage, &["completion_tokens_details", "reasoning_tokens"]),
    }
    .if_any()
}
