use proptest::collection::vec;
use proptest::prelude::*;

use super::names::{Meaning, is_credential_parameter, of_field};
use super::*;

fn request(origin: &str, head: &str) -> String {
    String::from_utf8(Redactor::default().request_head(origin, head.as_bytes()).to_vec()).unwrap()
}

fn response(head: &str) -> String {
    String::from_utf8(Redactor::default().response_head(head.as_bytes()).to_vec()).unwrap()
}

fn field(line: &str) -> String {
    String::from_utf8(Redactor::default().trailers(line.as_bytes()).to_vec()).unwrap()
}

fn url(target: &str) -> String {
    let line = request("https://h", &format!("GET {target} HTTP/1.1\r\n"));
    line.trim_start_matches("GET ").trim_end_matches(" HTTP/1.1\r\n").to_string()
}

const HIDDEN_FIELDS: &str = "
    Authorization Proxy-Authorization x-api-key x-auth-token x-session-token x-access-token x-bearer-token
    my-authorization-2
    x-amz-security-token x-amz-signature x-amz-credential x-goog-api-key x-goog-iam-authorization-token
    x-goog-iap-jwt-assertion api-key ocp-apim-subscription-key x-functions-key x-ms-token-aad-access-token
    x-ms-authorization-auxiliary x-primary-key x-amz-server-side-encryption-customer-key
    cf-access-client-secret cf-access-jwt-assertion cf-aig-authorization x-auth-key helicone-auth
    x-litellm-api-key x-portkey-api-key x-portkey-virtual-key x-portkey-config xi-api-key
    private-token x-gitlab-token x-vault-token x-csrf-token X-CSRFToken x-github-otp dpop x-hub-signature
    x-backend-key x-async-token X_API_KEY XApiKey token auth key";

const WHOLLY_HIDDEN_FIELDS: &str = "cookie set-cookie Set-Cookie2 x-cookie-jar x-password x-ssh-passphrase";

/// Rate limits and token counts; keys and tokens that open nothing; who asks, not with what; CORS and policies; the rest.
const SHOWN_FIELDS: &str = "
    anthropic-ratelimit-tokens-remaining anthropic-ratelimit-input-tokens-limit
    anthropic-ratelimit-unified-5h-reset x-ratelimit-limit-tokens x-ratelimit-remaining-tokens
    x-ratelimit-remaining-token x-amzn-bedrock-input-token-count x-amzn-bedrock-output-token-count
    x-amzn-bedrock-cache-read-input-token-count x-max-tokens
    idempotency-key x-idempotency-key sec-websocket-key surrogate-key x-cache-key x-next-token
    x-continuation-token x-amz-server-side-encryption-aws-kms-key-id
    x-amz-server-side-encryption-customer-key-md5
    anthropic-organization-id openai-organization openai-project x-goog-user-project x-goog-api-client
    cf-access-client-id chatgpt-account-id mcp-session-id x-session-id authority x-author
    x-forwarded-client-cert x-amz-content-sha256 x-amz-request-id
    access-control-allow-credentials access-control-allow-headers content-security-policy
    strict-transport-security
    anthropic-version anthropic-beta x-stainless-retry-count x-app user-agent content-type content-length date
    etag request-id retry-after server-timing";

const HIDDEN_PARAMETERS: &str = "
    key api_key api-key apiKey APIKEY access_token token id_token refresh_token auth authorization secret
    client_secret password pwd sig signature X-Amz-Signature X-Amz-Credential X-Amz-Security-Token
    X-Goog-Signature X-Goog-Credential subscription-key code code_verifier client_assertion AWSAccessKeyId hmac
    jwt %6bey api%5Fkey %4B%45%59 user[password] auth[token]";

const SHOWN_PARAMETERS: &str = "
    beta alt model max_tokens pageToken page_token nextPageToken continuation-token idempotency_key
    partitionKey X-Amz-Algorithm X-Amz-Date X-Amz-Expires api-version author codec postal_code_2 sv se sp state
    monkeys tokenizer key-pair-id % %6 %zz";

#[test]
fn knows_the_fields_that_hold_credentials() {
    for (names, meaning) in [
        (HIDDEN_FIELDS, Meaning::Credential),
        (WHOLLY_HIDDEN_FIELDS, Meaning::Secret),
        (SHOWN_FIELDS, Meaning::Other),
    ] {
        for name in names.split_whitespace() {
            assert_eq!(of_field(name.as_bytes()), meaning, "{name}");
        }
    }
    assert_eq!(of_field(b""), Meaning::Other);
}

