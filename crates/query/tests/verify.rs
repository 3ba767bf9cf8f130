//! What is found in logs, whole and damaged.

mod support;

use claude_trace_query::{Kind, Limits, verify};
use support::{fixtures, record, report, source};

/// The kinds of problems, with their lines.
fn problems(log: &[u8]) -> Vec<(u64, Kind)> {
    report(log).problems.iter().map(|problem| (problem.line, problem.kind)).collect()
}

#[test]
fn both_formats_are_whole_and_counted() {
    let logs = fixtures().concat();
    let lines = logs.iter().filter(|byte| **byte == b'\n').count() as u64;
    let report = report(&logs);
    assert_eq!(report.problems, []);
    let counts = report.counts;
    assert_eq!((counts.records, counts.upstream), (lines, 10));
    // Of v1: reset-in-a-character, killed and gap; of 1.0.9: the stream that was dropped.
    assert_eq!((counts.partial, counts.failed, counts.orphaned), (4, 1, 2));
    assert_eq!((counts.recovered, counts.gaps), (1, 1));
}

#[test]
fn an_empty_log_and_blank_lines_are_no_problem() {
    assert!(report(b"").is_ok());
    assert!(report(format!("\n{}\r\n \n", record("a")).as_bytes()).is_ok());
    assert!(report(record("a").replace('\n', "\r\n").as_bytes()).is_ok());
}

#[test]
fn each_kind_of_damage_is_told_with_its_place() {
    let (a, b) = (record("a"), record("b"));
    let length = a.len() as u64;
    for (damaged, kind) in [
        ("{\"half\":\n", Kind::CutOff),
        ("{\"a\":1}\n", Kind::NotARecord),
        ("[]\n", Kind::NotARecord),
        ("{\"a\":01}\n", Kind::NotJson),
        ("no JSON\n", Kind::NotJson),
        ("\0\0\0\0\n", Kind::NulBytes),
    ] {
        let report = report(format!("{a}{damaged}{b}").as_bytes());
        let [problem] = &report.problems[..] else { panic!("{damaged:?}: {:?}", report.problems) };
        assert_eq!((problem.kind, problem.line, problem.offset), (kind, 2, length), "{damaged:?}");
        assert_eq!(problem.length, damaged.len() as u64);
        assert_eq!(report.counts.records, 2);
    }
    let mut log = a.clone().into_bytes();
    log.extend_from_slice(b"{\"request\":\"\xff\"}\n");
    assert_eq!(problems(&log), [(2, Kind::NotUtf8)]);
}

#[test]
fn a_torn_last_line_is_told_unless_somebody_is_writing_it() {
    let whole = record("a");
    for cut in 1..whole.len() {
        let log = format!("{}{}", record("b"), &whole[..cut]);
        let expected = if cut == whole.len() - 1 { Kind::NoLineFeed } else { Kind::CutOff };
        assert_eq!(problems(log.as_bytes()), [(2, expected)], "cut at {cut}");
        let report = verify(source(log.as_bytes()), Limits::default(), 9, || true).unwrap();
        assert!(report.is_ok() && report.being_written);
    }
    // The same in the middle of a log is damage whoever is writing.
    let log = format!("{}\n{whole}", &whole[..40]);
    let report = verify(source(log.as_bytes()), Limits::default(), 9, || true).unwrap();
    assert_eq!(report.problem_count, 1);
}

#[test]
fn records_are_found_in_damaged_lines() {
    let (a, b) = (record("a"), record("b"));
    let (line_a, line_b) = (a.trim_end(), b.trim_end());
    for (log, records, kinds) in [
        (format!("{line_a}{b}"), 2, vec![Kind::NoLineFeed]),
        (format!("{line_a}*{b}"), 2, vec![Kind::NotJson]),
        (format!("{}{b}", &a[..50]), 1, vec![Kind::CutOff]),
        (format!("{line_a}{}\n", &b[..50]), 1, vec![Kind::CutOff]),
        (format!("{line_a}\0\0\n{b}"), 2, vec![Kind::NulBytes]),
        (format!("\0\0{a}{b}"), 2, vec![Kind::NulBytes]),
        (format!("{}\0\0{line_b}", &a[..50]), 1, vec![Kind::CutOff, Kind::NulBytes, Kind::NoLineFeed]),
    ] {
        let report = report(log.as_bytes());
        assert_eq!(report.counts.records, records, "{log:?}");
        assert_eq!(report.problems.iter().map(|p| p.kind).collect::<Vec<_>>(), kinds, "{log:?}");
    }
}

