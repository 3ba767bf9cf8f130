//! From the text of a file to its rules.

use super::check;
use super::mistake::Mistake;
use super::reader::{Reader, Table};
use super::text::{Replace, What, unknown_groups};
use super::{MAX_FILE_BYTES, MAX_RULES, OfEvents, OfMessage, Rule};
use crate::interceptor::hooks::{Instead, Reply};
use crate::interceptor::rule::{Pattern, Rule as Exchanges};
use crate::interceptor::{HeaderChange, Hooks};
use regex::bytes::RegexBuilder;
use std::sync::Arc;
use std::time::Duration;
use toml::de::DeTable;

/// A name stands in every record that its rule acts on.
const MAX_NAME: usize = 100;
/// What a regex may take when it is compiled.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// The rules, by order; or what is wrong.
pub(super) fn rules(text: &str, is_for_messages: bool) -> Result<Vec<Arc<Rule>>, Vec<Mistake>> {
    if text.len() > MAX_FILE_BYTES {
        return Err(vec![Mistake::new(
            0,
            "",
            format!("the file is larger than {} MiB", MAX_FILE_BYTES >> 20),
        )]);
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { is_for_messages, ..Reader::default() };
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        reader.wrong(at, "", format!("this is no TOML: {}", error.message().replace('\n', "; ")));
    }
    let root = Table::root(root.get_ref());
    reader.known(&root, &["rule"]);
    let mut tables = reader.tables(&root, "rule", "[[rule]], once for each rule");
    tables.iter_mut().for_each(|table| table.path.clear());
    if !root.has("rule") && errors.is_empty() {
        reader.wrong(0, "", "there are no rules; allowed: [[rule]], once for each rule");
    }
    if let Some(table) = tables.get(MAX_RULES) {
        reader.wrong(table.at, "", format!("these are more than {MAX_RULES} rules"));
    }
    let mut rules: Vec<Rule> = Vec::new();
    for (index, table) in tables.iter().take(MAX_RULES).enumerate() {
        reader.rule = format!("rule {}", index + 1);
        let rule = rule(&mut reader, table);
        if let Some(other) = rules.iter().position(|other| !rule.name.is_empty() && other.name == rule.name) {
            let at = table.get("name").map_or(table.at, |name| name.span().start);
            reader.wrong(
                at,
                "name",
                format!("rule {} has that name, too; allowed: a name of its own", other + 1),
            );
        }
        rules.push(rule);
    }
    if !reader.mistakes.is_empty() {
        // What a line that is no TOML seems to say is nobody's mistake.
        let starts: Vec<_> = errors.iter().filter_map(toml::de::Error::span).map(|span| span.start).collect();
        let mut seen = reader.mistakes.into_iter();
        let mut mistakes: Vec<_> = seen.by_ref().take(errors.len()).collect();
        mistakes.extend(seen.filter(|one| !starts.iter().any(|at| one.is_in_line(*at, text))));
        return Err(mistakes);
    }
    rules.sort_by_key(|rule| rule.order);
    Ok(rules.into_iter().map(Arc::new).collect())
}

fn rule(reader: &mut Reader, table: &Table<'_>) -> Rule {
    let name = name(reader, table);
    if !name.is_empty() {
        reader.rule = format!("rule {name:?}");
    }
    reader.known(table, &["name", "order", "match", "block", "request", "response", "events"]);
    let order = reader.integer(table, "order", -1_000_000..=1_000_000).map_or(0, |(order, _)| order);
    let exchanges = matching(reader, table);
    let asks = exchanges.asks();
    let rule = Rule {
        instead: instead(reader, table, &name, asks || reader.is_for_messages),
        exchanges,
        request: of_message(reader, table, "request"),
        response: of_message(reader, table, "response"),
        events: of_events(reader, table),
        order: i32::try_from(order).unwrap_or_default(),
        name,
    };
    let parts = ["block", "request", "response", "events"];
    if !parts.iter().any(|part| table.has(part)) {
        reader.wrong(
            table.at,
            "",
            format!("this rule does nothing; allowed: one of {} at least", parts.join(", ")),
        );
    }
    if let Some(events) = table.get("events").filter(|_| asks && !reader.is_for_messages) {
        let words = "over HTTP a server's notifications are known by their `types`; allowed: without `match.tool` and methods of JSON-RPC";
        reader.wrong(events.span().start, "events", words);
    }
    let is_useless = rule.instead.is_some()
        && (rule.hooks() != Hooks { request: true, ..Hooks::NONE } || !rule.request.headers.is_empty());
    if is_useless {
        let words = "a request that is blocked gets to no upstream; allowed beside `block`: request.delay";
        reader.wrong(table.get("block").map_or(table.at, |block| block.span().start), "block", words);
    }
    rule
}

