//! Who may use the forward proxy: whoever has the token of this run (`Proxy-Authorization: Basic`, RFC 7617). Pure.
//!
//! A forward proxy goes wherever it is asked to, and a port of this machine is open to all its users and to whatever page a
//! browser shows: so it asks for a password that only the launched client was told.

use crate::proxy::Token;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use http::header::PROXY_AUTHORIZATION;

/// The name that goes with the token. Nobody looks at it.
const USER: &str = "claude-trace";

/// Whether a request shows the token.
pub fn admits(token: &Token, headers: &HeaderMap) -> bool {
    let mut shown = headers.get_all(PROXY_AUTHORIZATION).iter();
    match (shown.next(), shown.next()) {
        (Some(one), None) => password(one.as_bytes()).is_some_and(|password| token.is(&password)),
        _ => false,
    }
}

/// What a client is told: a URL that carries the token.
pub fn url(token: &Token, address: std::net::SocketAddr) -> String {
    format!("http://{USER}:{}@{address}", token.text())
}

/// The password of Basic credentials.
pub fn password(field: &[u8]) -> Option<Vec<u8>> {
    let (scheme, rest) = field.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let pair = BASE64_STANDARD.decode(rest.trim_ascii()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    const TOKEN: &str = "0123456789abcdef";

    fn admitted(fields: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(PROXY_AUTHORIZATION, HeaderValue::from_str(field).unwrap());
        }
        admits(&TOKEN.parse().unwrap(), &headers)
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(pair))
    }

    #[test]
    fn the_token_is_the_password_whatever_the_name() {
        for pair in ["claude-trace:0123456789abcdef", ":0123456789abcdef", "x:0123456789abcdef"] {
            assert!(admitted(&[&basic(pair)]), "{pair}");
        }
        assert!(admitted(&[&basic("x:0123456789abcdef").replace("Basic", "bASIC ")]));
    }

    #[test]
    fn nothing_else_gets_in() {
        let right = basic("x:0123456789abcdef");
        for fields in [
            &[][..],
            &[""],
            &["Basic"],
            &["Basic "],
            &["Basic !"],
            &[&basic("0123456789abcdef")],
            &[&basic("0123456789abcdef:")],
            &[&basic("x:0123456789abcdeF")],
            &[&basic("x:0123456789abcdef0")],
            &[&basic("x:y:0123456789abcdef")],
            &[&right.replace("Basic", "Bearer")],
            &[TOKEN],
            &[&right, &right],
        ] {
            assert!(!admitted(fields), "{fields:?}");
        }
    }

    proptest! {
        #[test]
        fn any_field_is_read(field in proptest::collection::vec(any::<u8>(), 0..60)) {
            password(&field);
            let pair = [b"user:", &field[..]].concat();
            let shown = [b"Basic ", BASE64_STANDARD.encode(pair).as_bytes()].concat();
            prop_assert_eq!(password(&shown), Some(field));
        }
    }
}
