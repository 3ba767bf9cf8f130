//! The Converse stream of Amazon Bedrock. The AWS SDK hands its events on one by one, so the message is made as the answer of
//! `Converse` without a stream is: `output.message`, `stopReason`, `usage`, `metrics`.

use super::made::{Effect, Made, Usage, count, string};
use super::partial_json;
use super::text::{Index, Text, object, value};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Event<'a> {
    content_block_index: Index,
    #[serde(borrow)]
    role: Text<'a>,
    #[serde(borrow)]
    start: Start<'a>,
    #[serde(borrow)]
    delta: Delta<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Start<'a> {
    #[serde(borrow)]
    tool_use: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Delta<'a> {
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    tool_use: ToolUse<'a>,
    #[serde(borrow)]
    reasoning_content: Reasoning<'a>,
    #[serde(borrow)]
    citation: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ToolUse<'a> {
    #[serde(borrow)]
    input: Text<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Reasoning<'a> {
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    signature: Text<'a>,
    #[serde(borrow)]
    redacted_content: Text<'a>,
}

#[derive(Debug, Default)]
struct Block {
    tool: Option<Map<String, Value>>,
    input: String,
    text: String,
    reasoning: String,
    signature: Option<String>,
    redacted: Option<String>,
    citations: Vec<Value>,
}

#[derive(Debug, Default)]
pub(super) struct Converse {
    role: Option<String>,
    blocks: BTreeMap<usize, Block>,
    /// What `messageStop` and `metadata` say, as it will stand in the answer.
    rest: Map<String, Value>,
    is_complete: bool,
}

impl Converse {
    /// Whether Converse has events of that name.
    pub(super) fn knows(kind: &str) -> bool {
        let names = [
            "messageStart",
            "contentBlockStart",
            "contentBlockDelta",
            "contentBlockStop",
            "messageStop",
            "metadata",
        ];
        names.contains(&kind)
    }

    /// An event and the name that stands in its frame.
    pub(super) fn event(&mut self, kind: &str, json: &str) -> Effect {
        if let "messageStop" | "metadata" = kind {
            let Ok(fields) = serde_json::from_str::<Map<String, Value>>(json) else { return Effect::Unread };
            self.is_complete |= kind == "messageStop";
            // `p` is padding against guessing the length of tokens.
            self.rest.extend(fields.into_iter().filter(|(name, _)| name != "p"));
            return Effect::Other;
        }
        let Ok(event) = serde_json::from_str::<Event>(json) else { return Effect::Unread };
        match (kind, event.content_block_index.0) {
            ("messageStart", _) => {
                self.role = event.role.0.map(|role| role.into_owned());
                Effect::Other
            }
            ("contentBlockStart", Some(index)) => {
                self.blocks.entry(index).or_default().tool = object(event.start.tool_use);
                Effect::Other
            }
            ("contentBlockDelta", Some(index)) => self.blocks.entry(index).or_default().add(&event.delta),
            _ => Effect::Other,
        }
    }

    pub(super) fn finish(self) -> Made {
        let has_begun = self.role.is_some() || !self.blocks.is_empty() || !self.rest.is_empty();
        let content: Vec<Value> = self.blocks.into_values().filter_map(Block::finish).collect();
        let mut message = Map::new();
        let role = self.role.unwrap_or_else(|| "assistant".into());
        message.insert("output".into(), json!({ "message": { "role": role, "content": content } }));
        message.extend(self.rest);
        Made {
            is_complete: self.is_complete,
            error: None,
            model: None,
            stop_reason: string(&message, "stopReason"),
            usage: message.get("usage").and_then(Value::as_object).and_then(usage),
            message: has_begun.then_some(message.into()),
        }
    }
}

impl Block {
    fn add(&mut self, delta: &Delta) -> Effect {
        let texts = [
            (&mut self.text, &delta.text),
            (&mut self.input, &delta.tool_use.input),
            (&mut self.reasoning, &delta.reasoning_content.text),
        ];
        let mut effect = Effect::Other;
        for (so_far, text) in texts.into_iter().filter(|(_, text)| !text.get().is_empty()) {
            so_far.push_str(text.get());
            effect = Effect::Token;
        }
        let reasoning = [
            (&mut self.signature, &delta.reasoning_content.signature),
            (&mut self.redacted, &delta.reasoning_content.redacted_content),
        ];
        for (so_far, text) in reasoning {
            if let Some(text) = &text.0 {
                so_far.get_or_insert_default().push_str(text);
            }
        }
        self.citations.extend(delta.citation.and_then(value));
        effect
    }

    fn finish(self) -> Option<Value> {
        if let Some(mut tool) = self.tool {
            let input =
                if self.input.is_empty() { Some(json!({})) } else { partial_json::parse(&self.input) };
            tool.insert("input".into(), input.unwrap_or_else(|| self.input.into()));
            return Some(json!({ "toolUse": tool }));
        }
        if let Some(redacted) = self.redacted {
            return Some(json!({ "reasoningContent": { "redactedContent": redacted } }));
        }
        if !self.reasoning.is_empty() || self.signature.is_some() {
            let mut text = Map::new();
            text.insert("text".into(), self.reasoning.into());
            if let Some(signature) = self.signature {
                text.insert("signature".into(), signature.into());
            }
            return Some(json!({ "reasoningContent": { "reasoningText": text } }));
        }
        if !self.citations.is_empty() {
            let content = [json!({ "text": self.text })];
            return Some(json!({ "citationsContent": { "content": content, "citations": self.citations } }));
        }
        Some(json!({ "text": self.text }))
    }
}

fn usage(usage: &Map<String, Value>) -> Option<Usage> {
    Usage {
        input_tokens: count(usage, &["inputTokens"]),
        cache_read_tokens: count(usage, &["cacheReadInputTokens"]),
        cache_write_tokens: count(usage, &["cacheWriteInputTokens"]),
        output_tokens: count(usage, &["outputTokens"]),
        reasoning_tokens: None,
    }
    .if_any()
}