fn name(reader: &mut Reader, table: &Table<'_>) -> String {
    let allowed = format!("a name of 1 to {MAX_NAME} characters, which stands in records");
    if !table.has("name") {
        reader.wrong(table.at, "name", format!("this is missing; allowed: {allowed}"));
        return String::new();
    }
    let Some((name, at)) = reader.text(table, "name") else { return String::new() };
    if name.trim().is_empty() || name.chars().count() > MAX_NAME || name.contains(char::is_control) {
        reader.wrong(at, "name", format!("{name:?} is none; allowed: {allowed}"));
        return String::new();
    }
    name
}

/// Which exchanges it is for. What messages ask for, their method and the tool that they call, is known on every transport of MCP.
fn matching(reader: &mut Reader, table: &Table<'_>) -> Exchanges {
    let Some(table) = reader.table_at(table, "match") else { return Exchanges::default() };
    reader.known(&table, &["host", "path", "method", "tool"]);
    let mut list = |key, check: fn(&str) -> Result<(), String>| checked(reader, &table, key, check);
    let patterns = |list: Vec<String>| list.iter().map(|text| Pattern::new(text)).collect();
    let (hosts, paths) = (patterns(list("host", check::host)), patterns(list("path", check::path)));
    let tools = patterns(list("tool", check::name));
    let (methods, asked): (Vec<_>, Vec<_>) =
        list("method", check::method).into_iter().partition(|method| check::is_of_http(method));
    if let Some(method) = table.get("method").filter(|_| !methods.is_empty() && !asked.is_empty()) {
        let words = "these are methods of HTTP and of JSON-RPC; allowed: either";
        reader.wrong(method.span().start, &table.to("method"), words);
    }
    Exchanges { hosts, paths, tools, asked: patterns(asked), methods }
}

/// The texts under a key that pass.
fn checked(
    reader: &mut Reader,
    table: &Table<'_>,
    key: &str,
    check: fn(&str) -> Result<(), String>,
) -> Vec<String> {
    let texts = reader.texts(table, key);
    let good = texts.into_iter().filter_map(|(text, at)| match check(&text) {
        Ok(()) => Some(text),
        Err(words) => {
            reader.wrong(at, &table.to(key), words);
            None
        }
    });
    good.collect()
}

fn duration(reader: &mut Reader, table: &Table<'_>, key: &str) -> Duration {
    let Some((text, at)) = reader.text(table, key) else { return Duration::ZERO };
    check::duration(&text).unwrap_or_else(|words| {
        reader.wrong(at, &table.to(key), words);
        Duration::ZERO
    })
}

fn of_message(reader: &mut Reader, table: &Table<'_>, key: &str) -> OfMessage {
    let Some(table) = reader.table_at(table, key) else { return OfMessage::default() };
    reader.known(&table, &["headers", "delay", "replace"]);
    let of = OfMessage {
        headers: headers(reader, &table),
        delay: duration(reader, &table, "delay"),
        replace: replacements(reader, &table),
    };
    empty(reader, &table, &["headers", "delay", "replace"]);
    of
}

