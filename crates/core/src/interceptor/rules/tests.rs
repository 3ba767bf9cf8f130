use super::*;
use proptest::prelude::*;

fn mistakes(text: &str) -> String {
    match Rules::parse("rules.toml", text) {
        Ok(_) => String::new(),
        Err(mistakes) => mistakes.to_string(),
    }
}

/// The one mistake, without its file.
fn wrong(text: &str) -> String {
    let said = mistakes(text);
    assert_eq!(said.lines().count(), 1, "{said}");
    said.strip_prefix("rules.toml:").unwrap().to_owned()
}

/// A rule with these fields.
fn fields(fields: &str) -> String {
    format!("[[rule]]\nname = \"x\"\n{fields}\n")
}

#[test]
fn rules_of_a_relay_go_by_messages() {
    let read = |text: &str| Rules::read_for_messages("rules.toml", text.as_bytes());
    let file = fields(
        "match = { host = \"files\", method = \"tools/call\", tool = [\"delete_*\"] }\nblock.message = \"no\"",
    );
    let rules = read(&file).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert!(matches!(&rules.0[0].instead, Some(Instead::Refuse(words)) if words == "no"));
    assert!(rules.0[0].exchanges.methods.is_empty());
    // A proxy reads the same file.
    let proxied = Rules::read("rules.toml", file.as_bytes()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(format!("{rules:?}"), format!("{proxied:?}"));
    for (text, words) in [
        ("request.headers.set.a = \"b\"", "standard streams have no headers"),
        ("block.abort = true", "there is no `abort`"),
        ("block.status = 404", "there is no `status`"),
        ("match.tool = \"\"\nblock = {}", "\"\" is none"),
    ] {
        let said = read(&fields(text)).unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn methods_of_http_and_of_messages_are_told_apart() {
    let of = |list: &str| {
        let rules = Rules::parse("x", &fields(&format!("match.method = {list}\nblock = {{}}"))).unwrap();
        (rules.0[0].exchanges.methods.clone(), rules.0[0].exchanges.asked.len())
    };
    assert_eq!(of("[\"post\", \"Get\", \"MKCOL\"]"), (["post", "Get", "MKCOL"].map(String::from).into(), 0));
    assert_eq!(of("[\"ping\", \"tools/*\", \"*\"]"), (vec![], 3));
    for (text, words) in [
        (
            "match.method = [\"POST\", \"ping\"]\nblock = {}",
            "methods of HTTP and of JSON-RPC; allowed: either",
        ),
        ("match.method = \"tools/call\"\nblock.status = 429", "there is no `status`"),
        ("match.tool = \"x\"\nevents = { types = \"y\", drop = true }", "known by their `types`"),
    ] {
        let said = wrong(&fields(text));
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_whole_file_is_read() {
    let text = r#"
# What a file may hold.
[[rule]]
name = "headers"
order = 5
match = { host = "api.anthropic.com", path = ["/v1/messages", "/v1/messages/*"], method = "post" }
[rule.request]
delay = "250ms"
headers.remove = ["x-old"]
headers.set = { "X-New" = "1", "x-other" = ["2", "3"] }
headers.add = { "anthropic-beta" = ["a", "b"] }
replace = [{ find = "a", with = "b" }, { regex = '(?i)c(\d)', with = '$1$$' }]
[rule.response]
headers.set.x-seen = "yes"
replace = [{ find = "a", with = "" }]

[[rule]]
name = "events"
events = { types = ["content_block_delta", "message*"], delay = "1.5s", replace = [{ find = "a", with = "b" }] }

[[rule]]
name = "block"
order = -1
block.status = 429
block.headers = { retry-after = "2" }

[[rule]]
name = "slow, then gone"
request.delay = "2m"
block.abort = true
"#;
    let rules = Rules::parse("x", text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let names: Vec<_> = rules.names().collect();
    assert_eq!(names, ["block", "events", "slow, then gone", "headers"], "by order, then as they stand");
    assert_eq!(rules.len(), 4);
    let headers = &rules.0[3];
    let changes: Vec<String> = headers.request.headers.iter().map(|change| format!("{change:?}")).collect();
    assert_eq!(changes.len(), 6);
    assert!(changes[0].starts_with("Remove") && changes[1].contains("X-New"), "{changes:?}");
    assert!(changes[2].starts_with("Set") && changes[3].starts_with("Add"), "{changes:?}");
    assert!(!rules.registry().is_empty());
}

#[test]
fn every_mistake_is_told_with_its_place_in_one_go() {
    let text = "[[rule]]
name = \"one\"
matsch = { host = \"a\" }
request.delay = 5
request.headers.set = { \"content-length\" = \"1\", \"b c\" = \"x\" }
[[rule]]
nme = \"two\"
response.replace = [{ regex = '(', with = \"x\" }]
[rule.events]
types = []
delay = \"1 h\"
";
    let expected = "rules.toml:3:1: rule \"one\": there is no `matsch`; did you mean `match`? allowed: name, order, match, block, request, response, events
rules.toml:4:17: rule \"one\": request.delay: this is an integer; allowed: a string
rules.toml:5:25: rule \"one\": request.headers.set: `content-length` says how the message is sent, which is the proxy's; allowed: any header but connection, content-encoding, content-length, expect, host, http2-settings, keep-alive, proxy-authenticate, proxy-authorization, proxy-connection, te, trailer, transfer-encoding, upgrade
rules.toml:5:49: rule \"one\": request.headers.set: \"b c\" is no name of a header; allowed: letters, digits and !#$%&'*+-.^_`|~
rules.toml:6:1: rule 2: name: this is missing; allowed: a name of 1 to 100 characters, which stands in records
rules.toml:7:1: rule 2: there is no `nme`; did you mean `name`? allowed: name, order, match, block, request, response, events
rules.toml:8:31: rule 2: response.replace.regex: \"(\" is no regex: unclosed group
rules.toml:10:9: rule 2: events.types: this list is empty; allowed: one entry at least
rules.toml:11:9: rule 2: events.delay: \"1 h\" is no duration; allowed: \"250ms\", \"1.5s\" or \"2m\", up to 10m";
    assert_eq!(mistakes(text), expected);
}

#[test]
fn syntax_is_told_beside_the_rest() {
    let said = mistakes(
        "[[rule]]\nname = \"a\"\nrequest.delay = \n[[rule]]\nname = \"b\"\nx = 1\nrequest.delay = \"1s\"\n",
    );
    let lines: Vec<_> = said.lines().collect();
    assert!(lines[0].starts_with("rules.toml:3:17: this is no TOML: "), "{said}");
    assert!(lines[1].starts_with("rules.toml:6:1: rule \"b\": there is no `x`"), "{said}");
    assert_eq!(lines.len(), 2, "{said}");
}

#[test]
fn each_kind_of_mistake_says_what_is_allowed() {
    for (text, words) in [
        ("", "1:1: there are no rules; allowed: [[rule]]"),
        ("rule = 1", "1:8: rule: this is an integer; allowed: [[rule]]"),
        ("rule = []", "rule: this list is empty"),
        (&fields(""), "1:1: rule \"x\": this rule does nothing"),
        (
            &fields("request = {}"),
            "3:11: rule \"x\": request: this does nothing; allowed: one of headers, delay, replace",
        ),
        (&fields("request.headers = {}"), "request.headers: this does nothing"),
        (&fields("request.delay = \"-1s\""), "is no duration"),
        (&fields("request.delay = \"1e3s\""), "is no duration"),
        (&fields("request.delay = \"11m\""), "is too long"),
        (&fields("order = 1.5\nrequest.delay = \"1s\""), "order: this is a float; allowed: an integer from"),
        (&fields("order = 99999999999\nrequest.delay = \"1s\""), "is out of range"),
        (
            &fields("match.host = \"https://a\"\nrequest.delay = \"1s\""),
            "is no host; allowed: host or host:port",
        ),
        (&fields("match.path = \"v1\"\nrequest.delay = \"1s\""), "is no path"),
        (&fields("match.path = \"/v1?x\"\nrequest.delay = \"1s\""), "without the query"),
        (&fields("match.method = [\"P T\"]\nrequest.delay = \"1s\""), "is no method"),
        (&fields("match = 1\nrequest.delay = \"1s\""), "match: this is an integer; allowed: a table"),
        (&fields("request.headers.set.a = \"x\\ny\""), "cannot stand in a header"),
        (&fields("request.headers.set.a = \" x\""), "white space around"),
        (&fields("request.headers.remove = \"Transfer-Encoding\""), "says how the message is sent"),
        (&fields("request.headers.remove = [1]"), "this is an integer; allowed: a string"),
        (&fields("request.replace = [{ with = \"x\" }]"), "allowed: either `find` or `regex`"),
        (
            &fields("request.replace = [{ find = \"a\", regex = \"a\", with = \"x\" }]"),
            "allowed: either `find` or `regex`",
        ),
        (&fields("request.replace = [{ find = \"a\" }]"), "with: this is missing"),
        (&fields("request.replace = [{ find = \"\", with = \"\" }]"), "would be found everywhere"),
        (&fields("request.replace = [{ regex = \"(a)\", with = \"$2\" }]"), "the regex has no group `2`"),
        (&fields("request.replace = [{ regex = \"a{999}{999}{999}\", with = \"\" }]"), "is no regex"),
        (&fields("request.replace = { find = \"a\", with = \"\" }"), "this is a table; allowed: a list"),
        (&fields("events.drop = true"), "this leaves out every event; allowed: with `types`"),
        (&fields("events = { types = \"a\", drop = true, delay = \"1s\" }"), "allowed: two rules"),
        (&fields("events = { types = \"a\" }"), "events: this does nothing"),
        (&fields("events.drop = \"yes\""), "this is a string; allowed: true or false"),
        (&fields("block.status = 101"), "allowed: an integer from 200 to 599"),
        (&fields("block = { abort = true, status = 500 }"), "allowed: abort alone"),
        (&fields("block = { body = \"x\", message = \"y\" }"), "allowed: either `body` or this"),
        (&fields("block = { status = 204, body = \"x\" }"), "an answer of status 204 has no body"),
        (&fields("block.content_type = \"x\""), "allowed: with `body` alone"),
        (&fields("block.headers.content-length = \"3\""), "says how the message is sent"),
        (&fields("block = {}\nresponse.delay = \"1s\""), "a request that is blocked gets to no upstream"),
        ("[[rule]]\nname = \" \"\nrequest.delay = \"1s\"", "name: \" \" is none"),
    ] {
        let said = wrong(text);
        assert!(said.contains(words), "{text:?}\n  said:   {said}\n  wanted: {words}");
    }
    let twice = [fields("request.delay = \"1s\""), fields("request.delay = \"1s\"")].concat();
    assert!(wrong(&twice).contains("rule 1 has that name, too"));
}

#[test]
fn columns_count_characters() {
    let said = wrong("[[rule]]\nname = \"x\" # ä\nrequest = { delay = \"ö\" }\n");
    assert!(said.starts_with("3:21: "), "{said}");
    let said = Rules::read("f", b"# \xc3\xa4 \xff").unwrap_err().to_string();
    assert_eq!(said, "f:1:5: this is no UTF-8; allowed: TOML, which is");
}

#[test]
fn there_are_bounds() {
    assert!(mistakes(&"#".repeat(MAX_FILE_BYTES + 1)).contains("larger than 1 MiB"));
    let many: String =
        (0..=MAX_RULES).map(|n| format!("[[rule]]\nname=\"{n}\"\nrequest.delay=\"1s\"\n")).collect();
    assert!(wrong(&many).contains("more than 1000 rules"));
    assert!(mistakes(&format!("a = {}", "[".repeat(5000))).contains("no TOML"));
}

proptest! {
    #[test]
    fn any_bytes_are_rules_or_mistakes_with_places(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Err(mistakes) = Rules::read("x", &bytes) {
            prop_assert!(!mistakes.list().is_empty());
            prop_assert!(mistakes.list().iter().all(|one| one.line() > 0 && one.column() > 0));
        }
    }

    #[test]
    fn any_pieces_of_a_file_are_rules_or_mistakes(parts in proptest::collection::vec(prop_oneof![
        Just("[[rule]]\n"), Just("name = \"a\"\n"), Just("[rule.events]\n"), Just("types = [\"a\"]\n"), Just("drop = true\n"),
        Just("request.delay = \"1s\"\n"), Just("match.path = \"/*\"\n"), Just("block.status = 429\n"), Just("block = {}\n"),
        Just("replace = [{ find = \"a\", with = \"b\" }]\n"), Just("[rule.response.headers.set]\n"), Just("x = \"1\"\n"), Just("= ["),
    ], 0..12)) {
        let _ = Rules::parse("x", &parts.concat());
    }
}
