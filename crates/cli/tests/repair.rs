//! `claude-trace repair` from outside.

mod support;

use std::path::{Path, PathBuf};
use support::{Run, damaged_log, fixture, lines, run};

fn damaged() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    std::fs::write(&log, damaged_log()).unwrap();
    (dir, log)
}

fn repair(log: &Path, args: &[&str]) -> Run {
    run(["repair".as_ref()].into_iter().chain(args.iter().map(AsRef::as_ref)).chain([log.as_os_str()]))
}

fn whole() -> String {
    format!("{}{}", lines()[0], lines()[2])
}

#[test]
fn a_damaged_log_is_repaired_beside_the_original() {
    let (dir, log) = damaged();
    let done = repair(&log, &[]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{done:?}");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), damaged_log());
    let repaired = dir.path().join("log.repaired.jsonl");
    assert_eq!(std::fs::read_to_string(&repaired).unwrap(), whole());
    for words in ["2 records, ", "301 bytes cut", "log.jsonl.damaged", "line 2, byte", "line 4, byte"] {
        assert!(done.stdout.contains(words), "{words}: {}", done.stdout);
    }
    assert_eq!(run(["verify".as_ref(), repaired.as_os_str()]).code, 0);
    assert!(repair(&repaired, &[]).stdout.contains("nothing to repair"));

    let again = repair(&log, &[]);
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("--force"), "{}", again.stderr);
    assert_eq!(repair(&log, &["--force"]).code, 0);
    assert_eq!(std::fs::read_to_string(&repaired).unwrap(), whole());
}

#[test]
fn json_names_every_piece_that_was_cut() {
    let (dir, log) = damaged();
    let output = dir.path().join("good.jsonl");
    let answer = repair(&log, &["--json", "--output", output.to_str().unwrap()]).json();
    assert_eq!(answer["output"], output.to_str().unwrap());
    assert_eq!((&answer["records"], &answer["bytes_cut"]), (&2.into(), &301.into()));
    let cut = std::fs::read(answer["damaged"].as_str().unwrap()).unwrap();
    let log = damaged_log();
    let mut rest = cut.len();
    for piece in answer["cuts"].as_array().unwrap() {
        let number = |key: &str| piece[key].as_u64().unwrap() as usize;
        let (from, at, length) = (number("offset"), number("damaged_offset"), number("length"));
        assert_eq!(cut[at..at + length], log.as_bytes()[from..from + length]);
        rest -= length;
    }
    assert_eq!(rest, 0);
}

#[test]
fn in_place_the_original_becomes_the_backup() {
    let (_dir, log) = damaged();
    let done = repair(&log, &["--in-place"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(std::fs::read_to_string(&log).unwrap(), whole());
    assert_eq!(std::fs::read_to_string(log.with_extension("jsonl.bak")).unwrap(), damaged_log());
    assert!(done.stdout.contains("log.jsonl.bak"), "{}", done.stdout);
}

#[test]
fn what_cannot_be_repaired_is_an_error() {
    assert_eq!(repair(Path::new("/no/such/log"), &[]).code, 2);
    assert_eq!(repair(Path::new("/"), &[]).code, 2);
    let (_dir, log) = damaged();
    let writer = std::fs::File::open(&log).unwrap();
    rustix::fs::flock(&writer, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let done = repair(&log, &[]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("being written by a living process"), "{}", done.stderr);
}

#[test]
fn whole_records_that_contradict_themselves_are_kept_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    std::fs::copy(fixture("v1.jsonl"), &log).unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, text.replacen("\"response_bytes\":291", "\"response_bytes\":292", 1)).unwrap();
    let answer = repair(&log, &["--json"]).json();
    assert_eq!((&answer["output"], &answer["records"]), (&serde_json::Value::Null, &lines().len().into()));
    assert_eq!(answer["problems_left"], 2, "the chunks and the body");
}
