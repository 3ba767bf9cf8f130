//! Whose stream it is: by what its events say, and where they say nothing (an error, a ping) by its URL.

use super::text::Text;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The shapes of messages that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    /// Anthropic Messages: from Anthropic, Vertex AI, Bedrock (`InvokeModelWithResponseStream`) and others.
    Anthropic,
    /// OpenAI Chat Completions, from whomever.
    OpenaiChat,
    /// OpenAI Responses.
    OpenaiResponses,
    /// Bedrock's `ConverseStream`.
    BedrockConverse,
    /// Gemini's `streamGenerateContent`.
    Gemini,
    /// Events of something else: they stay raw.
    Generic,
}

/// How events are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framing {
    /// `text/event-stream`
    Sse,
    /// `application/vnd.amazon.eventstream`
    AwsEventStream,
    /// `application/json`: an array that grows.
    JsonArray,
}

/// What is known of a stream before its first byte.
#[derive(Clone, Copy, Debug)]
pub struct Hints<'a> {
    /// The response's `content-type`, as it was sent.
    pub content_type: &'a [u8],
    /// The request's URL.
    pub url: &'a [u8],
}

impl Hints<'_> {
    /// How events are packed; `None`: this is no stream of events.
    pub fn framing(&self) -> Option<Framing> {
        let end = self.content_type.iter().position(|byte| matches!(byte, b';' | b','));
        let essence = self.content_type[..end.unwrap_or(self.content_type.len())].trim_ascii();
        if essence.eq_ignore_ascii_case(b"text/event-stream") {
            Some(Framing::Sse)
        } else if essence.eq_ignore_ascii_case(b"application/vnd.amazon.eventstream") {
            Some(Framing::AwsEventStream)
        } else if essence.eq_ignore_ascii_case(b"application/json")
            && self.path().ends_with(b":streamGenerateContent")
        {
            Some(Framing::JsonArray)
        } else {
            None
        }
    }

    /// Whose stream the URL promises.
    pub(super) fn provider(&self) -> Option<Provider> {
        let path = self.path();
        let is = |ends: &[&str]| ends.iter().any(|end| path.ends_with(end.as_bytes()));
        if is(&["/messages", ":streamRawPredict", ":rawPredict", "/invoke-with-response-stream"]) {
            Some(Provider::Anthropic)
        } else if is(&["/chat/completions"]) {
            Some(Provider::OpenaiChat)
        } else if is(&["/responses"]) {
            Some(Provider::OpenaiResponses)
        } else if is(&["/converse-stream"]) {
            Some(Provider::BedrockConverse)
        } else if is(&[":streamGenerateContent"]) {
            Some(Provider::Gemini)
        } else {
            None
        }
    }

    fn path(&self) -> &[u8] {
        let end = self.url.iter().position(|byte| matches!(byte, b'?' | b'#'));
        let path = &self.url[..end.unwrap_or(self.url.len())];
        path.strip_suffix(b"/").unwrap_or(path)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Signs<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    object: Text<'a>,
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    #[serde(borrow)]
    candidates: Option<&'a RawValue>,
    #[serde(borrow, rename = "usageMetadata")]
    usage_metadata: Option<&'a RawValue>,
    #[serde(borrow, rename = "promptFeedback")]
    prompt_feedback: Option<&'a RawValue>,
}

/// Whose event this is; `None`: it does not say.
pub(super) fn of_event(json: &str) -> Option<Provider> {
    let signs: Signs = serde_json::from_str(json).ok()?;
    let kind = signs.kind.get();
    let is_list = |value: Option<&RawValue>| value.is_some_and(|value| value.get().starts_with('['));
    if kind.starts_with("response.") {
        Some(Provider::OpenaiResponses)
    } else if kind.starts_with("message_") || kind.starts_with("content_block_") {
        Some(Provider::Anthropic)
    } else if signs.object.get() == "chat.completion.chunk" || is_list(signs.choices) {
        Some(Provider::OpenaiChat)
    } else if is_list(signs.candidates) || signs.usage_metadata.is_some() || signs.prompt_feedback.is_some() {
        Some(Provider::Gemini)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hints<'a>(content_type: &'a str, url: &'a str) -> Hints<'a> {
        Hints { content_type: content_type.as_bytes(), url: url.as_bytes() }
    }

    /// `format-mime-*` of the web platform tests.
    #[test]
    fn event_streams_are_told_by_their_type() {
        for (content_type, framing) in [
            ("text/event-stream", Some(Framing::Sse)),
            ("text/event-stream;", Some(Framing::Sse)),
            ("text/event-stream;charset=windows-1252", Some(Framing::Sse)),
            ("Text/Event-Stream ; charset=utf-8", Some(Framing::Sse)),
            ("text/event-stream x bogus", None),
            ("text/x-bogus", None),
            ("", None),
            ("application/vnd.amazon.eventstream", Some(Framing::AwsEventStream)),
            ("application/json; charset=UTF-8", None),
        ] {
            assert_eq!(hints(content_type, "https://x/v1/messages").framing(), framing, "{content_type}");
        }
        let url = "https://x/v1beta/models/gemini:streamGenerateContent?key=REDACTED";
        assert_eq!(hints("application/json; charset=UTF-8", url).framing(), Some(Framing::JsonArray));
    }

    #[test]
    fn urls_are_hints() {
        for (url, provider) in [
            ("https://api.anthropic.com/v1/messages?beta=true", Some(Provider::Anthropic)),
            ("https://x/publishers/anthropic/models/claude:streamRawPredict", Some(Provider::Anthropic)),
            ("https://bedrock/model/x/invoke-with-response-stream", Some(Provider::Anthropic)),
            ("https://bedrock/model/x/converse-stream", Some(Provider::BedrockConverse)),
            ("https://api.openai.com/v1/chat/completions/", Some(Provider::OpenaiChat)),
            ("https://api.openai.com/v1/responses", Some(Provider::OpenaiResponses)),
            ("https://x/mcp", None),
        ] {
            assert_eq!(hints("", url).provider(), provider, "{url}");
        }
    }

    #[test]
    fn events_tell_more_than_urls() {
        for (json, provider) in [
            ("{\"type\":\"message_start\"}", Some(Provider::Anthropic)),
            ("{\"type\":\"response.created\"}", Some(Provider::OpenaiResponses)),
            ("{\"id\":\"\",\"choices\":[]}", Some(Provider::OpenaiChat)),
            ("{\"candidates\":[]}", Some(Provider::Gemini)),
            ("{\"type\":\"ping\"}", None),
            ("{\"error\":{}}", None),
            ("{\"choices\":5}", None),
            ("[1]", None),
            ("text", None),
            ("", None),
        ] {
            assert_eq!(of_event(json), provider, "{json}");
        }
    }
}
