//! Replacements in text. Pure.

use super::MAX_TEXT_BYTES;
use crate::interceptor::hooks::Failed;
use memchr::memmem;
use regex::bytes::Regex;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// What is looked for, and what stands there instead.
#[derive(Debug)]
pub(super) struct Replace {
    pub what: What,
    pub with: String,
}

#[derive(Debug)]
pub(super) enum What {
    Text(String),
    /// `with` may name its groups.
    Regex(Regex),
}

impl Replace {
    /// All of them in turn; `None`: nothing was found. What was JSON stays JSON, or it is an error.
    pub(super) fn all(list: &[Self], text: &[u8]) -> Result<Option<Vec<u8>>, Failed> {
        let mut now = Cow::Borrowed(text);
        for replace in list {
            if let Some(next) = replace.once(&now)? {
                now = Cow::Owned(next);
            }
        }
        match now {
            Cow::Owned(new) if new != text => {
                if is_json(text) && !is_json(&new) {
                    let words = "its replacement leaves no JSON of what was JSON: `with` stands inside a JSON string, and is to be escaped like one";
                    return Err(Failed(words.into()));
                }
                Ok(Some(new))
            }
            _ => Ok(None),
        }
    }

    fn once(&self, text: &[u8]) -> Result<Option<Vec<u8>>, Failed> {
        let mut out = Vec::new();
        let mut last = 0;
        let mut add = |from: usize, to: usize, with: &mut dyn FnMut(&mut Vec<u8>)| {
            out.extend_from_slice(&text[last..from]);
            with(&mut out);
            last = to;
            if out.len() + (text.len() - last) > MAX_TEXT_BYTES {
                return Err(Failed(format!(
                    "its replacement makes more than {} MiB of a text",
                    MAX_TEXT_BYTES >> 20
                )));
            }
            Ok(())
        };
        let with = self.with.as_bytes();
        match &self.what {
            What::Text(find) => {
                for at in memmem::find_iter(text, find.as_bytes()) {
                    add(at, at + find.len(), &mut |out| out.extend_from_slice(with))?;
                }
            }
            What::Regex(regex) => {
                for found in regex.captures_iter(text) {
                    let Some(whole) = found.get(0) else { continue };
                    add(whole.start(), whole.end(), &mut |out| found.expand(with, out))?;
                }
            }
        }
        if last == 0 && out.is_empty() {
            return Ok(None);
        }
        out.extend_from_slice(&text[last..]);
        Ok(Some(out))
    }
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// The groups that a replacement names and the regex does not have.
pub(super) fn unknown_groups(regex: &Regex, with: &str) -> Vec<String> {
    let names: Vec<_> = regex.capture_names().collect();
    let is_known = |name: &str| match name.parse::<usize>() {
        Ok(number) => number < names.len(),
        Err(_) => names.contains(&Some(name)),
    };
    let mut unknown = Vec::new();
    let mut rest = with;
    while let Some(at) = rest.find('$') {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
            continue;
        }
        let name = match rest.strip_prefix('{') {
            Some(braced) => braced.split_once('}').map(|(name, _)| name),
            None => {
                let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
                Some(&rest[..rest.find(|letter| !is_name(letter)).unwrap_or(rest.len())])
            }
        };
        if let Some(name) = name.filter(|name| !name.is_empty() && !is_known(name)) {
            unknown.push(name.to_owned());
        }
    }
    unknown
}
