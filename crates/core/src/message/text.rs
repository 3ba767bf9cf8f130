//! Strings, numbers and objects of events, read without trusting their types: a value that is not what it should be is as
//! good as none, and costs its event nothing else.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// A string, borrowed from the event unless it has escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text<'a>(pub(super) Option<Cow<'a, str>>);

impl Text<'_> {
    /// The string; empty if there is none.
    pub(super) fn get(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

/// An index into a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Index(pub(super) Option<usize>);

/// The visits that `Text` and `Index` have in common: what is neither.
macro_rules! none_of_these {
    ($value:expr, $($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(self, _: $type) -> Result<Self::Value, E> { Ok($value) })*

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($value)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok($value)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok($value)
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfAny;
        impl<'de> Visitor<'de> for OfAny {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }

            none_of_these!(Text(None), visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64);
        }
        deserializer.deserialize_any(OfAny)
    }
}

impl<'de> Deserialize<'de> for Index {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfAny;
        impl<'de> Visitor<'de> for OfAny {
            type Value = Index;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_u64<E>(self, number: u64) -> Result<Index, E> {
                Ok(Index(usize::try_from(number).ok()))
            }

            none_of_these!(Index(None), visit_bool: bool, visit_i64: i64, visit_f64: f64, visit_str: &str);
        }
        deserializer.deserialize_any(OfAny)
    }
}

/// The value that stands in an event; `None`: it nests too deep, or a string in it is half a character.
pub(super) fn value(raw: &RawValue) -> Option<Value> {
    serde_json::from_str(raw.get()).ok()
}

/// The same of an object.
pub(super) fn object(raw: Option<&RawValue>) -> Option<Map<String, Value>> {
    serde_json::from_str(raw?.get()).ok()
}

/// `text` with escapes of half characters (`\ud83d` without its other half) made U+FFFD. JavaScript's JSON has such strings and
/// serde_json does not, for good reasons. `None`: there are none.
pub(super) fn mend(text: &str) -> Option<String> {
    let mut mended = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = memchr::memchr(b'\\', &text.as_bytes()[at..]) {
        at += found;
        let unit = unit_at(text, at);
        let is_pair =
            matches!(unit, Some(0xd800..=0xdbff)) && matches!(unit_at(text, at + 6), Some(0xdc00..=0xdfff));
        match unit {
            Some(0xd800..=0xdfff) if !is_pair => {
                mended.push_str(&text[copied..at]);
                mended.push_str("\\ufffd");
                at += 6;
                copied = at;
            }
            Some(_) => at += if is_pair { 12 } else { 6 },
            // Of an escape of one letter, or of a character of several bytes: the next backslash counts from behind it.
            None => at = (at + 2).min(text.len()),
        }
    }
    if copied == 0 {
        return None;
    }
    mended.push_str(&text[copied..]);
    Some(mended)
}

/// The number of the `\uXXXX` at `at`, if there is one.
fn unit_at(text: &str, at: usize) -> Option<u16> {
    let digits = text.as_bytes().get(at..at + 6)?.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_string_is_none() {
        for (json, text) in [
            ("\"a\\nb\"", Some("a\nb")),
            ("\"plain\"", Some("plain")),
            ("1", None),
            ("-1.5", None),
            ("null", None),
            ("true", None),
            ("[1,{\"a\":[]}]", None),
            ("{\"a\":1}", None),
        ] {
            assert_eq!(serde_json::from_str::<Text>(json).unwrap().0.as_deref(), text, "{json}");
        }
        assert!(matches!(serde_json::from_str::<Text>("\"plain\"").unwrap().0, Some(Cow::Borrowed(_))));
        for (json, index) in
            [("7", Some(7)), ("-1", None), ("1.0", None), ("\"1\"", None), ("null", None), ("{}", None)]
        {
            assert_eq!(serde_json::from_str::<Index>(json).unwrap().0, index, "{json}");
        }
    }

    #[test]
    fn half_characters_are_replaced_and_whole_ones_kept() {
        assert_eq!(mend(r#"{"a":"\ud83d"}"#).as_deref(), Some(r#"{"a":"\ufffd"}"#));
        assert_eq!(
            mend(r#"\ude00x\ud83d\ud83d\ude00\\ud83d"#).as_deref(),
            Some(r#"\ufffdx\ufffd\ud83d\ude00\\ud83d"#)
        );
        for whole in [r#"\ud83d\ude00"#, r"\\ud83d", r"\n\u00e9", "é\\", "\\é", r"\ud8", ""] {
            assert_eq!(mend(whole), None, "{whole}");
        }
    }
}