#[test]
fn knows_the_parameters_that_hold_credentials() {
    for (names, is_hidden) in [(HIDDEN_PARAMETERS, true), (SHOWN_PARAMETERS, false)] {
        for name in names.split_whitespace() {
            assert_eq!(is_credential_parameter(name.as_bytes()), is_hidden, "{name}");
        }
    }
    assert!(!is_credential_parameter(b""));
}

#[test]
fn a_name_too_long_to_look_at_is_taken_for_a_credential() {
    let long = format!("{}-x", "a".repeat(96));
    assert_eq!(of_field(long.as_bytes()), Meaning::Secret);
    assert!(is_credential_parameter(long.as_bytes()));
}

#[test]
fn shows_the_ends_of_long_values_only() {
    assert_eq!(field("x-api-key: sk-ant-api03-aaaaaaaaaaaazzzz\r\n"), "x-api-key: sk-ant-api...zzzz\r\n");
    assert_eq!(field("x-api-key: 123456789012345678901234567\r\n"), "x-api-key: [REDACTED]\r\n");
    assert_eq!(field("x-api-key: 1234567890123456789012345678\r\n"), "x-api-key: 1234567890...5678\r\n");
    assert_eq!(field("authorization: Bearer sk-xxxxxxxxxxxxxxxyyyy\n"), "authorization: Bearer sk-...yyyy\n");
    assert_eq!(field("X-Api-Key:\r\n"), "X-Api-Key:\r\n");
}

#[test]
fn never_cuts_a_utf8_sequence() {
    for shift in 0..4 {
        let value = format!("{}{}", "a".repeat(shift), "😀é日".repeat(6));
        let hidden = field(&format!("x-api-key: {value}\r\n"));
        assert!(hidden.len() < value.len(), "{hidden}");
        assert!(hidden.contains("..."), "{hidden}");
    }
}

#[test]
fn hides_cookies_and_passwords_whole() {
    let long = "a".repeat(100);
    assert_eq!(field(&format!("set-cookie: {long}; Path=/\r\n")), "set-cookie: [REDACTED]\r\n");
    assert_eq!(field(&format!("Cookie: a={long}\r\n")), "Cookie: [REDACTED]\r\n");
    assert_eq!(field(&format!("authorization: Basic {long}\r\n")), "authorization: [REDACTED]\r\n");
    assert_eq!(field("x-upstream: basic dXNlcjpwYXNz\r\n"), "x-upstream: [REDACTED]\r\n");
}

#[test]
fn knows_a_bearer_under_any_name_but_not_a_challenge() {
    assert_eq!(field("x-upstream: Bearer abc\r\n"), "x-upstream: [REDACTED]\r\n");
    for challenge in ["www-authenticate: Bearer realm=\"x\"\r\n", "proxy-authenticate: Basic realm=\"y\"\r\n"]
    {
        assert_eq!(field(challenge), challenge);
    }
}

#[test]
fn knows_keys_among_subprotocols() {
    let plain = "sec-websocket-protocol: realtime, openai-beta.realtime-v1\r\n";
    assert_eq!(field(plain), plain);
    assert_eq!(
        field("sec-websocket-protocol: realtime, openai-insecure-api-key.sk-proj-abcdefghijklmnop\r\n"),
        "sec-websocket-protocol: [REDACTED]\r\n"
    );
}

#[test]
fn hides_the_continuation_of_a_hidden_field() {
    assert_eq!(
        field("a: 1\r\nauthorization: Bearer\r\n sk-ant-secret\r\nsk-second\r\nb: 2\r\n"),
        "a: 1\r\nauthorization: [REDACTED]\r\n [REDACTED]\r\n[REDACTED]\r\nb: 2\r\n"
    );
}

#[test]
fn makes_targets_absolute() {
    let origin = "https://api.anthropic.com";
    let line = |target: &str| request(origin, &format!("POST {target} HTTP/1.1\r\n"));
    assert_eq!(
        line("/v1/messages?beta=true"),
        "POST https://api.anthropic.com/v1/messages?beta=true HTTP/1.1\r\n"
    );
    assert_eq!(line("http://other/v1"), "POST http://other/v1 HTTP/1.1\r\n");
    assert_eq!(line("?a=1"), "POST https://api.anthropic.com?a=1 HTTP/1.1\r\n");
    assert_eq!(line("*"), "POST https://api.anthropic.com/* HTTP/1.1\r\n");
    assert_eq!(line("/proxy/http://x/"), "POST https://api.anthropic.com/proxy/http://x/ HTTP/1.1\r\n");
    assert_eq!(request(origin, ""), " https://api.anthropic.com");
}

