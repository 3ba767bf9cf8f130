//! JSON-RPC 2.0, as MCP speaks it: what a message is, without building what it carries.
//!
//! Pure, and strict: what does not say `"jsonrpc":"2.0"`, or is no valid JSON, is no message. A program that logs JSON to
//! the wrong stream is not taken for one that speaks the protocol.

use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::LazyLock;

/// Inside a string the quotes would be escaped.
static KEY: LazyLock<Finder> = LazyLock::new(|| Finder::new(b"\"jsonrpc\""));

/// Whether a text may be a message, or a batch. Spares all others the parsing.
pub fn is_likely(text: &[u8]) -> bool {
    KEY.find(text).is_some()
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Wants an answer.
    Request,
    /// Wants none.
    Notification,
    /// Is one: a result or an error.
    Response,
}

impl Kind {
    /// The word for it in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Notification => "notification",
            Self::Response => "response",
        }
    }
}

/// One message. Borrows from its text.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// What it is.
    pub kind: Kind,
    /// The method of a request or notification.
    pub method: Option<Cow<'a, str>>,
    /// The id as it is spelled; `null` counts as one in a response alone.
    pub id: Option<&'a str>,
    params: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Keys<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    /// Reads a message.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        // Structs are read from arrays, too: those are batches.
        if text.trim_ascii_start().first() != Some(&b'{') {
            return None;
        }
        let keys: Keys<'a> = serde_json::from_slice(text).ok()?;
        if keys.jsonrpc != "2.0" {
            return None;
        }
        let id = keys.id.map(RawValue::get);
        let named = id.filter(|id| *id != "null");
        if named
            .is_some_and(|id| !id.starts_with(['"', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']))
        {
            return None;
        }
        let (kind, id) = match (&keys.method, named) {
            (Some(_), Some(_)) => (Kind::Request, named),
            (Some(_), None) => (Kind::Notification, None),
            // An error without an id answers what could not be read.
            (None, _) if keys.error.is_some() || (keys.result.is_some() && named.is_some()) => {
                (Kind::Response, id)
            }
            (None, _) => return None,
        };
        Some(Self { kind, method: keys.method, id, params: keys.params, error: keys.error })
    }

    /// The token by which a request wants to be told of progress, or of which a notification tells, as it is spelled.
    pub fn progress_token(&self) -> Option<&'a str> {
        #[derive(Deserialize)]
        struct Asking<'a> {
            #[serde(borrow, rename = "_meta")]
            meta: Option<Telling<'a>>,
        }
        #[derive(Deserialize)]
        struct Telling<'a> {
            #[serde(borrow, rename = "progressToken")]
            token: Option<&'a RawValue>,
        }
        let telling = match (self.kind, self.method.as_deref()) {
            (Kind::Request, _) => self.params::<Asking>()?.meta?,
            (Kind::Notification, Some("notifications/progress")) => self.params()?,
            _ => return None,
        };
        telling.token.map(RawValue::get).filter(|token| is_scalar(token))
    }

    /// The tool that this request calls.
    pub fn tool(&self) -> Option<Cow<'a, str>> {
        #[derive(Deserialize)]
        struct Call<'a> {
            #[serde(borrow)]
            name: Option<Cow<'a, str>>,
        }
        if self.kind != Kind::Request || self.method.as_deref() != Some("tools/call") {
            return None;
        }
        self.params::<Call>()?.name
    }

    /// The id of the request that this notification takes back, as it is spelled.
    pub fn cancels(&self) -> Option<&'a str> {
        #[derive(Deserialize)]
        struct Cancelled<'a> {
            #[serde(borrow, rename = "requestId")]
            id: Option<&'a RawValue>,
        }
        if self.kind != Kind::Notification || self.method.as_deref() != Some("notifications/cancelled") {
            return None;
        }
        self.params::<Cancelled>()?.id.map(RawValue::get).filter(|id| is_scalar(id))
    }

    /// Code (as it is spelled) and message of the error that this response is.
    pub fn error(&self) -> Option<(&'a str, Cow<'a, str>)> {
        #[derive(Deserialize)]
        struct Failure<'a> {
            #[serde(borrow)]
            code: Option<&'a RawValue>,
            #[serde(borrow)]
            message: Option<Cow<'a, str>>,
        }
        let text = self.error.filter(|_| self.kind == Kind::Response)?.get();
        let failure: Option<Failure> = object(text);
        let failure = failure.unwrap_or(Failure { code: None, message: None });
        let code = failure.code.map(RawValue::get).filter(|code| is_scalar(code)).unwrap_or("null");
        Some((code, failure.message.unwrap_or_default()))
    }

    fn params<T: Deserialize<'a>>(&self) -> Option<T> {
        object(self.params?.get())
    }
}

