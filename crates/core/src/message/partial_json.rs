//! JSON that broke off: the input of a tool whose stream ended early. What is complete is kept, what is not is dropped (a key
//! without its value, a string without its end, a number that may go on), and open brackets are closed: as the vendors' SDKs do,
//! so that they and we show the same.

use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Open(u8),
    Close(u8),
    Colon,
    Comma,
    String,
    /// Whether it may go on.
    Number(bool),
    Name,
}

/// The value of `json`, or of what is complete of it. `None`: it is not the start of any JSON.
pub(super) fn parse(json: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(json) {
        return Some(value);
    }
    let tokens = tokens(json)?;
    let mut open = Vec::new();
    for (token, ..) in &tokens {
        match token {
            Token::Open(bracket) => open.push(*bracket),
            Token::Close(bracket) if open.pop() != Some(opener_of(*bracket)) => return None,
            _ => {}
        }
    }
    let mut kept = tokens.len();
    while let Some((token, start, end)) = kept.checked_sub(1).map(|last| tokens[last]) {
        let before = kept.checked_sub(2).map(|at| tokens[at].0);
        let is_incomplete = match token {
            Token::Colon => true,
            Token::Number(may_go_on) => {
                may_go_on || serde_json::from_str::<serde_json::Number>(&json[start..end]).is_err()
            }
            // In an object, where no colon stands before it, a string is a key without a value.
            Token::String => {
                open.last() == Some(&b'{') && matches!(before, Some(Token::Comma | Token::Open(b'{')))
            }
            _ => false,
        };
        if !is_incomplete {
            kept -= usize::from(token == Token::Comma);
            break;
        }
        kept -= 1;
    }
    let end = kept.checked_sub(1).map_or(0, |last| tokens[last].2);
    let mut completed = json[..end].to_owned();
    completed.extend(open.iter().rev().map(|bracket| if *bracket == b'{' { '}' } else { ']' }));
    serde_json::from_str(&completed).ok()
}

fn opener_of(closer: u8) -> u8 {
    if closer == b'}' { b'{' } else { b'[' }
}

/// The tokens with their places. A string or name that broke off is left out. `None`: something in it is no JSON.
fn tokens(json: &str) -> Option<Vec<(Token, usize, usize)>> {
    let bytes = json.as_bytes();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let start = at;
        at += 1;
        let token = match byte {
            b' ' | b'\t' | b'\n' | b'\r' => continue,
            b'{' | b'[' => Token::Open(*byte),
            b'}' | b']' => Token::Close(*byte),
            b':' => Token::Colon,
            b',' => Token::Comma,
            b'"' => match string_end(bytes, at) {
                Some(end) => {
                    at = end;
                    Token::String
                }
                None => break,
            },
            b'0'..=b'9' | b'-' | b'.' => {
                at = skip(bytes, at, |byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
                Token::Number(at == bytes.len())
            }
            b'a'..=b'z' => {
                at = skip(bytes, at, |byte| byte.is_ascii_alphabetic());
                let names = ["true", "false", "null"];
                match &json[start..at] {
                    name if names.contains(&name) => Token::Name,
                    name if at == bytes.len() && names.iter().any(|whole| whole.starts_with(name)) => break,
                    _ => return None,
                }
            }
            _ => return None,
        };
        tokens.push((token, start, at));
    }
    Some(tokens)
}

fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

fn skip(bytes: &[u8], at: usize, is_inside: impl Fn(u8) -> bool) -> usize {
    at + bytes[at..].iter().take_while(|byte| is_inside(**byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn keeps_what_is_complete() {
        for (text, value) in [
            ("{\"a\":1,\"b\":\"x\"}", json!({"a": 1, "b": "x"})),
            ("{\"a\":[1,2", json!({"a": [1]})),
            ("{\"a\":[1,2 ", json!({"a": [1, 2]})),
            ("{\"a\":\"x\",\"b", json!({"a": "x"})),
            ("{\"a\":\"x\",\"b\"", json!({"a": "x"})),
            ("{\"a\":\"x\",\"b\":", json!({"a": "x"})),
            ("{\"a\":\"x\",\"b\":\"unfinished \\\"", json!({"a": "x"})),
            ("{\"a\":tru", json!({})),
            ("{\"a\":true", json!({"a": true})),
            ("{\"a\":{\"b\":[\"c\"", json!({"a": {"b": ["c"]}})),
            ("{\"a\":1.", json!({})),
            ("{", json!({})),
            (" [ null , ", json!([null])),
            ("[\"x\", \"y", json!(["x"])),
        ] {
            assert_eq!(parse(text), Some(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_none() {
        for text in ["", "x", "{]", "{\"a\":1}}", "\"", "{'a':1", "1 2 ", "nope"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[\\[\\]{}:,\"\\\\ 0-9a-z.é-]{0,40}") {
            let _ = parse(&text);
        }

        #[test]
        fn each_start_of_an_object_is_one(keys in prop::collection::vec("[a-z\"\\\\é]{0,4}", 0..6), at in any::<prop::sample::Index>()) {
            let value: Value = keys.iter().map(|key| (key.clone(), json!([key, 1, {"x": null}]))).collect();
            let text = value.to_string();
            let mut end = 1 + at.index(text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            prop_assert!(parse(&text[..end]).is_some_and(|part| part.is_object()), "{}", &text[..end]);
        }
    }
}