#[test]
fn hides_credentials_in_urls() {
    let cases = [
        ("/v1?key=AIzaSecret", "https://h/v1?key=REDACTED"),
        ("/v1?alt=sse&KEY=AIzaSecret&x=1", "https://h/v1?alt=sse&KEY=REDACTED&x=1"),
        ("/v1?a=1;token=a;b/c?d,e&z=2", "https://h/v1?a=1;token=REDACTED&z=2"),
        ("/v1?%6Bey=s&key=&x", "https://h/v1?%6Bey=REDACTED&key=&x"),
        ("/v1?key=a&key=b", "https://h/v1?key=REDACTED&key=REDACTED"),
        ("/v1?q=/cb?token=abc", "https://h/v1?q=/cb?token=REDACTED"),
        ("/v1?a=1#token=abc", "https://h/v1?a=1"),
        ("https://u:p@x/v1", "https://REDACTED@x/v1"),
        ("https://u:p@q@x?token=1", "https://REDACTED@x?token=REDACTED"),
        ("/proxy/https://u:p@x/v1", "https://h/proxy/https://REDACTED@x/v1"),
        ("/@scope//name@1.0/", "https://h/@scope//name@1.0/"),
        ("/v1/messages?beta=true", "https://h/v1/messages?beta=true"),
    ];
    for (target, expected) in cases {
        assert_eq!(url(target), expected);
    }
    assert_eq!(request("https://u:p@h", "GET / HTTP/1.1\r\n"), "GET https://REDACTED@h/ HTTP/1.1\r\n");
}

#[test]
fn hides_credentials_in_fields_that_hold_urls() {
    let cases = [
        ("location: /cb?code=abc&state=1\r\n", "location: /cb?code=REDACTED&state=1\r\n"),
        ("Location: //u:p@x/\r\n", "Location: //REDACTED@x/\r\n"),
        (
            "location: x#access_token=abc&token_type=b\r\n",
            "location: x#access_token=REDACTED&token_type=b\r\n",
        ),
        ("referer: https://x/?token=abc\r\n", "referer: https://x/?token=REDACTED\r\n"),
        ("operation-location: https://x/?sig=abc\r\n", "operation-location: https://x/?sig=REDACTED\r\n"),
        ("x-socket: wss://u:p@x/\r\n", "x-socket: wss://REDACTED@x/\r\n"),
        (
            "link: <https://x/?token=a&page=2>; rel=next, <https://u@y/?key=b>; rel=last\r\n",
            "link: <https://x/?token=REDACTED&page=2>; rel=next, <https://REDACTED@y/?key=REDACTED>; rel=last\r\n",
        ),
    ];
    for (line, expected) in cases {
        assert_eq!(field(line), expected);
    }
}

#[test]
fn keeps_responses_as_they_are() {
    let plain = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nanthropic-ratelimit-tokens-remaining: 1\r\n\r\n";
    assert_eq!(response(plain), plain);
    assert_eq!(response("HTTP/1.1 200\nSet-Cookie: a=b\n"), "HTTP/1.1 200\nSet-Cookie: [REDACTED]\n");
    assert_eq!(response("x-api-key: abc"), "x-api-key: [REDACTED]");
}

#[test]
fn hides_credentials_in_errors() {
    let mut redactor = Redactor::default();
    let out = redactor
        .error_text(b"ECONNREFUSED\nrequest to https://u:p@x/v1?key=abc failed, reason: \"?token=b\"");
    assert_eq!(
        std::str::from_utf8(out).unwrap(),
        "ECONNREFUSED\nrequest to https://REDACTED@x/v1?key=REDACTED failed, reason: \"?token=REDACTED\""
    );
}

