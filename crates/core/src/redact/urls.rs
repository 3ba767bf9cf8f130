//! Takes credentials out of URLs.

use memchr::memrchr;

use super::names;

/// Stands for a hidden part of a URL. Without the brackets it has in fields: in the user part of an authority they
/// make the URL one that Go and Python refuse to parse.
const REDACTED: &[u8] = b"REDACTED";

/// Appends `text`, with the user part of each URL in it and the values of credential parameters replaced.
///
/// Takes any text (a URL, a reference, a `Link` list, a sentence that quotes a URL) and never looks back, so its cost is
/// linear. A parameter begins at `?`, `&`, `;` or `#` (implicit grants answer in the fragment). A hidden value extends
/// over `;`, `,`, `/` and `?`, which may be part of it: rather too much is hidden than the second half shown.
pub(super) fn redact(text: &[u8], out: &mut Vec<u8>) {
    // All before this is in `out`.
    let mut copied = 0;
    let mut at = 0;
    while at < text.len() {
        let hidden = match text[at] {
            b'/' if text[at..].starts_with(b"//") && (at == 0 || text[at - 1] == b':') => {
                user_part(text, at + 2)
            }
            b'?' | b'&' | b';' | b'#' => credential_value(text, at + 1),
            _ => None,
        };
        match hidden {
            Some((from, to)) => {
                out.extend_from_slice(&text[copied..from]);
                out.extend_from_slice(REDACTED);
                copied = to;
                at = to;
            }
            None => at += 1,
        }
    }
    out.extend_from_slice(&text[copied..]);
}

/// Where the user part (`user:password`, without the `@`) of the authority at `from` lies.
fn user_part(text: &[u8], from: usize) -> Option<(usize, usize)> {
    let to = end(text, from, |byte| matches!(byte, b'/' | b'?' | b'#') || is_outside(byte));
    // The last `@` ends it: browsers, curl and Node take those before for part of the password.
    let length = memrchr(b'@', &text[from..to])?;
    (length > 0).then_some((from, from + length))
}

/// Where the value of the parameter at `from` lies, if it is a credential.
fn credential_value(text: &[u8], from: usize) -> Option<(usize, usize)> {
    let is_name_end = |byte| matches!(byte, b'=' | b'&' | b';' | b'#' | b'?') || is_outside(byte);
    let name_end = end(text, from, is_name_end);
    if text.get(name_end) != Some(&b'=') || !names::is_credential_parameter(&text[from..name_end]) {
        return None;
    }
    let value = name_end + 1;
    let value_end = end(text, value, |byte| matches!(byte, b'&' | b'#') || is_outside(byte));
    (value_end > value).then_some((value, value_end))
}

/// Whether no URL can go on over this byte, as serialised: then it belongs to the text around one.
fn is_outside(byte: u8) -> bool {
    byte <= b' ' || matches!(byte, b'>' | b'"')
}

fn end(text: &[u8], from: usize, ends: impl Fn(u8) -> bool) -> usize {
    text[from..].iter().position(|byte| ends(*byte)).map_or(text.len(), |length| from + length)
}
