use super::*;
use crate::interceptor::rules::Rules;
use crate::interceptor::{
    EventBatch, Failed, Interceptor, Limits, Maker, Registration, Replacement, Rule, Verdict,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn live(rules: &str) -> Live {
    let rules = Rules::parse("rules.toml", rules).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    Live::of(&rules.registry(), b"POST", b"https://api.example/v1/messages").expect("a rule fits")
}

/// A live exchange with an interceptor of Rust.
fn with(hooks: Hooks, interceptor: impl Interceptor + Clone + Sync + 'static) -> Live {
    let registry = Registry::default();
    let maker = Maker::Local(Box::new(move || Box::new(interceptor.clone())));
    let (rule, limits) = (Rule::default(), Limits::default());
    registry.add(Registration { name: "own".into(), order: 0, rule, scope: None, hooks, limits, maker });
    Live::of(&registry, b"GET", b"http://x/").unwrap()
}

/// What goes on, with `<wait ms>` before what waits.
fn sent(live: &mut Live, stream: &mut EventStream, pieces: &[&[u8]]) -> String {
    let mut out = Vec::new();
    for piece in pieces {
        for Piece { wait, bytes } in stream.push(live, piece, 0) {
            if !wait.is_zero() {
                out.extend_from_slice(format!("<{}>", wait.as_millis()).as_bytes());
            }
            out.extend_from_slice(&bytes);
        }
    }
    out.extend_from_slice(&stream.finish());
    String::from_utf8_lossy(&out).into_owned()
}

fn through(rules: &str, text: &str) -> String {
    sent(&mut live(rules), &mut EventStream::default(), &[text.as_bytes()])
}

fn mark(live: &mut Live) -> Value {
    live.mark().map_or(Value::Null, |mark| serde_json::from_slice(&mark).unwrap())
}

const MASK: &str = r#"
    [[rule]]
    name = "mask"
    events.types = ["delta"]
    events.replace = [{ regex = 'k(\d+)', with = 'x${1}x' }]
    [[rule]]
    name = "quiet"
    events.types = ["ping"]
    events.drop = true
    [[rule]]
    name = "slow"
    events.types = ["slow"]
    events.delay = "20ms"
"#;

#[test]
fn what_is_not_touched_stays_byte_for_byte() {
    let kept = "\u{feff}: hello\r\nevent:message_start\r\ndata:{\"a\":1}\r\n\r\nid: 7\ndata\n\nretry: 5\n\nevent: delta\ndata: no\n\nhalf";
    assert_eq!(through(MASK, kept), kept);
}

#[test]
fn of_an_event_that_is_replaced_all_but_its_data_stays() {
    assert_eq!(
        through(MASK, ": c\nid: 1\nevent: delta\nx: y\n: in\ndata:k12\ndata: k3\nretry: 9\n\n: d\n\n"),
        ": c\nid: 1\nevent: delta\nx: y\n: in\ndata: x12x\ndata: x3x\nretry: 9\n\n: d\n\n"
    );
    assert_eq!(through(MASK, "data: k1\r\nevent: delta\r\n\r\n"), "data: x1x\r\nevent: delta\r\n\r\n");
    assert_eq!(
        through(MASK, "event: delta\rdata: k1\r\rdata: k2\r\r"),
        "event: delta\rdata: x1x\r\rdata: k2\r\r"
    );
}

#[test]
fn of_an_event_that_is_left_out_stays_what_concerns_the_stream() {
    assert_eq!(through(MASK, "event: ping\ndata: 1\n\ndata: 2\n\n"), "data: 2\n\n");
    assert_eq!(through(MASK, "event: ping\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n"), "data: 2\r\n\r\n");
    assert_eq!(through(MASK, ": c\nid: 4\nevent: ping\nretry: 1\ndata: 1\n\n"), ": c\nid: 4\nretry: 1\n\n");
}

#[test]
fn an_event_waits_and_what_comes_before_it_does_not() {
    assert_eq!(
        through(MASK, "data: 1\n\n: c\nevent: slow\ndata: 2\n\ndata: 3\n\nevent: slow\ndata: 4\n\n"),
        "data: 1\n\n: c\n<20>event: slow\ndata: 2\n\ndata: 3\n\n<20>event: slow\ndata: 4\n\n"
    );
}

#[test]
fn an_event_goes_on_when_it_is_complete_and_a_comment_at_once() {
    let (mut live, mut stream) = (live(MASK), EventStream::default());
    let mut push = |text: &str| {
        let pieces = stream.push(&mut live, text.as_bytes(), 0);
        pieces.iter().map(|piece| String::from_utf8_lossy(&piece.bytes).into_owned()).collect::<String>()
    };
    assert_eq!(push(": wait"), "");
    assert_eq!(push(" for it\n"), ": wait for it\n");
    assert_eq!(push("event: delta\ndata: k"), "");
    assert_eq!(push("5\n"), "");
    assert_eq!(push("\n"), "event: delta\ndata: x5x\n\n");
}

#[test]
fn what_is_too_large_passes_as_it_comes_and_is_counted() {
    let (mut live, mut stream) = (live(MASK), EventStream::with_limit(40));
    let large = format!("event: delta\ndata: k1{}\n\n", "a".repeat(40));
    let pieces: [&[u8]; 4] =
        [&large.as_bytes()[..50], &large.as_bytes()[50..], large.as_bytes(), b"event: delta\ndata: k2\n\n"];
    assert_eq!(stream.push(&mut live, pieces[0], 0).concat_len(), 50, "it is not held back");
    let rest = sent(&mut live, &mut stream, &pieces[1..]);
    assert_eq!(rest, format!("{}{large}event: delta\ndata: x2x\n\n", &large[50..]));
    let passed = json!({"name": "mask", "replaced": 1, "passed": 2});
    assert_eq!(mark(&mut live)[0], passed);
}

trait Length {
    fn concat_len(&self) -> usize;
}

impl Length for Vec<Piece> {
    fn concat_len(&self) -> usize {
        self.iter().map(|piece| piece.bytes.len()).sum()
    }
}

#[test]
fn the_mark_says_what_was_done_and_is_told_when_there_is_news() {
    let mut live = live(MASK);
    assert_eq!(mark(&mut live), Value::Null);
    let mut stream = EventStream::default();
    let text = "event: slow\ndata: 1\n\nevent: delta\ndata: k1\n\nevent: ping\ndata: 1\n\n";
    stream.push(&mut live, text.as_bytes(), 0);
    let expected = json!([
        {"name": "mask", "replaced": 1}, {"name": "quiet", "dropped": 1}, {"name": "slow", "delayed_ms": 20}
    ]);
    assert_eq!(mark(&mut live), expected);
    stream.push(&mut live, b"data: k1\n\n", 0);
    assert_eq!(mark(&mut live), Value::Null, "nothing new");
    stream.push(&mut live, b"event: delta\ndata: k1\n\n", 0);
    assert_eq!(mark(&mut live)[0]["replaced"], 2);
}

/// Replaces the first event, then fails.
#[derive(Clone)]
struct Broken {
    panics: bool,
}

impl Interceptor for Broken {
    fn on_events(&mut self, batch: &mut EventBatch) -> Result<(), Failed> {
        batch.decide(
            0,
            Verdict::Replace(Replacement { data: Some(b"changed".to_vec()), ..Replacement::default() }),
        );
        batch.delay(0, Duration::from_secs(1));
        if batch.get(0).is_some_and(|event| event.number < 1) {
            return Ok(());
        }
        assert!(!self.panics, "on purpose");
        Err(Failed("no more".into()))
    }
}

#[test]
fn an_interceptor_that_fails_is_out_and_the_bytes_go_on() {
    for (panics, reason) in [(true, "panicked: on purpose"), (false, "no more")] {
        let mut live = with(Hooks::EVENTS, Broken { panics });
        let pieces: [&[u8]; 3] = [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"];
        let out = sent(&mut live, &mut EventStream::default(), &pieces);
        assert_eq!(out, "<1000>data: changed\n\ndata: 2\n\ndata: 3\n\n");
        let expected = json!([{"name": "own", "delayed_ms": 1000, "replaced": 1, "failed": reason}]);
        assert_eq!(mark(&mut live), expected);
        assert_eq!(live.totals.errors.get(), 1);
        assert!(!live.looks_at(Part::Events));
    }
}

/// Gives events another type and id.
#[derive(Clone)]
struct Renamed;

impl Interceptor for Renamed {
    fn on_events(&mut self, batch: &mut EventBatch) -> Result<(), Failed> {
        for index in 0..batch.len() {
            let (kind, id) = (Some(b"new".to_vec()), Some(b"9".to_vec()));
            batch.decide(index, Verdict::Replace(Replacement { data: None, kind, id }));
        }
        Ok(())
    }
}

#[test]
fn types_and_ids_are_replaced_in_their_lines_or_get_some() {
    let mut live = with(Hooks::EVENTS, Renamed);
    let out = sent(&mut live, &mut EventStream::default(), &[b"event: a\ndata: 1\nid: 1\n\ndata: 2\n\n"]);
    assert_eq!(out, "event: new\nid: 9\ndata: 1\n\nevent: new\nid: 9\ndata: 2\n\n");
}

#[test]
fn heads_are_planned_and_each_sees_what_those_before_have_changed() {
    let mut live = live(
        r#"
        [[rule]]
        name = "second"
        order = 1
        request.headers.set = { b = "2" }
        request.delay = "1s"
        response.headers.add = { c = "3" }
        [[rule]]
        name = "first"
        request.headers.remove = ["b"]
        request.delay = "500ms"
        [[rule]]
        name = "idle"
        request.headers.remove = ["z"]
        "#,
    );
    let plan = live.request(b"POST https://api.example/v1/messages HTTP/1.1\r\nb: 1\r\n");
    let remove = HeaderChange::Remove { name: "b".into() };
    assert_eq!(plan.changes, [remove, HeaderChange::Set { name: "b".into(), value: "2".into() }]);
    assert_eq!((plan.wait, plan.instead), (Duration::from_millis(1500), None));
    assert_eq!(live.response(b"HTTP/1.1 200 OK\r\n").changes.len(), 1);
    let expected = json!([
        {"name": "first", "delayed_ms": 500, "headers": ["request"]},
        {"name": "second", "delayed_ms": 1000, "headers": ["request", "response"]}
    ]);
    assert_eq!(mark(&mut live), expected);
}

#[test]
fn a_request_that_is_blocked_is_shown_to_nobody_behind() {
    let mut live = live(
        r#"
        [[rule]]
        name = "no"
        block = { status = 529, headers = { retry-after = "1" } }
        [[rule]]
        name = "behind"
        request.delay = "1s"
        "#,
    );
    let plan = live.request(b"POST https://api.example/v1/messages HTTP/1.1\r\n");
    let Some(Instead::Answer(reply)) = plan.instead else { panic!("it is blocked") };
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    let error = json!({"type": "overloaded_error", "message": "claude-trace: blocked by rule \"no\""});
    assert_eq!((reply.status, &body["error"]), (529, &error));
    assert_eq!(plan.wait, Duration::ZERO);
    assert_eq!(mark(&mut live), json!([{"name": "no", "answered": 529}]));
}

#[test]
fn bodies_are_replaced_and_json_stays_json() {
    let mut live = live(
        r#"
        [[rule]]
        name = "both"
        request.replace = [{ find = "secret", with = "***" }, { regex = '\*(?<rest>\*+)', with = '<$rest>' }]
        [[rule]]
        name = "breaks"
        request.replace = [{ find = "text", with = 'a "word"' }]
        "#,
    );
    assert!(
        live.looks_at(Part::RequestBody)
            && !live.looks_at(Part::ResponseBody)
            && !live.looks_at(Part::Events)
    );
    assert_eq!(live.body(true, br#"{"a":"nothing"}"#), None);
    let changed = live.body(true, br#"{"a":"my secret text"}"#).unwrap();
    assert_eq!(String::from_utf8(changed).unwrap(), r#"{"a":"my <**> text"}"#);
    live.unread(Part::RequestBody, "it is too large");
    let mark = mark(&mut live);
    assert_eq!(
        mark[0],
        json!({"name": "both", "bodies": ["request"], "unread": ["request: it is too large"]})
    );
    assert!(mark[1]["failed"].as_str().unwrap().contains("no JSON"), "{mark}");
    assert_eq!(live.body(true, b"plain text").as_deref(), None, "who failed is out");
}

#[test]
fn messages_of_other_transports_have_a_fate() {
    let mut live = live(
        r#"
        [[rule]]
        name = "a"
        events = { types = "tools/*", replace = [{ find = "1", with = "2" }] }
        [[rule]]
        name = "b"
        events = { types = "notifications/progress", drop = true }
        [[rule]]
        name = "c"
        events = { types = "tools/list", delay = "1s" }
        "#,
    );
    let second = Duration::from_secs(1);
    assert_eq!(live.message(b"tools/call", b"[1]", 0), (Fate::Replace(b"[2]".to_vec()), Duration::ZERO));
    assert_eq!(live.message(b"tools/list", b"[]", 0), (Fate::Keep, second));
    assert_eq!(live.message(b"notifications/progress", b"[1]", 0), (Fate::Drop, Duration::ZERO));
    assert_eq!(live.message(b"", b"[1]", 0), (Fate::Keep, Duration::ZERO));
}

#[test]
fn an_exchange_that_no_rule_fits_is_nobodys() {
    let rules = "[[rule]]\nname = \"a\"\nmatch.path = \"/v1/*\"\nrequest.delay = \"1s\"\n";
    let registry = Rules::parse("r", rules).unwrap().registry();
    assert!(Live::of(&registry, b"GET", b"https://a.b/v1/x").is_some());
    assert!(Live::of(&registry, b"GET", b"https://a.b/v2").is_none());
    assert!(Live::of(&Registry::default(), b"GET", b"https://a.b/v1/x").is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// All cuts, of streams of every kind of line and line end.
    #[test]
    fn every_split_gives_the_same_bytes(
        parts in proptest::collection::vec(prop_oneof![
            Just("event: delta"), Just("event: ping"), Just("event: slow"), Just("data: k1"), Just("data:k22"), Just("data"),
            Just("id: 3"), Just("retry: 4"), Just(": c"), Just("x"), Just("\n"), Just("\r"), Just("\r\n"), Just("\n\n"),
            Just("\r\r"), Just("\r\n\r\n"), Just("\u{feff}"),
        ], 0..40),
        cuts in proptest::collection::vec(0_usize..200, 0..12),
        limit in prop_oneof![Just(1_u64 << 20), 1_u64..60],
    ) {
        let text = parts.concat();
        let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (text.len() + 1)).chain([0, text.len()]).collect();
        ends.sort_unstable();
        let pieces: Vec<&[u8]> = ends.windows(2).map(|ends| &text.as_bytes()[ends[0]..ends[1]]).collect();
        let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        let run = |pieces: &[&[u8]]| {
            let mut live = live(MASK);
            let out = sent(&mut live, &mut EventStream::with_limit(limit), pieces);
            (out, mark(&mut live))
        };
        let whole = run(&[text.as_bytes()]);
        prop_assert_eq!(&run(&pieces), &whole);
        prop_assert_eq!(&run(&bytes), &whole);
    }

    /// What comes out is a stream whose events are those that went in, as the rules leave them.
    #[test]
    fn a_client_reads_what_the_rules_leave(
        events in proptest::collection::vec((0_usize..4, "k?[0-9]{0,3}", 0_usize..3), 0..20), end in 0_usize..3
    ) {
        let end = ["\n", "\r\n", "\r"][end];
        let kinds = ["delta", "ping", "slow", "other"];
        let mut text = String::new();
        let mut expected = Vec::new();
        for (kind, data, id) in events {
            let kind = kinds[kind];
            let id = if id > 0 { format!("id: {id}{end}") } else { String::new() };
            text += &format!("event: {kind}{end}{id}data: {data}{end}{end}");
            match kind {
                "ping" => {}
                "delta" if data.len() > 1 && data.starts_with('k') => expected.push((kind.to_owned(), format!("x{}x", &data[1..]))),
                _ => expected.push((kind.to_owned(), data)),
            }
        }
        let mut rules = live(&MASK.replace("events.delay = \"20ms\"", "events.replace = [{ find = \"none\", with = \"\" }]"));
        let out = sent(&mut rules, &mut EventStream::default(), &[text.as_bytes()]);
        let mut read = Vec::new();
        let mut parser = sse::Parser::default();
        parser.push(out.as_bytes(), |event| {
            read.push((String::from_utf8_lossy(event.kind).into_owned(), String::from_utf8_lossy(event.data).into_owned()));
        });
        let mut original = sse::Parser::default();
        original.push(text.as_bytes(), |_| {});
        prop_assert_eq!(read, expected);
        prop_assert_eq!(parser.last_event_id(), original.last_event_id());
    }
}

const CALLS: &str = r#"
    [[rule]]
    name = "heads"
    response.replace = [{ find = "a", with = "heads" }]
    [[rule]]
    name = "adds"
    match.tool = "add*"
    response.replace = [{ find = "42", with = "many" }]
    [[rule]]
    name = "lists"
    match.method = ["tools/list", "ping"]
    request.delay = "1s"
"#;

fn of_calls(calls: &[crate::interceptor::Call<'_>]) -> Live {
    let rules = Rules::parse("rules.toml", CALLS).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    Live::of_calls(&rules.registry(), b"POST", b"http://x/mcp", calls).unwrap()
}

#[test]
fn who_goes_by_messages_is_there_if_one_of_them_fits() {
    use crate::interceptor::Call;
    let add = Call { method: "tools/call", tool: Some("ADD") };
    let ping = Call { method: "ping", tool: None };
    let waits = |calls: &[Call<'_>]| of_calls(calls).request(b"POST /mcp HTTP/1.1\r\n").wait.as_secs();
    assert_eq!((waits(&[]), waits(&[add]), waits(&[add, ping])), (0, 0, 1));
    let rules = Rules::parse("rules.toml", CALLS).unwrap().registry();
    assert!(rules.asks(b"POST", b"http://x/mcp"));
    let by_head = Live::of(&rules, b"POST", b"http://x/mcp").unwrap();
    assert!(by_head.looks_at(Part::ResponseBody) && !by_head.looks_at_answers());
    let mut unread = Live::of_unread(&rules, b"POST", b"http://x/mcp", "it is too large");
    let why = json!(["request: it is too large"]);
    assert_eq!(
        mark(&mut unread),
        json!([{ "name": "adds", "unread": why }, { "name": "lists", "unread": why }])
    );
}

#[test]
fn of_a_stream_the_answers_are_given_to_who_goes_by_messages() {
    use crate::interceptor::Call;
    use crate::jsonrpc::Id;
    let answer =
        |id: &str| format!("id: 1\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":\"a 42\"}}\n\n");
    let other = "data: 42\n\nevent: x\ndata: {\"jsonrpc\":\"2.0\",\"id\":3,\"result\":42}\n\n";
    let text = format!("{}{other}{}{other}", answer("\"3\""), answer("3.0"));
    for size in [1, 7, text.len()] {
        let mut live = of_calls(&[Call { method: "tools/call", tool: Some("add") }]);
        assert!(live.looks_at_answers());
        let mut stream = EventStream::default().answering(vec![Id::parse("3").unwrap()]);
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let expected = text.replace("3.0,\"result\":\"a 42", "3.0,\"result\":\"a many");
        assert_eq!(sent(&mut live, &mut stream, &pieces), expected, "{size}");
        assert_eq!(mark(&mut live), json!([{ "name": "adds", "bodies": ["response"] }]));
    }
}

#[test]
fn events_that_are_notifications_are_known_by_their_methods() {
    let quiet = r#"
        [[rule]]
        name = "quiet"
        events = { types = "notifications/*", drop = true }
    "#;
    let told = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n";
    let kept = "data: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"notifications/no\"}\n\nevent: y\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/x\"}\n\n";
    assert_eq!(through(quiet, &format!("{told}{kept}{told}")), kept);
}
