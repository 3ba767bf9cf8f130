//! Which names are names of credentials.
//!
//! A rule errs on the side of hiding: a value hidden for nothing costs a reader one look, a key shown is a key to be
//! replaced. What must stay readable is named below: rate limits, token counts, idempotency and cache keys, challenges.
//! Names are compared *folded*, lower case and without anything but letters and digits: `X-Api-Key`, `api_key`,
//! `user[apiKey]` and `api%5Fkey` are one name.

/// What a field's name says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A key, token or signature.
    Credential,
    /// A credential of which not even the ends may be shown.
    Secret,
    /// One or more URLs.
    Urls,
    /// `sec-websocket-protocol`.
    Subprotocols,
    /// What a server says of the credentials it wants: no secret, though it may begin with `Bearer`.
    Challenge,
    /// Nothing.
    Other,
}

/// The longest folded name that is looked at. No credential's name known is half as long; a longer name is taken for
/// one unseen, so that length is no way around the rules.
const MAX_FOLDED: usize = 96;

/// What the field of that name holds.
pub(super) fn of_field(name: &[u8]) -> Meaning {
    let mut buffer = [0; MAX_FOLDED];
    let Some(name) = fold(name.iter().copied(), &mut buffer) else { return Meaning::Secret };
    match name {
        b"location" | b"contentlocation" | b"referer" | b"referrer" | b"link" | b"refresh"
        | b"destination" => Meaning::Urls,
        b"wwwauthenticate" | b"proxyauthenticate" => Meaning::Challenge,
        b"secwebsocketprotocol" => Meaning::Subprotocols,
        // Its one word is a proof of possession; AWS's load balancer and Portkey put credentials under plain names.
        b"dpop" | b"xamznoidcdata" | b"xportkeyconfig" => Meaning::Credential,
        // CORS speaks of credentials all the time and never holds one.
        _ if name.starts_with(b"accesscontrol") => Meaning::Other,
        _ => match scan(name) {
            Scan::Secret => Meaning::Secret,
            Scan::Credential => Meaning::Credential,
            Scan::Nothing if has_credential_ending(name) => Meaning::Credential,
            Scan::Nothing => Meaning::Other,
        },
    }
}

/// Whether the URL parameter of that (percent-encoded) name holds a credential.
pub(super) fn is_credential_parameter(name: &[u8]) -> bool {
    let mut buffer = [0; MAX_FOLDED];
    let Some(name) = fold(PercentDecoded(name), &mut buffer) else { return true };
    matches!(
        name,
        b"sig"
            | b"hmac"
            | b"code"
            | b"codeverifier"
            | b"devicecode"
            | b"usercode"
            | b"authcode"
            | b"pwd"
            | b"pass"
            | b"awsaccesskeyid"
            | b"samlresponse"
    ) || scan(name) != Scan::Nothing
        || has_credential_ending(name)
}

/// Whether a word of a credential's name stands anywhere in `text`.
pub(super) fn speaks_of_credentials(text: &[u8]) -> bool {
    fold(text.iter().copied(), &mut [0; MAX_FOLDED]).is_none_or(|folded| scan(folded) != Scan::Nothing)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scan {
    Nothing,
    Credential,
    Secret,
}

/// The words that make a credential of any name they stand in: upstream's list and its like.
const WORDS: [(&[u8], Scan); 15] = [
    (b"authorization", Scan::Credential),
    (b"apikey", Scan::Credential),
    (b"authtoken", Scan::Credential),
    (b"accesstoken", Scan::Credential),
    (b"bearer", Scan::Credential),
    (b"cookie", Scan::Secret),
    (b"credential", Scan::Credential),
    (b"jwt", Scan::Credential),
    (b"password", Scan::Secret),
    (b"passwd", Scan::Secret),
    (b"passphrase", Scan::Secret),
    (b"refreshtoken", Scan::Credential),
    (b"secret", Scan::Credential),
    (b"securitytoken", Scan::Credential),
    (b"sessiontoken", Scan::Credential),
];

/// By a word's first letter: which letters, as bits, come second and third in the words that begin so. Comparing all
/// words at every letter of every name would take most of the budget; this leaves a few places to compare at.
const BEGINNINGS: [[u32; 2]; 32] = {
    let mut beginnings = [[0; 2]; 32];
    let mut index = 0;
    while index < WORDS.len() {
        let word = WORDS[index].0;
        let first = letter(word[0]) as usize;
        beginnings[first][0] |= 1 << letter(word[1]);
        beginnings[first][1] |= 1 << letter(word[2]);
        index += 1;
    }
    beginnings
};

/// 1 to 26; a digit goes with some letter.
const fn letter(byte: u8) -> u8 {
    byte & 31
}

/// Looks for [`WORDS`] in a folded name.
fn scan(name: &[u8]) -> Scan {
    let mut found = Scan::Nothing;
    for (at, start) in name.windows(3).enumerate() {
        let [second, third] = BEGINNINGS[usize::from(letter(start[0]))];
        if (second >> letter(start[1])) & (third >> letter(start[2])) & 1 == 0 {
            continue;
        }
        for (word, meaning) in &WORDS {
            if name[at..].starts_with(word) {
                if *meaning == Scan::Secret {
                    return Scan::Secret;
                }
                found = *meaning;
            }
        }
    }
    found
}

/// Whether the last word is one that credentials' names end in, and the word before it does not say otherwise.
fn has_credential_ending(name: &[u8]) -> bool {
    match name.last() {
        Some(b'n') if name.ends_with(b"token") => {
            let of = &name[..name.len() - b"token".len()];
            let is_place_in_a_list = ends(of, &[b"page", b"next", b"continuation", b"pagination"]);
            let is_identity = ends(of, &[b"idempotency", b"clientrequest"]);
            !is_place_in_a_list && !is_identity && memchr::memmem::find(of, b"ratelimit").is_none()
        }
        Some(b'n') => name.ends_with(b"assertion"),
        Some(b'y') if name.ends_with(b"key") => {
            let of = &name[..name.len() - b"key".len()];
            let is_identity = ends(of, &[b"idempotency", b"cache", b"surrogate", b"partition", b"routing"]);
            !is_identity && !ends(of, &[b"public", b"websocket"])
        }
        Some(b'h') => name.ends_with(b"auth"),
        Some(b'e') => name.ends_with(b"signature"),
        Some(b'p') => name.ends_with(b"otp"),
        _ => false,
    }
}

fn ends(text: &[u8], words: &[&[u8]]) -> bool {
    words.iter().any(|word| text.ends_with(word))
}

/// What a byte of a name is when folded; 0 is nothing.
const FOLDED: [u8; 256] = {
    let mut folded = [0; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_alphanumeric() {
            folded[byte as usize] = byte.to_ascii_lowercase();
        }
        byte += 1;
    }
    folded
};

/// The folded name, written to `buffer`. `None`: longer than that.
fn fold(name: impl Iterator<Item = u8>, buffer: &mut [u8; MAX_FOLDED]) -> Option<&[u8]> {
    let mut length = 0;
    for byte in name {
        // Always written, and kept if it counts: no branch on what names are made of.
        let folded = FOLDED[usize::from(byte)];
        *buffer.get_mut(length)? = folded;
        length += usize::from(folded != 0);
    }
    Some(&buffer[..length])
}

/// The bytes that a percent-encoded text stands for; a `%` that begins no escape stands for itself.
struct PercentDecoded<'a>(&'a [u8]);

impl Iterator for PercentDecoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if let [b'%', high, low, rest @ ..] = self.0
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            self.0 = rest;
            return Some(high << 4 | low);
        }
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}