#[test]
fn what_a_whole_record_says_wrong_of_itself_is_told() {
    for (from, to, kind) in [
        ("\"response_bytes\":3", "\"response_bytes\":4", vec![Kind::BadChunks, Kind::BadBody]),
        ("\"bytes\":[3]", "\"bytes\":[3,0]", vec![Kind::BadChunks]),
        ("\"bytes\":[3]", "\"bytes\":[2]", vec![Kind::BadChunks]),
        ("\"bytes\":[3]", "\"bytes\":[-3]", vec![Kind::BadTrace]),
        ("\"abc\"", "\"ab\"", vec![Kind::BadBody]),
        ("\"abc\"", "\"YWJj\",\"body_encoding\":\"base64\"", vec![]),
        ("\"abc\"", "\"YWJ\",\"body_encoding\":\"base64\"", vec![Kind::BadBase64]),
        ("\"abc\"", "\"abc\",\"body_encoding\":\"hex\"", vec![Kind::BadBody]),
        ("\"body_raw\":\"abc\"", "\"body_raw\":\"abc\",\"body\":3", vec![Kind::BadBody]),
        ("\"body_raw\":\"abc\"", "\"more\":1", vec![Kind::BadBody]),
        ("\"body_raw\":\"abc\"", "\"body\":null", vec![Kind::BadBody]),
        ("{\"a\":1}}", "null}", vec![]),
        ("{\"a\":1}}", "{\"a\":12}}", vec![Kind::BadBody]),
        ("\"request_bytes\":7", "\"request_bytes\":9", vec![]),
        ("\"pid\":42", "\"pid\":\"42\"", vec![Kind::BadTrace]),
        ("\"pid\":42,", "", vec![Kind::BadTrace]),
        ("\"end\":20.5", "", vec![Kind::BadTrace]),
        ("\"v\":1", "\"v\":2", vec![Kind::NewerVersion]),
        ("\"v\":1,", "", vec![Kind::BadTrace]),
        ("\"v\":1,", "\"v\":1,\"error\":{\"code\":\"X\"},", vec![Kind::BadTrace]),
        ("\"v\":1,", "\"v\":1,\"later\":[{}],", vec![]),
    ] {
        let log = record("a").replace(from, to);
        assert_ne!(log, record("a"));
        let found: Vec<Kind> = report(log.as_bytes()).problems.iter().map(|problem| problem.kind).collect();
        assert_eq!(found, kind, "{from} → {to}");
    }
}

#[test]
fn an_id_that_stands_twice_is_told_with_the_line_of_the_first() {
    let log = format!("{}{}{}", record("a"), record("b"), record("a"));
    let report = report(log.as_bytes());
    assert_eq!(problems(log.as_bytes()), [(3, Kind::DuplicateId)]);
    assert!(report.problems[0].message.contains("line 1"), "{}", report.problems[0].message);
}

#[test]
fn shapes_that_serde_would_take_are_refused() {
    let whole = record("a");
    let request = r#"{"timestamp":1.5,"method":"POST","url":"http://x/","headers":{},"body":{"a":1}}"#;
    for (from, to) in [
        (request, r#"[1.5,"POST","http://x/",{},null]"#),
        (request, "null"),
        (r#""method":"POST""#, r#""method":1"#),
        (r#""method":"POST","#, ""),
        (r#""headers":{},"body":{"a":1}"#, r#""headers":[],"body":{"a":1}"#),
        (r#","body":{"a":1}"#, ""),
        (r#""logged_at":"2026-11-20T20:28:09.092Z","#, ""),
        (r#""response":{"#, r#""respons":{"#),
        // As a line that was spliced from two has them.
        (r#""response":{"#, r#""request":null,"response":{"#),
        (r#""method":"POST""#, r#""method":"POST","method":"POST""#),
    ] {
        let log = whole.replace(from, to);
        assert_ne!(log, whole);
        assert_eq!(problems(log.as_bytes()), [(1, Kind::NotARecord)], "{from} → {to}");
    }
}

#[test]
fn bodies_are_taken_whatever_their_depth_range_and_escapes() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [deep.as_str(), "1e400", "\"\\ud800\"", "{\"a\":1,\"a\":2}"] {
        let log = record("a")
            .replace("{\"a\":1}}", &format!("{body}}}"))
            .replace("\"v\":1,", "\"v\":1,\"request_content_encoding\":\"x\",");
        assert_eq!(problems(log.as_bytes()), [], "{}", &body[..body.len().min(40)]);
    }
}

#[test]
fn messages_are_short_and_safe_to_print() {
    let log = format!(
        "{{\"request\":\"{}\"}}\n",
        "\u{1b}[31m".escape_default().to_string().repeat(100_000).replace("\\u{1b}", "\\u001b")
    );
    for problem in report(log.as_bytes()).problems {
        assert!(problem.message.len() < 300 && !problem.message.contains('\u{1b}'), "{}", problem.message);
    }
}
