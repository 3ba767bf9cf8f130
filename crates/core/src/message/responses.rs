//! The Responses API of OpenAI, as `accumulateResponse` of `openai` does it. A stream that ends well repeats the whole response
//! in its last event; what came before counts for one that does not.
//!
//! Other than there: an event for an item that is not there is passed over, and `output_text`, which the SDK puts together
//! of the texts in `output`, is not repeated.

use super::made::{Effect, Made, Usage, count, string};
use super::run::Run;
use super::text::{Index, Text, object, value};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    output_index: Index,
    content_index: Index,
    summary_index: Index,
    annotation_index: Index,
    #[serde(borrow)]
    delta: Text<'a>,
    #[serde(borrow)]
    text: Text<'a>,
    #[serde(borrow)]
    refusal: Text<'a>,
    #[serde(borrow)]
    arguments: Text<'a>,
    #[serde(borrow)]
    input: Text<'a>,
    #[serde(borrow)]
    code: Text<'a>,
    #[serde(borrow)]
    response: Option<&'a RawValue>,
    #[serde(borrow)]
    item: Option<&'a RawValue>,
    #[serde(borrow)]
    part: Option<&'a RawValue>,
    #[serde(borrow)]
    annotation: Option<&'a RawValue>,
}

/// Where the deltas of a kind of event go: `output[output_index]`, if it is of that type, there into a part of a list or not,
/// and there under a key, which is also the name of the whole text in the `.done` event.
#[derive(Debug, PartialEq, Eq)]
struct Kind {
    event: &'static str,
    item: &'static str,
    list: Option<List>,
    key: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List {
    /// `content`, of parts of that type.
    Content(&'static str),
    /// `summary`
    Summary,
}

const fn kind(event: &'static str, item: &'static str, list: Option<List>, key: &'static str) -> Kind {
    Kind { event, item, list, key }
}

static KINDS: [Kind; 8] = [
    kind("response.output_text", "message", Some(List::Content("output_text")), "text"),
    kind("response.function_call_arguments", "function_call", None, "arguments"),
    kind("response.reasoning_summary_text", "reasoning", Some(List::Summary), "text"),
    kind("response.reasoning_text", "reasoning", Some(List::Content("reasoning_text")), "text"),
    kind("response.refusal", "message", Some(List::Content("refusal")), "refusal"),
    kind("response.custom_tool_call_input", "custom_tool_call", None, "input"),
    kind("response.mcp_call_arguments", "mcp_call", None, "arguments"),
    kind("response.code_interpreter_call_code", "code_interpreter_call", None, "code"),
];

/// Items whose state is told by events of their name.
const WITH_STATUS: [&str; 5] =
    ["code_interpreter_call", "file_search_call", "web_search_call", "image_generation_call", "mcp_call"];

/// A text in the response.
#[derive(Debug, PartialEq)]
struct Place {
    kind: &'static Kind,
    output: usize,
    part: usize,
}

#[derive(Debug, Default)]
pub(super) struct Responses {
    response: Option<Map<String, Value>>,
    run: Run<Place>,
    is_complete: bool,
    error: Option<Value>,
}

impl Responses {
    pub(super) fn event(&mut self, json: &str) -> Effect {
        let Ok(event) = serde_json::from_str::<Event>(json) else { return Effect::Unread };
        let kind = event.kind.get();
        if let Some(place) = kind.strip_suffix(".delta").and_then(|of| place(of, &event)) {
            let delta = event.delta.get();
            if let Some((place, text)) = self.run.add(place, delta) {
                self.put(&place, &text, false);
            }
            return Effect::of_delta(delta);
        }
        if let Some((place, text)) = self.run.take() {
            self.put(&place, &text, false);
        }
        if let Some(place) = kind.strip_suffix(".done").and_then(|of| place(of, &event)) {
            let whole = match place.kind.key {
                "refusal" => event.refusal,
                "arguments" => event.arguments,
                "input" => event.input,
                "code" => event.code,
                _ => event.text,
            };
            if let Some(whole) = whole.0 {
                self.put(&place, &whole, true);
            }
            return Effect::Other;
        }
        if kind == "error" {
            self.error = serde_json::from_str(json).ok();
        } else if let Some(name) = kind.strip_prefix("response.") {
            self.structure(name, &event);
        }
        Effect::Other
    }

    /// Events that add or replace more than a text.
    fn structure(&mut self, name: &str, event: &Event) -> Option<()> {
        if let "created" | "queued" | "in_progress" | "completed" | "failed" | "incomplete" = name {
            let response = object(event.response)?;
            self.is_complete |= matches!(name, "completed" | "failed" | "incomplete");
            if let Some(error) = response.get("error").filter(|error| !error.is_null()) {
                self.error = Some(error.clone());
            }
            self.response = Some(response);
            return Some(());
        }
        match name {
            "output_item.added" => {
                let item = value(event.item?)?;
                let output =
                    self.response.as_mut()?.entry("output").or_insert_with(|| Value::Array(Vec::new()));
                output.as_array_mut()?.push(item);
            }
            "output_item.done" => *self.item(event.output_index.0?)? = value(event.item?)?,
            "content_part.added" => {
                let part = value(event.part?)?;
                let item = self.item(event.output_index.0?)?.as_object_mut()?;
                if takes_part(item, &part) {
                    let content = item.entry("content").or_insert_with(|| Value::Array(Vec::new()));
                    content.as_array_mut()?.push(part);
                }
            }
            "content_part.done" => {
                let part = value(event.part?)?;
                let item = self.item(event.output_index.0?)?.as_object_mut()?;
                if takes_part(item, &part) {
                    *item.get_mut("content")?.get_mut(event.content_index.0?)? = part;
                }
            }
            "reasoning_summary_part.added" => {
                let part = value(event.part?)?;
                let item = self.item_of(event.output_index.0?, "reasoning")?;
                item.get_mut("summary")?.as_array_mut()?.push(part);
            }
            "reasoning_summary_part.done" => {
                let part = value(event.part?)?;
                let item = self.item_of(event.output_index.0?, "reasoning")?;
                *item.get_mut("summary")?.get_mut(event.summary_index.0?)? = part;
            }
            "output_text.annotation.added" => {
                let annotation = value(event.annotation?)?;
                let item = self.item_of(event.output_index.0?, "message")?;
                let part = item.get_mut("content")?.get_mut(event.content_index.0?)?;
                let annotations = part.get_mut("annotations")?.as_array_mut()?;
                match annotations.get_mut(event.annotation_index.0?) {
                    Some(known) => *known = annotation,
                    None => annotations.push(annotation),
                }
            }
            _ => {
                let (call, status) = name.rsplit_once('.')?;
                let known = *WITH_STATUS.iter().find(|known| **known == call)?;
                let item = self.item_of(event.output_index.0?, known)?;
                item.insert("status".into(), status.into());
            }
        }
        Some(())
    }

    fn item(&mut self, index: usize) -> Option<&mut Value> {
        self.response.as_mut()?.get_mut("output")?.get_mut(index)
    }

    fn item_of(&mut self, index: usize, kind: &str) -> Option<&mut Map<String, Value>> {
        let item = self.item(index)?.as_object_mut()?;
        (item.get("type")? == kind).then_some(item)
    }

    fn put(&mut self, place: &Place, text: &str, replaces: bool) -> Option<()> {
        let mut at = self.item_of(place.output, place.kind.item)?;
        if let Some(list) = place.kind.list {
            let key = if list == List::Summary { "summary" } else { "content" };
            at = at.get_mut(key)?.get_mut(place.part)?.as_object_mut()?;
            if let List::Content(kind) = list
                && at.get("type")? != kind
            {
                return None;
            }
        }
        match at.get_mut(place.kind.key) {
            Some(Value::String(so_far)) if !replaces => so_far.push_str(text),
            _ => _ = at.insert(place.kind.key.into(), text.into()),
        }
        Some(())
    }

    pub(super) fn finish(mut self) -> Made {
        if let Some((place, text)) = self.run.take() {
            self.put(&place, &text, false);
        }
        let response = self.response.unwrap_or_default();
        let usage = response.get("usage").and_then(Value::as_object).and_then(usage);
        let incomplete = response.get("incomplete_details").and_then(Value::as_object);
        Made {
            is_complete: self.is_complete,
            error: self.error,
            model: string(&response, "model"),
            stop_reason: incomplete
                .and_then(|details| string(details, "reason"))
                .or(string(&response, "status").filter(|_| self.is_complete)),
            usage,
            message: (!response.is_empty()).then_some(response.into()),
        }
    }
}

fn place(event: &str, of: &Event) -> Option<Place> {
    let kind = KINDS.iter().find(|kind| kind.event == event)?;
    let part = match kind.list {
        Some(List::Content(_)) => of.content_index.0?,
        Some(List::Summary) => of.summary_index.0?,
        None => 0,
    };
    Some(Place { kind, output: of.output_index.0?, part })
}

/// Reasoning has parts of reasoning, messages all others.
fn takes_part(item: &Map<String, Value>, part: &Value) -> bool {
    let is_reasoning = part.get("type").is_some_and(|kind| kind == "reasoning_text");
    item.get("type").is_some_and(|kind| kind == if is_reasoning { "reasoning" } else { "message" })
}

fn usage(usage: &Map<String, Value>) -> Option<Usage> {
    let cached = count(usage, &["input_tokens_details", "cached_tokens"]);
    Usage {
        input_tokens: count(usage, &["input_tokens"]).map(|all| all.saturating_sub(cached.unwrap_or(0))),
        cache_read_tokens: cached,
        cache_write_tokens: None,
        output_tokens: count(usage, &["output_tokens"]),
        reasoning_tokens: count(usage, &["output_tokens_details", "reasoning_tokens"]),
    }
    .if_any()
}
