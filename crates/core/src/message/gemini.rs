//! `streamGenerateContent` of Gemini, on Vertex AI and elsewhere: each event is a whole `GenerateContentResponse` with the next
//! parts. The message is what `generateContent` would have answered: texts that follow each other joined, of all else the last.

use super::made::{Effect, Made, Usage, count, string};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct Gemini {
    /// All but the candidates.
    response: Map<String, Value>,
    candidates: BTreeMap<u64, Candidate>,
    error: Option<Value>,
}

#[derive(Debug, Default)]
struct Candidate {
    /// All but the content.
    fields: Map<String, Value>,
    role: Option<Value>,
    parts: Vec<Value>,
}

impl Gemini {
    pub(super) fn event(&mut self, json: &str) -> Effect {
        let Ok(chunk) = serde_json::from_str::<Map<String, Value>>(json) else { return Effect::Unread };
        let mut effect = Effect::Other;
        for (name, value) in chunk {
            match (name.as_str(), value) {
                ("candidates", Value::Array(candidates)) => {
                    for candidate in candidates {
                        let Value::Object(candidate) = candidate else { continue };
                        let index = candidate.get("index").and_then(Value::as_u64).unwrap_or(0);
                        if self.candidates.entry(index).or_default().add(candidate) {
                            effect = Effect::Token;
                        }
                    }
                }
                ("error", value) => self.error = Some(value),
                (_, value) => _ = self.response.insert(name, value),
            }
        }
        effect
    }

    pub(super) fn finish(self) -> Made {
        let has_begun = !self.candidates.is_empty() || !self.response.is_empty();
        let reason = |candidate: &Candidate| string(&candidate.fields, "finishReason");
        let is_complete =
            !self.candidates.is_empty() && self.candidates.values().all(|c| reason(c).is_some());
        let stop_reason = self.candidates.values().find_map(reason);
        let mut message = Map::new();
        let candidates = self.candidates.into_values().map(Candidate::finish);
        message.insert("candidates".into(), candidates.collect());
        message.extend(self.response);
        // A prompt that was refused has no candidates.
        let refused = message.get("promptFeedback").and_then(Value::as_object);
        let refused = refused.and_then(|feedback| string(feedback, "blockReason"));
        Made {
            is_complete: is_complete || refused.is_some(),
            error: self.error,
            model: string(&message, "modelVersion"),
            stop_reason: stop_reason.or(refused),
            usage: message.get("usageMetadata").and_then(Value::as_object).and_then(usage),
            message: has_begun.then_some(message.into()),
        }
    }
}

impl Candidate {
    /// Whether there was something the model generated.
    fn add(&mut self, candidate: Map<String, Value>) -> bool {
        let before = self.parts.len();
        let mut has_token = false;
        for (name, value) in candidate {
            match (name.as_str(), value) {
                ("content", Value::Object(content)) => {
                    for (name, value) in content {
                        match (name.as_str(), value) {
                            ("parts", Value::Array(parts)) => {
                                for part in parts {
                                    has_token |= self.add_part(part);
                                }
                            }
                            ("role", role) => self.role = Some(role),
                            _ => {}
                        }
                    }
                }
                (_, value) => _ = self.fields.insert(name, value),
            }
        }
        has_token || self.parts.len() > before
    }

    /// Adds a part, or its text to the last one: both are text and nothing else, thoughts or not.
    fn add_part(&mut self, part: Value) -> bool {
        let Value::Object(part) = part else { return false };
        let text = part.get("text").and_then(Value::as_str);
        if let (Some(text), Some(Value::Object(last))) = (text, self.parts.last_mut())
            && is_plain_text(&part)
            && is_plain_text(last)
            && part.get("thought") == last.get("thought")
            && let Some(Value::String(so_far)) = last.get_mut("text")
        {
            so_far.push_str(text);
            return !text.is_empty();
        }
        // The end of a stream often has an empty text beside its reason.
        if text == Some("") && part.len() == 1 {
            return false;
        }
        self.parts.push(part.into());
        true
    }

    fn finish(self) -> Value {
        let mut content = Map::new();
        content.insert("parts".into(), self.parts.into());
        content.extend(self.role.map(|role| ("role".to_owned(), role)));
        let mut candidate = Map::new();
        candidate.insert("content".into(), content.into());
        candidate.extend(self.fields);
        candidate.into()
    }
}

fn is_plain_text(part: &Map<String, Value>) -> bool {
    part.get("text").is_some_and(Value::is_string) && part.keys().all(|key| key == "text" || key == "thought")
}

fn usage(usage: &Map<String, Value>) -> Option<Usage> {
    let cached = count(usage, &["cachedContentTokenCount"]);
    let thoughts = count(usage, &["thoughtsTokenCount"]);
    let candidates = count(usage, &["candidatesTokenCount"]);
    Usage {
        input_tokens: count(usage, &["promptTokenCount"]).map(|all| all.saturating_sub(cached.unwrap_or(0))),
        cache_read_tokens: cached,
        cache_write_tokens: None,
        // Candidates are counted without their thoughts here.
        output_tokens: candidates
            .or(thoughts)
            .map(|_| candidates.unwrap_or(0).saturating_add(thoughts.unwrap_or(0))),
        reasoning_tokens: thoughts,
    }
    .if_any()
}
