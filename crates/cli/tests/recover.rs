//! `claude-trace recover` from outside: sessions of processes that were killed for this.
//!
//! The process is this test binary, which runs itself with CT_DIR set to the folder of the test.

mod support;

use claude_trace_core::clock::monotonic_nanos;
use claude_trace_core::config::Config;
use claude_trace_core::exchange::{Kind, Source};
use claude_trace_core::notice::Notices;
use claude_trace_core::pipeline::{Pipeline, Recorder};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use support::{Run, command, ran, run};

const ORIGIN: &str = "https://api.anthropic.com";
const REQUEST: &[u8] = b"POST /v1/messages HTTP/1.1\r\ncontent-type: application/json\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";

/// The recorder's process: writes one exchange to the log, opens two more, and does what it is told on stdin.
#[test]
#[ignore = "run by the tests below in a process of its own"]
fn records_until_it_is_killed() {
    let dir = PathBuf::from(std::env::var_os("CT_DIR").expect("set by the test that runs this"));
    let config = Config {
        spool_dir: Some(dir.join("spool")),
        runtime_dir: dir.join("run"),
        memory_pool_size: 65536,
        ..Config::new(dir.join("logs"))
    };
    let mut recorder = Recorder::new(&Pipeline::new(config, Notices::silent()).unwrap()).unwrap();
    let begin = |recorder: &mut Recorder, body: &[u8]| {
        let id = recorder
            .begin(Source::Undici, ORIGIN, REQUEST, monotonic_nanos(), monotonic_nanos())
            .expect("there is room");
        recorder.push(id, Kind::RequestBody, body, monotonic_nanos());
        recorder.push(id, Kind::RequestEnd, b"", monotonic_nanos());
        id
    };
    let done = begin(&mut recorder, b"\"done\"");
    recorder.push(done, Kind::ResponseHead, RESPONSE, monotonic_nanos());
    recorder.push(done, Kind::ResponseEnd, b"", monotonic_nanos());
    assert!(recorder.drain(Instant::now() + Duration::from_secs(20)));
    begin(&mut recorder, b"\"unanswered\"");
    let open = begin(&mut recorder, b"\"open\"");
    recorder.push(open, Kind::ResponseHead, RESPONSE, monotonic_nanos());
    // Each number that was asked for is answered once its chunk is in the spool: what the other side has read of
    // the answers must be on record.
    println!("\nready");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        recorder.push(open, Kind::ResponseBody, format!("data: {line}\n\n").as_bytes(), monotonic_nanos());
        println!("{line}");
    }
}

