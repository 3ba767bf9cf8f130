//! What may stand in a rule: names and values of headers, hosts, paths, durations. Pure.

use std::time::Duration;

/// The longest delay.
const MAX_DELAY: Duration = Duration::from_secs(600);
pub(super) const DURATIONS: &str = "\"250ms\", \"1.5s\" or \"2m\", up to 10m";
/// They say where a message ends, how it is written or what its connection does: that is the proxy's.
const FRAMING: [&str; 14] = [
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What is wrong with the name of a header.
pub(super) fn header_name(name: &str) -> Result<(), String> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(format!("{name:?} is no name of a header; allowed: letters, digits and !#$%&'*+-.^_`|~"));
    }
    if FRAMING.iter().any(|known| name.eq_ignore_ascii_case(known)) {
        return Err(format!(
            "`{name}` says how the message is sent, which is the proxy's; allowed: any header but {}",
            FRAMING.join(", ")
        ));
    }
    Ok(())
}

/// What is wrong with the value of a header.
pub(super) fn header_value(value: &str) -> Result<(), String> {
    match value.chars().find(|letter| letter.is_control() && *letter != '\t') {
        Some(letter) => Err(format!("{letter:?} cannot stand in a header; allowed: text of one line")),
        None if value.trim() != value => {
            Err("white space around a value is lost on the way; allowed: a value without it".into())
        }
        None => Ok(()),
    }
}

/// What is wrong with a pattern of hosts.
pub(super) fn host(pattern: &str) -> Result<(), String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "*.-_:[]".contains(letter);
    if pattern.is_empty() || !pattern.chars().all(is_part) {
        return Err(format!("{pattern:?} is no host; allowed: host or host:port, with * for anything"));
    }
    Ok(())
}

/// What is wrong with a pattern of paths.
pub(super) fn path(pattern: &str) -> Result<(), String> {
    let is_part = |letter: char| letter.is_ascii_graphic() && !"?#".contains(letter);
    if !pattern.starts_with(['/', '*']) || !pattern.chars().all(is_part) {
        return Err(format!(
            "{pattern:?} is no path; allowed: one that begins with / or *, without the query"
        ));
    }
    Ok(())
}

/// What is wrong with a method, of HTTP or of JSON-RPC.
pub(super) fn method(method: &str) -> Result<(), String> {
    if method.is_empty() || method.contains(|letter: char| letter.is_control() || letter.is_whitespace()) {
        return Err(format!(
            "{method:?} is no method; allowed: GET, POST, …; tools/call, …, with * for anything"
        ));
    }
    Ok(())
}

/// Whether that is a method of HTTP, and none of JSON-RPC: those that everybody knows in any case, others in capitals.
pub(super) fn is_of_http(method: &str) -> bool {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    let is_spelled_so = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    KNOWN.iter().any(|known| known.eq_ignore_ascii_case(method))
        || (!method.is_empty() && method.bytes().all(is_spelled_so))
}

/// What is wrong with a pattern of methods or tools of MCP.
pub(super) fn name(pattern: &str) -> Result<(), String> {
    if pattern.is_empty() || pattern.chars().any(char::is_control) {
        return Err(format!("{pattern:?} is none; allowed: a name, with * for anything"));
    }
    Ok(())
}

/// What is wrong with a pattern of event types.
pub(super) fn kind(pattern: &str) -> Result<(), String> {
    if pattern.is_empty() || pattern.chars().any(char::is_control) {
        return Err(format!(
            "{pattern:?} is no type of an event; allowed: its `event` field, with * for anything; message if it has none"
        ));
    }
    Ok(())
}

/// A duration, or what is wrong with it.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration; allowed: {DURATIONS}");
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err(wrong()),
    };
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && digits.starts_with(|letter: char| letter.is_ascii_digit());
    let number: f64 = digits.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
    let duration = Duration::try_from_secs_f64(number * unit).map_err(|_| wrong())?;
    if duration > MAX_DELAY {
        return Err(format!("{text:?} is too long; allowed: {DURATIONS}"));
    }
    Ok(duration)
}
