//! Rules on the way of an MCP relay: what each side gets, and what is on record.

mod support;

use claude_trace_core::config::Config as Recording;
use claude_trace_core::interceptor::rules::Rules;
use claude_trace_core::notice::Notices;
use claude_trace_core::pipeline::Pipeline;
use claude_trace_net::Tape;
use claude_trace_net::mcp::{Ears, MAX_LINE, Way, pump_ruled};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A relay with both its sides in hand.
struct Relay {
    client: UnixStream,
    server: UnixStream,
    pumps: Vec<JoinHandle<()>>,
    tape: Tape,
    _folder: tempfile::TempDir,
}

impl Relay {
    fn new(rules: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recording = Recording {
            spool_dir: Some(folder.path().join("spool")),
            runtime_dir: folder.path().join("runtime"),
            write_buffer_flush_ms: 1,
            ..Recording::new(folder.path().join("log"))
        };
        let tape = Tape::new(&Pipeline::new(recording, Notices::silent()).unwrap(), 1).unwrap();
        let rules =
            Rules::read_for_messages("rules", rules.as_bytes()).unwrap_or_else(|wrong| panic!("{wrong}"));
        let ears = Ears::new(&tape, "files", Some(&Arc::new(rules.registry())));
        let ((client, ours), (server, theirs)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        for side in [&client, &server] {
            side.set_read_timeout(Some(support::STUCK)).unwrap();
        }
        let (to_client, to_server) =
            (Way::new(ours.try_clone().unwrap()), Way::new(theirs.try_clone().unwrap()));
        let pump = |input: &UnixStream, output: &UnixStream, on: &Way, back: &Way, ear| {
            let (input, output) = (input.try_clone().unwrap(), output.try_clone().unwrap());
            let (on, back) = (on.clone(), back.clone());
            std::thread::spawn(move || {
                pump_ruled(input, &on, &back, ear);
                // A socket is one thing for both directions: closing one end of a way says nothing there.
                let _ = output.shutdown(Shutdown::Write);
            })
        };
        let pumps = vec![
            pump(&ours, &theirs, &to_server, &to_client, ears.client),
            pump(&theirs, &ours, &to_client, &to_server, ears.server),
        ];
        Self { client, server, pumps, tape, _folder: folder }
    }

    /// Both sides have nothing more to say: what each has got after what was read of it, and the records.
    fn end(self) -> ([Vec<u8>; 2], Vec<Value>) {
        let Self { client, server, pumps, tape, _folder } = self;
        for side in [&client, &server] {
            side.shutdown(Shutdown::Write).unwrap();
        }
        let rest = |mut side: UnixStream| {
            let mut rest = Vec::new();
            side.read_to_end(&mut rest).unwrap();
            rest
        };
        let of_client = std::thread::spawn(move || rest(client));
        let of_server = rest(server);
        let of_client = of_client.join().unwrap();
        pumps.into_iter().for_each(|pump| pump.join().unwrap());
        assert!(tape.close("it ended", Instant::now() + support::STUCK));
        let text = std::fs::read_to_string(tape.stats().log_file).unwrap_or_default();
        let records = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        ([of_client, of_server], records)
    }
}

fn say(side: &UnixStream, text: impl AsRef<[u8]>) {
    { side }.write_all(text.as_ref()).unwrap();
}

/// The next line that a side gets. Byte by byte: nothing is read ahead.
fn hear(side: &UnixStream) -> String {
    let mut line = Vec::new();
    BufReader::with_capacity(1, side).read_until(b'\n', &mut line).unwrap();
    String::from_utf8(line).unwrap()
}

fn call(id: u32, tool: &str) -> String {
    format!(
        "{{\"method\":\"tools/call\",\"params\":{{\"name\":\"{tool}\"}},\"jsonrpc\":\"2.0\",\"id\":{id}}}\n"
    )
}

fn told(progress: u32) -> String {
    format!(
        "{{\"method\":\"notifications/progress\",\"params\":{{\"progress\":{progress}}},\"jsonrpc\":\"2.0\"}}\n"
    )
}

fn result(id: u32, text: &str) -> String {
    format!("{{\"result\": {{\"text\":\"{text}\"}}, \"jsonrpc\":\"2.0\",\"id\":{id}}}\n")
}

const BLOCK: &str = "[[rule]]\nname = \"keep\"\nmatch = { method = \"tools/call\", tool = \"delete_*\" }\nblock.message = \"nothing is deleted\"\n";

/// What a record says that rules did.
fn rules(record: &Value) -> &Value {
    &record["trace"]["rules"]
}

#[test]
fn a_blocked_call_is_answered_and_the_server_never_sees_it() {
    let relay = Relay::new(BLOCK);
    say(&relay.client, [call(1, "delete_file"), call(2, "read")].concat());
    let blocked = hear(&relay.client);
    assert_eq!(
        blocked,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32003,\"message\":\"nothing is deleted\"}}\n"
    );
    assert_eq!(hear(&relay.server), call(2, "read"));
    say(&relay.server, result(2, "x"));
    assert_eq!(hear(&relay.client), result(2, "x"), "byte for byte, white space too");
    let (rest, records) = relay.end();
    assert_eq!(rest, [Vec::<u8>::new(), Vec::new()]);
    assert_eq!(records.len(), 2);
    assert_eq!(records[0]["request"]["body"]["params"], json!({ "name": "delete_file" }));
    assert_eq!(records[0]["response"]["body"]["error"]["message"], "nothing is deleted");
    assert_eq!(
        records[0]["trace"]["jsonrpc"]["error"],
        json!({ "code": -32003, "message": "nothing is deleted" })
    );
    assert_eq!(rules(&records[0]), &json!([{ "name": "keep", "answered": 403 }]));
    assert!(records[0].get("note").is_none());
    assert_eq!((&records[1]["response"]["body"]["id"], rules(&records[1])), (&json!(2), &Value::Null));
}

/// A batch is no way around a rule, and neither is a request of the other side taken for one of this.
#[test]
fn elements_of_a_batch_are_messages_like_others() {
    let relay = Relay::new(BLOCK);
    let (one, two) = (call(1, "delete_file"), call(2, "read"));
    say(&relay.client, format!("[ {}, {} ]\n", one.trim(), two.trim()));
    assert!(hear(&relay.client).contains("nothing is deleted"));
    assert_eq!(hear(&relay.server), format!("[{}]\n", two.trim()));
    say(&relay.client, format!("[{}]\n[{} ,{}]\n", one.trim(), two.trim(), two.trim()));
    assert_eq!(
        hear(&relay.server),
        format!("[{} ,{}]\n", two.trim(), two.trim()),
        "what is not touched is as it came"
    );
    let (_, records) = relay.end();
    assert_eq!(records.iter().filter(|record| rules(record).is_array()).count(), 2);
}

#[test]
fn text_is_replaced_on_the_way_of_both() {
    let replace = "replace = [{ find = \"secret\", with = \"***\" }]";
    let relay = Relay::new(&format!(
        "[[rule]]\nname = \"mask\"\nmatch.host = \"files\"\n[rule.request]\n{replace}\n[rule.response]\n{replace}\n[rule.events]\n{replace}\n"
    ));
    say(&relay.client, call(1, "secret"));
    assert_eq!(hear(&relay.server), call(1, "***"));
    say(&relay.server, told(1).replace("progress\":1", "progress\":\"secret\""));
    assert_eq!(hear(&relay.client), told(1).replace("progress\":1", "progress\":\"***\""));
    say(&relay.server, result(1, "a secret"));
    assert_eq!(hear(&relay.client), result(1, "a ***"));
    // Nobody has asked for that: it goes by no method, and no rule is for it.
    say(&relay.server, result(9, "a secret"));
    assert_eq!(hear(&relay.client), result(9, "a secret"));
    let (_, records) = relay.end();
    let of = |kind: &str| records.iter().find(|record| record["trace"]["jsonrpc"]["kind"] == kind).unwrap();
    let request = of("request");
    assert_eq!(request["request"]["body"]["params"]["name"], "***", "as it went on");
    assert_eq!(request["response"]["body"]["result"]["text"], "a secret", "as it was said");
    assert_eq!(rules(request), &json!([{ "name": "mask", "bodies": ["request", "response"] }]));
    assert_eq!(rules(of("notification")), &json!([{ "name": "mask", "bodies": ["request"] }]));
    assert_eq!(rules(of("response")), &Value::Null);
}

#[test]
fn notifications_are_left_out() {
    let relay = Relay::new(
        "[[rule]]\nname = \"quiet\"\nevents = { types = \"notifications/progress\", drop = true }\n\
         [[rule]]\nname = \"no logs\"\nmatch.method = \"notifications/message\"\nblock = {}\n",
    );
    let log = told(0).replace("progress", "message");
    say(
        &relay.server,
        [told(1), log, told(2), "stray\n".into(), told(3).replace("progress", "other")].concat(),
    );
    assert_eq!(hear(&relay.client), "stray\n");
    assert_eq!(hear(&relay.client), told(3).replace("progress", "other"));
    let (rest, records) = relay.end();
    assert_eq!(rest, [Vec::<u8>::new(), Vec::new()]);
    let marks: Vec<_> = records.iter().map(|record| rules(record).to_string()).collect();
    let left_out = "[{\"name\":\"quiet\",\"dropped\":1}]";
    assert_eq!(marks, [left_out, "[{\"name\":\"no logs\",\"answered\":403}]", left_out, "null", "null"]);
}

#[test]
fn what_waits_has_those_behind_it_wait() {
    let relay = Relay::new(
        "[[rule]]\nname = \"slow\"\nmatch.tool = \"slow\"\nrequest.delay = \"60ms\"\nresponse.delay = \"40ms\"\n",
    );
    let begun = Instant::now();
    say(&relay.client, [call(1, "read"), call(2, "slow"), call(3, "read")].concat());
    let calls: Vec<_> = (0..3).map(|_| hear(&relay.server)).collect();
    assert_eq!(calls, [call(1, "read"), call(2, "slow"), call(3, "read")]);
    assert!(begun.elapsed() >= Duration::from_millis(60));
    let answered = Instant::now();
    say(&relay.server, result(2, "x"));
    assert_eq!(hear(&relay.client), result(2, "x"));
    assert!(answered.elapsed() >= Duration::from_millis(40));
    let (_, records) = relay.end();
    let waited = records.iter().find(|record| rules(record).is_array()).unwrap();
    assert_eq!(rules(waited), &json!([{ "name": "slow", "delayed_ms": 100 }]));
}

/// A replacement that would leave no JSON is refused, and the message passes as it came. One that has a line feed stays a line.
#[test]
fn a_line_stays_a_line() {
    let relay = Relay::new(
        "[[rule]]\nname = \"bad\"\nmatch.tool = \"bad\"\nrequest.replace = [{ find = \"bad\", with = '\"' }]\n\
         [[rule]]\nname = \"feed\"\nmatch.tool = \"feed\"\nrequest.replace = [{ find = ',\"jsonrpc\"', with = \",\\n\\\"jsonrpc\\\"\" }]\n",
    );
    say(&relay.client, [call(1, "bad"), call(2, "feed")].concat());
    assert_eq!(hear(&relay.server), call(1, "bad"));
    assert_eq!(hear(&relay.server), call(2, "feed").replace(",\"jsonrpc", ", \"jsonrpc"));
    let (_, records) = relay.end();
    let failed = records.iter().find(|record| rules(record)[0]["name"] == "bad").unwrap();
    assert!(rules(failed)[0]["failed"].as_str().unwrap().contains("no JSON"), "{failed}");
}

#[test]
fn a_line_that_is_too_long_passes_unruled() {
    let relay = Relay::new(BLOCK);
    let long = format!("{{{}{}", " ".repeat(MAX_LINE), &call(1, "delete_file")[1..]);
    let (server, sent) = (relay.server.try_clone().unwrap(), long.clone());
    let client = relay.client.try_clone().unwrap();
    let saying = std::thread::spawn(move || say(&client, sent + &call(2, "delete_file")));
    let mut got = vec![0; long.len()];
    { &server }.read_exact(&mut got).unwrap();
    assert!(got == long.as_bytes(), "the same bytes");
    saying.join().unwrap();
    assert!(hear(&relay.client).contains("\"id\":2"), "the next line is ruled again");
    let (rest, _) = relay.end();
    assert!(rest[1].is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// What no rule is for passes byte for byte, however it is cut, its last line without an end too.
    #[test]
    fn what_no_rule_is_for_passes_as_it_came(
        lines in prop::collection::vec(prop_oneof![
            Just(call(1, "read")), Just(told(1)), Just(result(1, "x")), Just("\n".to_owned()), Just(" \r\n".to_owned()),
            "[\\[\\]{}\",:a1\\n]{0,12}".prop_map(|text| text + "\n"),
        ], 0..12),
        tail in "[{a]{0,4}",
        size in 1_usize..50,
    ) {
        let relay = Relay::new(BLOCK);
        let text = lines.concat() + &tail;
        let (client, server) = (relay.client.try_clone().unwrap(), relay.server.try_clone().unwrap());
        for piece in text.as_bytes().chunks(size) {
            say(&client, piece);
            say(&server, piece);
        }
        let (got, _) = relay.end();
        prop_assert_eq!(&got[0], text.as_bytes());
        prop_assert_eq!(&got[1], text.as_bytes());
    }
}