fn of_events(reader: &mut Reader, table: &Table<'_>) -> OfEvents {
    let Some(table) = reader.table_at(table, "events") else { return OfEvents::default() };
    reader.known(&table, &["types", "drop", "delay", "replace"]);
    let kinds = checked(reader, &table, "types", check::kind);
    let of = OfEvents {
        kinds: kinds.iter().map(|kind| Pattern::new(kind)).collect(),
        drop: reader.flag(&table, "drop").unwrap_or(false),
        delay: duration(reader, &table, "delay"),
        replace: replacements(reader, &table),
    };
    let path = table.to("drop");
    if of.drop && !table.has("types") {
        reader.wrong(
            table.at,
            &path,
            "this leaves out every event; allowed: with `types`, which may be \"*\"",
        );
    }
    if of.drop && (table.has("delay") || table.has("replace")) {
        reader.wrong(table.at, &path, "what is left out is neither delayed nor replaced; allowed: two rules");
    }
    empty(reader, &table, &["drop", "delay", "replace"]);
    of
}

/// Says so if a table does nothing.
fn empty(reader: &mut Reader, table: &Table<'_>, keys: &[&str]) {
    if !keys.iter().any(|key| table.has(key)) {
        reader.wrong(
            table.at,
            &table.path,
            format!("this does nothing; allowed: one of {} at least", keys.join(", ")),
        );
    }
}

/// First what is removed, then what is set, then what is added.
fn headers(reader: &mut Reader, table: &Table<'_>) -> Vec<HeaderChange> {
    let Some(table) = reader.table_at(table, "headers") else { return Vec::new() };
    if reader.is_for_messages {
        reader.wrong(table.at, &table.path, "standard streams have no headers; allowed: delay, replace");
        return Vec::new();
    }
    reader.known(&table, &["set", "add", "remove"]);
    empty(reader, &table, &["set", "add", "remove"]);
    let removed = checked(reader, &table, "remove", check::header_name);
    let mut changes: Vec<_> = removed.into_iter().map(|name| HeaderChange::Remove { name }).collect();
    let mut last = String::new();
    for (name, value) in fields(reader, &table, "set") {
        // Of a list the first takes the place of what stands there, and the others come to it.
        let is_same = std::mem::replace(&mut last, name.clone()) == name;
        changes.push(if is_same {
            HeaderChange::Add { name, value }
        } else {
            HeaderChange::Set { name, value }
        });
    }
    for (name, value) in fields(reader, &table, "add") {
        changes.push(HeaderChange::Add { name, value });
    }
    changes
}

/// Names and values of headers under a key.
fn fields(reader: &mut Reader, table: &Table<'_>, key: &str) -> Vec<(String, String)> {
    let Some(table) = reader.table_at(table, key) else { return Vec::new() };
    let mut fields = Vec::new();
    for (name, at, _) in table.in_order() {
        if let Err(words) = check::header_name(name) {
            reader.wrong(at, &table.path, words);
        }
        for (value, at) in reader.texts(&table, name) {
            match check::header_value(&value) {
                Ok(()) => fields.push((name.to_owned(), value)),
                Err(words) => reader.wrong(at, &table.to(name), words),
            }
        }
    }
    fields
}

fn replacements(reader: &mut Reader, table: &Table<'_>) -> Vec<Replace> {
    let allowed = "a list of { find = \"…\", with = \"…\" } and { regex = \"…\", with = \"…\" }";
    let tables = reader.tables(table, "replace", allowed);
    tables.iter().filter_map(|table| replacement(reader, table)).collect()
}

