//! Messages of Anthropic, as `MessageStream` of `@anthropic-ai/sdk` (its beta too) accumulates them. The same events come from
//! Vertex AI, and from Bedrock in frames.
//!
//! Other than there: what the SDK throws at is passed over, and tool input that is no JSON at all stays a string.

use super::made::{Effect, Made, Usage, count, string};
use super::partial_json;
use super::run::Run;
use super::text::{Index, Text, object, value};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// How nearly all events of a stream begin. Those are read in one go.
const DELTA: &str = "{\"type\":\"content_block_delta\",";

#[derive(Default, Deserialize)]
#[serde(default)]
struct DeltaEvent<'a> {
    index: Index,
    #[serde(borrow)]
    delta: Delta<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    thinking: Text<'a>,
    #[serde(borrow)]
    partial_json: Text<'a>,
    #[serde(borrow)]
    signature: Text<'a>,
    #[serde(borrow)]
    citation: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    encrypted_content: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AnyEvent<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    index: Index,
    #[serde(borrow)]
    delta: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    content_block: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    context_management: Option<&'a RawValue>,
    #[serde(borrow)]
    input_transformations: Option<&'a RawValue>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Text,
    Thinking,
    Input,
}

#[derive(Debug, Default)]
struct Block {
    value: Map<String, Value>,
    /// The JSON of a tool's input so far.
    input: Option<String>,
}

impl Block {
    fn is(&self, kind: &str) -> bool {
        self.value.get("type").is_some_and(|value| value == kind)
    }
}

/// Usage that a `message_delta` gives for the whole message. It is left out where it does not apply.
const TOTALS: [&str; 7] = [
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "server_tool_use",
    "output_tokens_details",
    "iterations",
    "fallback_credit",
];

#[derive(Debug, Default)]
pub(super) struct Anthropic {
    message: Map<String, Value>,
    blocks: Vec<Block>,
    run: Run<(usize, Part)>,
    is_complete: bool,
    error: Option<Value>,
}

impl Anthropic {
    pub(super) fn event(&mut self, json: &str) -> Effect {
        if json.starts_with(DELTA)
            && let Ok(event) = serde_json::from_str::<DeltaEvent>(json)
        {
            return self.delta(event.index, &event.delta);
        }
        let Ok(event) = serde_json::from_str::<AnyEvent>(json) else { return Effect::Unread };
        if event.kind.get() == "content_block_delta" {
            let delta = event.delta.and_then(|raw| serde_json::from_str(raw.get()).ok());
            return delta.map_or(Effect::Unread, |delta| self.delta(event.index, &delta));
        }
        self.end_run();
        match event.kind.get() {
            "message_start" if self.message.is_empty() => self.start(object(event.message)),
            "content_block_start" => self.start_block(object(event.content_block).unwrap_or_default()),
            "message_delta" => self.message_delta(&event),
            "message_stop" => self.is_complete = true,
            "error" => self.error = event.error.and_then(value).or(self.error.take()),
            _ => {}
        }
        Effect::Other
    }

    fn start(&mut self, message: Option<Map<String, Value>>) {
        self.message = message.unwrap_or_default();
        if let Some(Value::Array(content)) = self.message.get_mut("content") {
            let blocks = std::mem::take(content);
            self.blocks.extend(blocks.into_iter().filter_map(|block| match block {
                Value::Object(value) => Some(Block { value, input: None }),
                _ => None,
            }));
        }
    }

    fn start_block(&mut self, value: Map<String, Value>) {
        let block = Block { value, input: None };
        // The last of these blocks names the model that answered instead.
        let instead = block.value.get("to").and_then(|to| to.get("model"));
        if block.is("fallback")
            && let Some(model) = instead
        {
            self.message.insert("model".into(), model.clone());
        }
        self.blocks.push(block);
    }

    fn delta(&mut self, index: Index, delta: &Delta) -> Effect {
        let Some(index) = index.0 else { return Effect::Other };
        let (part, text) = match delta.kind.get() {
            "text_delta" => (Part::Text, delta.text.get()),
            "thinking_delta" => (Part::Thinking, delta.thinking.get()),
            "input_json_delta" => (Part::Input, delta.partial_json.get()),
            _ => {
                self.end_run();
                self.rare_delta(index, delta);
                return Effect::Other;
            }
        };
        if let Some((place, text)) = self.run.add((index, part), text) {
            self.put(place, &text);
        }
        Effect::of_delta(text)
    }