struct Victim {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Victim {
    /// Ready, with two exchanges open.
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "records_until_it_is_killed", "--ignored", "--nocapture"])
            .env("CT_DIR", dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut victim = Self { child, stdin, stdout };
        while victim.read_line() != "ready" {}
        victim
    }

    fn read_line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.stdout.read_line(&mut line).unwrap() > 0, "it ended before it should");
        line.trim_end().to_owned()
    }

    /// Has it record the numbers from 0 to `last`.
    fn record(&mut self, last: u32) {
        for number in 0..=last {
            writeln!(self.stdin, "{number}").unwrap();
            assert_eq!(self.read_line(), number.to_string());
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn args(dir: &Path, more: &[&str]) -> Vec<std::ffi::OsString> {
    let mut args: Vec<std::ffi::OsString> = vec!["recover".into()];
    args.extend([
        "--spool-dir".into(),
        dir.join("spool").into(),
        "--runtime-dir".into(),
        dir.join("run").into(),
    ]);
    args.extend(more.iter().map(Into::into));
    args
}

fn recover(dir: &Path, more: &[&str]) -> Run {
    run(args(dir, more))
}

fn log(dir: &Path) -> PathBuf {
    let mut logs = std::fs::read_dir(dir.join("logs")).unwrap().map(|file| file.unwrap().path());
    logs.find(|path| path.extension() == Some("jsonl".as_ref())).unwrap()
}

fn records(dir: &Path) -> Vec<Value> {
    std::fs::read_to_string(log(dir))
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The file of the orphan's segment that holds the bytes.
fn segment_with(dir: &Path, bytes: &[u8]) -> PathBuf {
    let sessions = std::fs::read_dir(dir.join("spool")).unwrap().map(|entry| entry.unwrap().path());
    let mut files =
        sessions.flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|file| file.unwrap().path());
    files
        .find(|file| memchr::memmem::find(&std::fs::read(file).unwrap(), bytes).is_some())
        .expect("it is in the spool")
}

#[test]
fn what_a_killed_process_had_seen_is_on_record_once() {
    let dir = folder();
    let mut victim = Victim::start(dir.path());
    victim.record(50);
    victim.kill();

    let listed = recover(dir.path(), &["--list", "--json"]).json();
    assert_eq!(listed["sessions"][0]["state"], "orphaned");
    assert_eq!(records(dir.path()).len(), 1, "listing has changed nothing");

    let done = recover(dir.path(), &[]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{done:?}");
    let log = log(dir.path());
    assert!(
        done.stdout.contains(&format!("2 records written into {}, 1 there already", log.display())),
        "{}",
        done.stdout
    );
    let all = records(dir.path());
    let bodies: Vec<&Value> = all.iter().map(|record| &record["request"]["body"]).collect();
    assert_eq!(bodies.len(), 3, "{bodies:?}");
    let open = all.iter().find(|record| record["request"]["body"] == "\"open\"").unwrap();
    let expected: String = (0..=50).map(|number| format!("data: {number}\n\n")).collect();
    assert_eq!(open["response"]["body_raw"], expected);
    assert_eq!(run(["verify".as_ref(), log.as_os_str()]).code, 0);

    let again = recover(dir.path(), &[]);
    assert_eq!((again.code, again.stdout.as_str()), (0, "nothing to recover\n"));
    assert_eq!(records(dir.path()).len(), 3);
}

#[test]
fn living_processes_are_listed_and_left_alone() {
    let dir = folder();
    let victim = Victim::start(dir.path());
    let listed = recover(dir.path(), &["--list"]);
    assert_eq!(listed.code, 0);
    assert!(listed.stdout.starts_with(&format!("process {}, ", victim.child.id())), "{}", listed.stdout);
    assert!(listed.stdout.contains("living, in "), "{}", listed.stdout);
    let json = recover(dir.path(), &["--list", "--json"]).json();
    assert_eq!(
        (&json["sessions"][0]["state"], &json["sessions"][0]["pid"]),
        (&"living".into(), &victim.child.id().into())
    );
    assert_eq!(recover(dir.path(), &[]).stdout, "nothing to recover\n");
    assert_eq!(records(dir.path()).len(), 1);
    victim.kill();
    assert!(recover(dir.path(), &[]).stdout.contains("2 records"));
}

#[test]
fn two_that_recover_at_once_write_nothing_twice() {
    let dir = folder();
    // All live before the first dies: a start recovers what it finds.
    let mut victims: Vec<Victim> = (0..4).map(|_| Victim::start(dir.path())).collect();
    victims.iter_mut().for_each(|victim| victim.record(5));
    victims.into_iter().for_each(Victim::kill);
    let both: Vec<Child> = (0..4)
        .map(|_| command(args(dir.path(), &["--json"])).stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    let written: u64 = both
        .into_iter()
        .map(|child| ran(child.wait_with_output().unwrap()))
        .map(|done| {
            assert_eq!(done.code, 0);
            done.json()["written"].as_u64().unwrap()
        })
        .sum();
    // One may have found the sessions held by the other, and the other may have been done: together they have all.
    assert_eq!(written, 8);
    let logs: Vec<PathBuf> =
        std::fs::read_dir(dir.path().join("logs")).unwrap().map(|file| file.unwrap().path()).collect();
    let records: usize = logs.iter().map(|log| std::fs::read_to_string(log).unwrap().lines().count()).sum();
    assert_eq!(records, 12);
    let done = run(["verify".into()].into_iter().chain(logs.into_iter().map(std::ffi::OsString::from)));
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn a_session_that_cannot_be_recovered_is_told_and_kept() {
    let dir = folder();
    Victim::start(dir.path()).kill();
    std::fs::rename(dir.path().join("logs"), dir.path().join("moved")).unwrap();
    std::fs::write(dir.path().join("logs"), "in the way").unwrap();
    for json in [false, true] {
        let done = recover(dir.path(), if json { &["--json"] } else { &[] });
        assert_eq!(done.code, 1, "{done:?}");
        if json {
            assert_eq!(done.json()["sessions"][0]["state"], "failed");
            assert_eq!(done.json()["sessions"][0]["error"]["code"], "TRACE_ERR_IO");
        } else {
            assert!(done.stderr.starts_with("claude-trace: process "), "{}", done.stderr);
            assert!(done.stdout.contains("not recovered, kept in "), "{}", done.stdout);
        }
    }
    std::fs::remove_file(dir.path().join("logs")).unwrap();
    std::fs::rename(dir.path().join("moved"), dir.path().join("logs")).unwrap();
    assert_eq!(recover(dir.path(), &[]).code, 0);
    assert_eq!(records(dir.path()).len(), 3);
}

#[test]
fn a_spool_below_the_folder_that_is_named_is_found() {
    let dir = folder();
    let mut victim = Victim::start(dir.path());
    victim.record(3);
    victim.kill();
    // As in a container, where the spool lies below the logs.
    std::fs::rename(dir.path().join("spool"), dir.path().join("logs/.spool")).unwrap();
    let elsewhere = run(["recover".into(), "--runtime-dir".into(), dir.path().join("run").into_os_string()]);
    assert_eq!(elsewhere.stdout, "nothing to recover\n");
    let logs = dir.path().join("logs");
    let done = run([
        "recover".as_ref(),
        "--runtime-dir".as_ref(),
        dir.path().join("run").as_os_str(),
        logs.as_os_str(),
    ]);
    assert!(done.stdout.contains("2 records"), "{done:?}");
    assert!(!logs.join(".spool").exists());
    // The variables of the recorder say the same.
    let mut victim = Victim::start(dir.path());
    victim.record(3);
    victim.kill();
    let done = command(["recover".as_ref(), "--runtime-dir".as_ref(), dir.path().join("run").as_os_str()])
        .env("CLAUDE_TRACE_SPOOL_DIR", dir.path().join("spool"))
        .output()
        .unwrap();
    assert!(ran(done).stdout.contains("2 records"));
}

#[test]
fn a_flipped_bit_in_the_spool_costs_what_it_hit_and_is_counted() {
    let dir = folder();
    let mut victim = Victim::start(dir.path());
    victim.record(20);
    victim.kill();
    let segment = segment_with(dir.path(), b"data: 7\n");
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = memchr::memmem::find(&bytes, b"data: 7\n").unwrap();
    // The header before the payload: its checksum sees it. Its length cannot be believed then, so the segment ends there.
    bytes[at - 20] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let answer = recover(dir.path(), &["--json"]).json();
    assert_eq!(answer["sessions"][0]["damaged"], 1, "{answer}");
    let all = records(dir.path());
    let open = all.iter().find(|record| record["request"]["body"] == "\"open\"").unwrap();
    let kept = open["response"]["body_raw"].as_str().unwrap();
    assert!(kept.starts_with("data: 0\n\n") && !kept.contains("data: 7\n"), "{kept:?}");
    assert_eq!(run(["verify".as_ref(), log(dir.path()).as_os_str()]).code, 0);
}

#[test]
fn a_truncated_segment_gives_what_it_still_has() {
    let dir = folder();
    let mut victim = Victim::start(dir.path());
    victim.record(20);
    victim.kill();
    let segment = segment_with(dir.path(), b"data: 7\n");
    let file = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
    let mut bytes = Vec::new();
    std::fs::File::open(&segment).unwrap().read_to_end(&mut bytes).unwrap();
    file.set_len(memchr::memmem::find(&bytes, b"data: 7\n").unwrap() as u64).unwrap();
    let done = recover(dir.path(), &[]);
    assert_eq!(done.code, 0, "{done:?}");
    let all = records(dir.path());
    let open = all.iter().find(|record| record["request"]["body"] == "\"open\"").unwrap();
    let kept = open["response"]["body_raw"].as_str().unwrap();
    assert!(kept.starts_with("data: 0\n\n") && kept.ends_with("data: 6\n\n"), "{kept:?}");
    assert_eq!(run(["verify".as_ref(), log(dir.path()).as_os_str()]).code, 0);
}