/// The elements of a batch: an array, as earlier versions of MCP allow it. `None`: this is none.
pub fn batch(text: &[u8]) -> Option<Vec<&[u8]>> {
    if text.trim_ascii_start().first() != Some(&b'[') {
        return None;
    }
    let elements: Vec<&RawValue> = serde_json::from_slice(text).ok()?;
    Some(elements.into_iter().map(|element| element.get().as_bytes()).collect())
}

/// A response that is an error. The id as it is spelled: whoever asked compares it with what it has sent.
pub fn error(id: &str, code: i32, message: &str) -> Vec<u8> {
    let message = serde_json::Value::from(message);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message}}}}}"#).into_bytes()
}

/// An id as something to look up: one that is spelled differently is still the same (`"\u0061"`, `1.0`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Id {
    /// A number.
    Number(Box<str>),
    /// A string.
    Text(Box<str>),
}

impl Id {
    /// Reads an id as it is spelled. `None`: it is neither a number nor a string.
    pub fn parse(spelled: &str) -> Option<Self> {
        match spelled.as_bytes().first()? {
            b'"' => serde_json::from_str::<Cow<str>>(spelled).ok().map(|text| Self::Text(text.into())),
            b'-' | b'0'..=b'9' => Some(Self::Number(plain(spelled).into())),
            _ => None,
        }
    }
}

/// JavaScript writes `1.0` and `1e0` as `1`.
fn plain(number: &str) -> Cow<'_, str> {
    if !number.contains(['.', 'e', 'E']) {
        return number.into();
    }
    match number.parse::<f64>() {
        Ok(value) if value.is_finite() => value.to_string().into(),
        _ => number.into(),
    }
}

fn is_scalar(value: &str) -> bool {
    !value.starts_with(['{', '['])
}

/// Reads an object: serde would take an array for one.
fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Option<T> {
    if text.starts_with('{') { serde_json::from_str(text).ok() } else { None }
}