    /// Deltas that replace something or add to a list.
    fn rare_delta(&mut self, index: usize, delta: &Delta) -> Option<()> {
        let block = self.blocks.get_mut(index)?;
        match delta.kind.get() {
            "signature_delta" if block.is("thinking") => {
                block.value.insert("signature".into(), delta.signature.0.as_deref()?.into());
            }
            "citations_delta" if block.is("text") => {
                let citation = value(delta.citation?)?;
                match block.value.get_mut("citations") {
                    Some(Value::Array(citations)) => citations.push(citation),
                    _ => {
                        block.value.insert("citations".into(), vec![citation].into());
                    }
                }
            }
            "compaction_delta" if block.is("compaction") => {
                block.value.insert("content".into(), delta.content.and_then(value).unwrap_or_default());
                if let Some(encrypted) = delta.encrypted_content.and_then(value) {
                    block.value.insert("encrypted_content".into(), encrypted);
                }
            }
            _ => {}
        }
        Some(())
    }

    fn end_run(&mut self) {
        if let Some((place, text)) = self.run.take() {
            self.put(place, &text);
        }
    }

    fn put(&mut self, (index, part): (usize, Part), text: &str) -> Option<()> {
        let block = self.blocks.get_mut(index)?;
        let key = match part {
            Part::Text if block.is("text") => "text",
            Part::Thinking if block.is("thinking") => "thinking",
            Part::Input
                if ["tool_use", "server_tool_use", "mcp_tool_use"].iter().any(|kind| block.is(kind)) =>
            {
                block.input.get_or_insert_default().push_str(text);
                return Some(());
            }
            _ => return None,
        };
        match block.value.get_mut(key) {
            Some(Value::String(so_far)) => so_far.push_str(text),
            _ => {
                block.value.insert(key.into(), text.into());
            }
        }
        Some(())
    }

    fn message_delta(&mut self, event: &AnyEvent) {
        let mut delta = object(event.delta).unwrap_or_default();
        for key in ["stop_reason", "stop_sequence", "stop_details"] {
            match delta.shift_remove(key) {
                Some(value) => self.message.insert(key.into(), value),
                None => self.message.shift_remove(key),
            };
        }
        let of_event = [
            ("container", delta.shift_remove("container")),
            ("context_management", event.context_management.and_then(value)),
            ("input_transformations", event.input_transformations.and_then(value)),
        ];
        for (key, value) in of_event {
            if let Some(value) = value.filter(|value| !value.is_null()) {
                self.message.insert(key.into(), value);
            }
        }
        let Some(mut totals) = object(event.usage) else { return };
        let usage = self.message.entry("usage").or_insert_with(|| Map::new().into());
        let Value::Object(usage) = usage else { return };
        if let Some(output) = totals.shift_remove("output_tokens") {
            usage.insert("output_tokens".into(), output);
        }
        for key in TOTALS {
            if let Some(total) = totals.shift_remove(key).filter(|total| !total.is_null()) {
                usage.insert(key.into(), total);
            }
        }
    }

    pub(super) fn finish(mut self) -> Made {
        self.end_run();
        let blocks = self.blocks.into_iter().map(|Block { mut value, input }| {
            match input.as_deref() {
                None => {}
                Some("") => _ = value.insert("input".into(), Map::new().into()),
                Some(json) => {
                    let input = partial_json::parse(json).unwrap_or_else(|| json.into());
                    value.insert("input".into(), input);
                }
            }
            Value::Object(value)
        });
        let content: Vec<Value> = blocks.collect();
        let mut message = self.message;
        if !(message.is_empty() && content.is_empty()) {
            message.insert("content".into(), content.into());
        }
        Made {
            is_complete: self.is_complete,
            error: self.error,
            model: string(&message, "model"),
            stop_reason: string(&message, "stop_reason"),
            usage: usage(&message),
            message: (!message.is_empty()).then_some(message.into()),
        }
    }
}

fn usage(message: &Map<String, Value>) -> Option<Usage> {
    let usage = message.get("usage")?.as_object()?;
    Usage {
        input_tokens: count(usage, &["input_tokens"]),
        cache_read_tokens: count(usage, &["cache_read_input_tokens"]),
        cache_write_tokens: count(usage, &["cache_creation_input_tokens"]),
        output_tokens: count(usage, &["output_tokens"]),
        reasoning_tokens: count(usage, &["output_tokens_details", "thinking_tokens"]),
    }
    .if_any()
}
