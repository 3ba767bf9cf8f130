//! Events that are not what they should be.

use super::{SSE, derive, derive_events, hints};
use crate::message::Provider;
use proptest::prelude::*;
use serde_json::{Value, json};

const ANTHROPIC: &str = "https://api.anthropic.com/v1/messages";

#[test]
fn an_error_alone_is_of_whom_the_url_says() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let derived = derive_events(ANTHROPIC, &[r#"{"type":"ping"}"#, error]);
    assert_eq!((derived.provider, derived.complete), (Provider::Anthropic, false));
    assert_eq!(derived.error, Some(json!({"type": "overloaded_error", "message": "Overloaded"})));
    let vertex = "https://europe-west1-aiplatform.googleapis.com/v1/projects/p/locations/europe-west1/publishers/anthropic/\
        models/claude-sonnet-4-5@20250929:streamRawPredict";
    assert_eq!(derive_events(vertex, &[error]).provider, Provider::Anthropic);
    let derived = derive_events("https://x/v1/chat/completions", &[r#"{"error":{"message":"no"}}"#]);
    assert_eq!((derived.provider, derived.error), (Provider::OpenaiChat, Some(json!({"message": "no"}))));
    assert_eq!(derive_events("https://x/", &[error]).provider, Provider::Generic);
    let responses = r#"{"type":"error","code":"server_error","message":"no","param":null}"#;
    assert_eq!(derive_events("https://x/v1/responses", &[responses]).error.unwrap()["code"], "server_error");
}

#[test]
fn a_generic_stream_stays_raw_and_is_counted() {
    let derived = derive_events("https://x/mcp", &["plain", r#"{"jsonrpc":"2.0"}"#, ""]);
    assert_eq!((derived.provider, derived.message, derived.events.count), (Provider::Generic, None, 3));
}

#[test]
fn events_that_are_no_json_are_counted() {
    let start = r#"{"type":"message_start","message":{"content":[]}}"#;
    let derived = derive_events(ANTHROPIC, &[start, "{\"type\":", "\u{1}", r#"{"type":"message_stop"}"#]);
    assert_eq!((derived.events.count, derived.events.unread, derived.complete), (4, 2, true));
}

#[test]
fn half_of_a_character_costs_nothing_else() {
    let derived = derive_events(
        ANTHROPIC,
        &[
            r#"{"type":"message_start","message":{"content":[]}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a\ud83d"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\ude00b"}}"#,
        ],
    );
    assert_eq!(derived.message.unwrap()["content"][0]["text"], "a\u{fffd}\u{fffd}b");
    assert_eq!(derived.events.unread, 0);
}

#[test]
fn bytes_that_are_no_utf_8_become_replacement_characters() {
    let mut body = b"data: {\"type\":\"message_start\",\"message\":{\"model\":\"m\xff\"}}\n\n".to_vec();
    let derived = derive(&hints(SSE, ANTHROPIC), [&body[..]]);
    assert_eq!(derived.model.as_deref(), Some("m\u{fffd}"));
    body.truncate(10);
    assert_eq!(derive(&hints(SSE, ANTHROPIC), [&body[..]]).events.undispatched_bytes, 10);
}

#[test]
fn an_index_from_outside_allocates_nothing() {
    for event in [
        r#"{"choices":[{"index":18446744073709551615,"delta":{"content":"x","tool_calls":[{"index":4294967295}]}}]}"#,
        r#"{"type":"content_block_delta","index":9007199254740991,"delta":{"type":"text_delta","text":"x"}}"#,
        r#"{"type":"response.output_text.delta","output_index":4294967295,"content_index":4294967295,"delta":"x"}"#,
        r#"{"candidates":[{"index":18446744073709551615,"content":{"parts":[{"text":"x"}]}}]}"#,
    ] {
        assert_eq!(derive_events("https://x/", &[event, event]).events.count, 2);
    }
}

#[test]
fn tool_input_that_is_no_json_stays_a_string() {
    let derived = derive_events(
        ANTHROPIC,
        &[
            r#"{"type":"message_start","message":{"content":[]}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"n","input":{}}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"<oops>"}}"#,
        ],
    );
    assert_eq!(derived.message.unwrap()["content"][0]["input"], "<oops>");
}

/// A value of any shape, with the keys and words that accumulators look for.
fn any_value() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("text"),
        Just("message"),
        Just("text_delta"),
        Just("input_json_delta"),
        Just("thinking"),
        Just("tool_use"),
        Just("output_text"),
        Just("reasoning"),
        Just("function_call"),
        Just("signature_delta"),
        Just("citations_delta"),
        Just("message_start"),
        Just("content_block_start"),
        Just("content_block_delta"),
        Just("message_delta"),
        Just("response.created"),
        Just("response.output_item.added"),
        Just("response.output_text.delta"),
        Just("response.output_text.done"),
        Just("response.content_part.added"),
        Just("response.completed"),
        Just("error"),
        Just("response.web_search_call.completed"),
        Just("chat.completion.chunk"),
        Just("{\"a\":[1"),
        Just(""),
    ];
    let key = prop_oneof![
        Just("type"),
        Just("index"),
        Just("delta"),
        Just("text"),
        Just("content"),
        Just("message"),
        Just("content_block"),
        Just("usage"),
        Just("choices"),
        Just("tool_calls"),
        Just("function"),
        Just("arguments"),
        Just("name"),
        Just("id"),
        Just("response"),
        Just("output"),
        Just("item"),
        Just("part"),
        Just("output_index"),
        Just("content_index"),
        Just("candidates"),
        Just("parts"),
        Just("error"),
        Just("logprobs"),
        Just("audio"),
        Just("citation"),
        Just("partial_json"),
        Just("stop_reason"),
        Just("object"),
        Just("summary"),
        Just("annotations"),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..4).prop_map(Value::from),
        Just(json!(1.5)),
        word.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(|members| members
                .into_iter()
                .map(|(key, value)| (key.to_owned(), value))
                .collect()),
        ]
    })
}

/// An event that begins as a provider's does and goes on as it likes.
fn any_event() -> impl Strategy<Value = String> {
    let kind = prop_oneof![
        Just(json!({"type": "message_start", "message": {"content": [], "usage": {}}})),
        Just(
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        ),
        Just(
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "x"}})
        ),
        Just(json!({"type": "message_delta", "delta": {}, "usage": {"output_tokens": 1}})),
        Just(json!({"type": "response.created", "response": {"output": []}})),
        Just(
            json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "message", "content": []}})
        ),
        Just(
            json!({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "x"})
        ),
        Just(json!({"id": "c", "choices": [{"index": 0, "delta": {"content": "x"}}]})),
        Just(json!({"candidates": [{"content": {"parts": [{"text": "x"}]}}]})),
        Just(json!({})),
    ];
    (kind, prop::option::of(any_value())).prop_map(|(mut event, more)| {
        if let (Some(event), Some(Value::Object(more))) = (event.as_object_mut(), more) {
            event.extend(more);
        }
        event.to_string()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn any_events_in_any_pieces_are_survived_alike(
        events in prop::collection::vec(any_event(), 0..12),
        url in prop_oneof![Just(ANTHROPIC), Just("https://x/v1/responses"), Just("https://x/")],
        size in 1_usize..200,
    ) {
        let body: String = events.iter().map(|data| format!("data: {data}\n\n")).collect();
        let whole = derive(&hints(SSE, url), [body.as_bytes()]);
        prop_assert_eq!(whole.events.count, events.len() as u64);
        prop_assert_eq!(derive(&hints(SSE, url), body.as_bytes().chunks(size)), whole);
    }

    #[test]
    fn any_frames_of_converse_are_survived(
        events in prop::collection::vec((0_usize..7, any_value()), 0..10),
    ) {
        let names = ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "chunk"];
        let frames: Vec<u8> = events.iter().flat_map(|(name, payload)| {
            let headers = [(":event-type", names[*name]), (":message-type", "event")];
            crate::frames::tests::frame(&headers, payload.to_string().as_bytes())
        }).collect();
        let hints = hints("application/vnd.amazon.eventstream", "https://x/");
        prop_assert_eq!(derive(&hints, [&frames[..]]).events.count, events.len() as u64);
    }

    #[test]
    fn any_bytes_are_survived(body in prop::collection::vec(any::<u8>(), 0..300), size in 1_usize..50) {
        for (content_type, url) in [
            (SSE, ANTHROPIC),
            ("application/vnd.amazon.eventstream", "https://x/model/m/converse-stream"),
            ("application/json", "https://x/models/m:streamGenerateContent"),
        ] {
            let hints = hints(content_type, url);
            prop_assert_eq!(derive(&hints, body.chunks(size)), derive(&hints, [&body[..]]));
        }
    }
}