fn replacement(reader: &mut Reader, table: &Table<'_>) -> Option<Replace> {
    reader.known(table, &["find", "regex", "with"]);
    if table.has("find") == table.has("regex") {
        reader.wrong(
            table.at,
            &table.path,
            "what is looked for is not clear; allowed: either `find` or `regex`",
        );
    }
    if !table.has("with") {
        reader.wrong(table.at, &table.to("with"), "this is missing; allowed: a string, which may be empty");
    }
    let with = reader.text(table, "with");
    let what = match (reader.text(table, "find"), reader.text(table, "regex")) {
        (Some((find, at)), _) => {
            if find.is_empty() {
                reader.wrong(
                    at,
                    &table.to("find"),
                    "this is empty, and would be found everywhere; allowed: a text",
                );
            }
            What::Text(find)
        }
        (None, Some((regex, at))) => {
            let regex = match RegexBuilder::new(&regex).size_limit(MAX_REGEX_BYTES).build() {
                Ok(regex) => regex,
                Err(error) => {
                    reader.wrong(
                        at,
                        &table.to("regex"),
                        format!("{regex:?} is no regex: {}", in_short(&error)),
                    );
                    return None;
                }
            };
            if let Some((with, at)) = &with {
                for group in unknown_groups(&regex, with) {
                    let words =
                        format!("the regex has no group `{group}`; allowed: ${{name}}, $1, and $$ for a $");
                    reader.wrong(*at, &table.to("with"), words);
                }
            }
            What::Regex(regex)
        }
        (None, None) => return None,
    };
    Some(Replace { what, with: with?.0 })
}

/// The last line says what is wrong; those before it draw where.
fn in_short(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// `is_of_messages`: what is blocked is a message, and gets an error of its protocol.
fn instead(reader: &mut Reader, table: &Table<'_>, name: &str, is_of_messages: bool) -> Option<Instead> {
    let table = reader.table_at(table, "block")?;
    if is_of_messages {
        reader.known(&table, &["message"]);
        let message = reader.text(&table, "message");
        let message = message.map_or_else(|| format!("blocked by rule {name:?}"), |(message, _)| message);
        return Some(Instead::Refuse(message));
    }
    let of_answer = ["status", "type", "message", "body", "content_type", "headers"];
    reader.known(&table, &[&["abort"], &of_answer[..]].concat());
    if reader.flag(&table, "abort") == Some(true) {
        if let Some(key) = of_answer.iter().find(|key| table.has(key)) {
            reader.wrong(table.at, &table.to(key), "who breaks off says nothing; allowed: abort alone");
        }
        return Some(Instead::Abort);
    }
    let status = reader.integer(&table, "status", 200..=599).map_or(403, |(status, _)| status);
    let status = u16::try_from(status).unwrap_or(403);
    let mut headers = fields(reader, &table, "headers");
    headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
    let content_type = reader.text(&table, "content_type").and_then(|(text, at)| {
        let checked =
            check::header_value(&text).map_err(|words| reader.wrong(at, &table.to("content_type"), words));
        checked.ok().map(|()| text)
    });
    let body = match reader.text(&table, "body") {
        Some((body, _)) => {
            if let Some(key) = ["type", "message"].iter().find(|key| table.has(key)) {
                let words =
                    "this stands in the body that is made without one; allowed: either `body` or this";
                reader.wrong(table.at, &table.to(key), words);
            }
            headers.push((
                "content-type".into(),
                content_type.unwrap_or_else(|| "text/plain; charset=utf-8".into()),
            ));
            body.into_bytes()
        }
        None => {
            if table.has("content_type") {
                let words = "the error that is made without a `body` is JSON; allowed: with `body` alone";
                reader.wrong(table.at, &table.to("content_type"), words);
            }
            let kind =
                reader.text(&table, "type").map_or_else(|| kind_of(status).to_owned(), |(kind, _)| kind);
            let message = reader.text(&table, "message");
            let message = message
                .map_or_else(|| format!("claude-trace: blocked by rule {name:?}"), |(message, _)| message);
            headers.push(("content-type".into(), "application/json".into()));
            let error = serde_json::json!({"type": kind, "message": message});
            serde_json::json!({"type": "error", "error": error}).to_string().into_bytes()
        }
    };
    let has_none = matches!(status, 204 | 205 | 304);
    if has_none && !table.has("body") {
        headers.retain(|(name, _)| name != "content-type");
        return Some(Instead::Answer(Reply { status, headers, body: Vec::new() }));
    }
    if has_none {
        let at = table.get("body").map_or(table.at, |body| body.span().start);
        reader.wrong(
            at,
            &table.to("body"),
            format!("an answer of status {status} has no body; allowed: another status"),
        );
    }
    Some(Instead::Answer(Reply { status, headers, body }))
}

/// What the Anthropic API says with a status.
fn kind_of(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    }
}