/// Tells a key whose value is `null` from one that is not there.
fn even_null<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn kind(text: &str) -> Option<Kind> {
        Message::parse(text.as_bytes()).map(|message| message.kind)
    }

    #[test]
    fn knows_what_a_message_is_wherever_its_keys_stand() {
        for (text, expected) in [
            (r#"{"method":"tools/call","params":{"id":9},"jsonrpc":"2.0","id":1}"#, Some(Kind::Request)),
            (r#" {"jsonrpc":"2.0","method":"notifications/x"} "#, Some(Kind::Notification)),
            (r#"{"jsonrpc":"2.0","method":"x","id":null}"#, Some(Kind::Notification)),
            (r#"{"result":null,"jsonrpc":"2.0","id":"a"}"#, Some(Kind::Response)),
            (r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"?"}}"#, Some(Kind::Response)),
            (r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"?"}}"#, Some(Kind::Response)),
            (r#"{"jsonrpc":"2.0","result":{}}"#, None),
            (r#"{"jsonrpc":"1.0","method":"x","id":1}"#, None),
            (r#"{"method":"GET","id":1}"#, None),
            (r#"{"jsonrpc":"2.0","method":"x","id":1"#, None),
            (r#"["2.0"]"#, None),
            ("listening on stdio", None),
            ("", None),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    #[test]
    fn finds_what_ties_messages_to_each_other() {
        let asks = Message::parse(
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":{"progressToken":"p"}}}"#,
        )
        .unwrap();
        let tells = Message::parse(
            br#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1,"progressToken":"p"}}"#,
        )
        .unwrap();
        assert_eq!((asks.progress_token(), tells.progress_token()), (Some("\"p\""), Some("\"p\"")));
        assert_eq!((asks.tool(), tells.tool()), (None, None));
        let calls = br#"{"method":"tools/call","params":{"arguments":{"name":1},"name":"a\"b"},"jsonrpc":"2.0","id":1}"#;
        assert_eq!(Message::parse(calls).unwrap().tool().as_deref(), Some("a\"b"));
        let cancels = Message::parse(
            br#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#,
        )
        .unwrap();
        assert_eq!((cancels.cancels(), cancels.progress_token(), asks.cancels()), (Some("7"), None, None));
        let failed =
            Message::parse(br#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"no \"x\""}}"#)
                .unwrap();
        assert_eq!(failed.error(), Some(("-32602", "no \"x\"".into())));
    }

    #[test]
    fn an_id_is_the_same_however_it_is_spelled() {
        let same = |a, b| assert_eq!(Id::parse(a), Id::parse(b));
        same("1", "1.0");
        same("-10", "-1e1");
        same(r#""\u0061""#, r#""a""#);
        assert_ne!(Id::parse("1"), Id::parse("\"1\""));
        assert_eq!((Id::parse("null"), Id::parse("[1]"), Id::parse("")), (None, None, None));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            "[a-z\"\\\\é]{0,6}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::hash_map("jsonrpc|id|method|params|_meta|progressToken|[a-z]", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// The same by building the whole tree.
    fn naive(value: &Value) -> Option<(Kind, Option<String>, Option<String>)> {
        let object = value.as_object()?;
        if object.get("jsonrpc")? != "2.0" {
            return None;
        }
        let method = match object.get("method") {
            None | Some(Value::Null) => None,
            Some(method) => Some(method.as_str()?.to_owned()),
        };
        let id = object.get("id").map(Value::to_string);
        let named = id.clone().filter(|id| id != "null");
        if object.get("id").is_some_and(|id| !(id.is_null() || id.is_number() || id.is_string())) {
            return None;
        }
        let has_error = object.get("error").is_some_and(|error| !error.is_null());
        match (&method, &named) {
            (Some(_), Some(_)) => Some((Kind::Request, method, named)),
            (Some(_), None) => Some((Kind::Notification, method, None)),
            (None, _) if has_error || (object.contains_key("result") && named.is_some()) => {
                Some((Kind::Response, None, id))
            }
            _ => None,
        }
    }

    proptest! {
        #[test]
        fn reads_messages_like_a_parser_that_builds_them(
            id in prop::option::of(value()),
            method in prop::option::of(value()),
            params in prop::option::of(value()),
            result in prop::option::of(value()),
            error in prop::option::of(value()),
            version in prop_oneof![4 => Just(json!("2.0")), 1 => value()],
        ) {
            let mut message = json!({ "jsonrpc": version });
            for (key, value) in [("id", id), ("method", method), ("params", params), ("result", result), ("error", error)] {
                if let Some(value) = value {
                    message[key] = value;
                }
            }
            let text = message.to_string();
            let read = Message::parse(text.as_bytes());
            let read = read.map(|m| (m.kind, m.method.map(Cow::into_owned), m.id.map(str::to_owned)));
            prop_assert_eq!(read, naive(&message), "{}", text);
            let list = format!("[{text}, 1,{text}]");
            let parts: Option<Vec<_>> = batch(list.as_bytes());
            prop_assert_eq!(parts, Some(vec![text.as_bytes(), b"1", text.as_bytes()]));
        }

        #[test]
        fn takes_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(message) = Message::parse(&bytes) {
                let _ = (message.progress_token(), message.cancels(), message.error(), message.tool());
            }
            let _ = batch(&bytes);
        }
    }
}