/// A field line and, if it must be hidden, the secret in it.
fn any_field() -> impl Strategy<Value = (String, Option<String>)> {
    let secret = "[A-Za-z0-9_./+=;,-]{15,90}";
    let credential = prop::sample::select(vec![
        "authorization",
        "X-Api-Key",
        "cookie",
        "Set-Cookie",
        "x-goog-api-key",
        "api-key",
        "x-amz-security-token",
    ]);
    let parameter =
        prop::sample::select(vec!["key", "api_key", "access%5Ftoken", "sig", "code", "X-Amz-Signature"]);
    let plain = prop::sample::select(vec![
        "content-type",
        "anthropic-version",
        "User-Agent",
        "anthropic-ratelimit-tokens-remaining",
        "x-app",
    ]);
    prop_oneof![
        (credential.clone(), secret)
            .prop_map(|(name, secret)| (format!("{name}: {secret}\r\n"), Some(secret))),
        (credential, secret)
            .prop_map(|(name, secret)| (format!("{name}:  Bearer {secret}\t\r\n"), Some(secret))),
        (parameter, secret).prop_map(|(name, secret)| {
            (format!("location: https://h/p?a=1&{name}={secret}&b=2\r\n"), Some(secret))
        }),
        secret.prop_map(|secret| (
            format!("referer: https://u:{0}@h/\r\n", secret.replace('/', "_")),
            Some(secret)
        )),
        (plain, "[ -~é日]{0,80}").prop_map(|(name, value)| {
            // A value that begins like a URL or a scheme is another matter.
            (format!("{name}: é{value}\r\n"), None)
        }),
    ]
}

proptest! {
    #[test]
    fn no_secret_survives_and_all_else_does(fields in vec(any_field(), 0..12), secret in "[a-z0-9]{15,60}") {
        let mut head = format!("POST https://u:{secret}@h/v1?beta=true&key={secret} HTTP/1.1\r\n");
        let mut plain = String::new();
        for (line, hidden) in &fields {
            head.push_str(line);
            if hidden.is_none() {
                plain.push_str(line);
            }
        }
        let redacted = request("https://h", &head);
        let secrets = fields.iter().filter_map(|(_, secret)| secret.as_ref()).chain([&secret]);
        for secret in secrets {
            for at in 0..=secret.len() - 15 {
                prop_assert!(!redacted.contains(&secret[at..at + 15]), "{redacted}");
            }
        }
        let kept: String = redacted
            .split_inclusive("\r\n")
            .filter(|line| line.contains(": é"))
            .collect();
        prop_assert_eq!(kept, plain);
        prop_assert_eq!(redacted.lines().count(), head.lines().count());
    }

    #[test]
    fn no_bytes_are_too_odd(origin in "\\PC{0,20}", head in vec(prop_oneof![
        prop::sample::select(b"\r\n:/?&=#@%; \"".to_vec()), prop::sample::select(b"keytokn".to_vec()), any::<u8>()], 0..200)
    ) {
        // One for all four: what it remembers of one head must not show in another.
        let mut redactor = Redactor::default();
        redactor.request_head(&origin, &head);
        redactor.response_head(&head);
        redactor.trailers(&head);
        let text = redactor.error_text(&head).to_vec();
        let again = redactor.request_head(&origin, &head).to_vec();
        prop_assert_eq!(Redactor::default().request_head(&origin, &head).to_vec(), again);
        let again = redactor.response_head(&head).to_vec();
        prop_assert_eq!(Redactor::default().response_head(&head).to_vec(), again);
        prop_assert_eq!(Redactor::default().error_text(&head).to_vec(), text);
    }

    #[test]
    fn what_was_seen_before_changes_nothing(heads in vec(vec((0..LINES.len(), 0..3_u8, any::<bool>()), 0..12), 0..8)) {
        let mut redactor = Redactor::default();
        for lines in heads {
            let lines = lines.iter().map(|(line, value, crlf)| {
                format!("{}{}{}", LINES[*line], if *value == 0 { String::new() } else { value.to_string() }, if *crlf { "\r\n" } else { "\n" })
            });
            let lines: String = lines.collect();
            let head = format!("POST /v1 HTTP/1.1\r\n{lines}");
            let again = redactor.request_head("https://h", head.as_bytes()).to_vec();
            prop_assert_eq!(Redactor::default().request_head("https://h", head.as_bytes()).to_vec(), again);
            let again = redactor.response_head(lines.trim_end().as_bytes()).to_vec();
            prop_assert_eq!(Redactor::default().response_head(lines.trim_end().as_bytes()).to_vec(), again);
        }
    }
}

/// Lines of all sorts, credentials as they are and as they look when hidden among them.
const LINES: [&str; 14] = [
    "host: a",
    "content-length: 1",
    "x-api-key: sk-ant-api03-0123456789-0123456789",
    "x-api-key: sk-ant-api...6789",
    "cookie: [REDACTED]",
    "cookie: a=b",
    " folded: bearer abc",
    "\tmore",
    "no colon",
    ": no name",
    "x-secret:",
    "link: <https://u:p@h/?token=1>",
    "",
    "x: bearer abcdefg",
];
