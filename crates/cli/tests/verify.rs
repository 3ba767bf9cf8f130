//! `claude-trace verify` from outside.

mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use support::{BINARY, command, damaged_log, fixture, lines, run};

#[test]
fn whole_logs_of_both_formats_are_ok() {
    let (ours, upstream) = (fixture("v1.jsonl"), fixture("claude-trace-1.0.9.jsonl"));
    let done = run(["verify".as_ref(), ours.as_os_str(), upstream.as_os_str()]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{done:?}");
    let said: Vec<&str> = done.stdout.lines().collect();
    assert!(said[0].contains(&format!("v1.jsonl: ok: {} records, ", lines().len())), "{said:?}");
    assert!(said[0].ends_with(" kB (3 partial, 1 failed, 1 orphaned, 1 recovered, 1 with gaps)"), "{said:?}");
    assert!(
        said[1].ends_with("ok: 10 records, 18 kB (1 partial, 1 orphaned, 10 of claude-trace 1.0.9)"),
        "{said:?}"
    );
}

#[test]
fn problems_are_told_with_their_places() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    std::fs::write(&log, damaged_log()).unwrap();
    let done = run(["verify".as_ref(), log.as_os_str()]);
    assert_eq!(done.code, 1);
    let (first, third) = (lines()[0].len(), lines()[0].len() + 201 + lines()[2].len());
    let said: Vec<&str> = done.stdout.lines().collect();
    assert!(said[0].contains(": 2 problems: 2 records, "), "{said:?}");
    assert_eq!(said[1], format!("  line 2, byte {first}, 201 bytes: cut off at byte 200"));
    assert_eq!(
        said[2],
        format!("  line 4, byte {third}, 100 bytes: torn: the file ends in the middle of this line")
    );
}

#[test]
fn problems_past_the_limit_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    std::fs::write(&log, "nothing\n".repeat(25)).unwrap();
    let done = run(["verify".as_ref(), log.as_os_str()]);
    assert_eq!((done.stdout.lines().count(), done.stdout.lines().last()), (22, Some("  … and 5 more")));
    let done = run(["verify".as_ref(), "--max-problems=0".as_ref(), log.as_os_str()]);
    assert_eq!(done.stdout.lines().last(), Some("  … and 25 more"));
}

#[test]
fn json_is_data_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    std::fs::write(&log, damaged_log()).unwrap();
    let done = run(["verify".as_ref(), "--json".as_ref(), fixture("v1.jsonl").as_os_str(), log.as_os_str()]);
    assert_eq!((done.code, done.stderr.as_str()), (1, ""));
    let answer = done.json();
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["files"][0]["ok"], true);
    let file = &answer["files"][1];
    assert_eq!(
        (&file["ok"], &file["records"], &file["problem_count"], &file["damaged_bytes"]),
        (&false.into(), &2.into(), &2.into(), &301.into())
    );
    assert_eq!(file["problems"][0]["kind"], "cut-off");
    assert_eq!(file["problems"][0]["offset"], lines()[0].len());
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_and_the_others_are_read() {
    let log = fixture("v1.jsonl");
    let args = |json: &[&'static str]| {
        let mut args: Vec<_> = ["verify"].iter().chain(json).map(Into::into).collect();
        args.extend([std::ffi::OsString::from("/no/such/log"), log.clone().into(), "/".into()]);
        args
    };
    let done = run(args(&[]));
    assert_eq!((done.code, done.stdout.lines().count()), (2, 1));
    let said: Vec<&str> = done.stderr.lines().collect();
    assert!(said[0].starts_with("claude-trace: cannot open /no/such/log: "), "{said:?}");
    assert!(said[1].starts_with("claude-trace: cannot read /: "), "{said:?}");
    let done = run(args(&["--json"]));
    let answer = done.json();
    assert_eq!((done.code, &answer["ok"]), (2, &false.into()));
    assert_eq!(answer["files"][0]["error"]["code"], "TRACE_ERR_IO");
    assert_eq!(answer["files"][1]["records"], lines().len());
}

#[test]
fn packed_logs_and_standard_input_are_read() {
    let mut zstd = zstd::encode_all(damaged_log().as_bytes(), 1).unwrap();
    for (expected, said) in [(1, "2 problems"), (1, "3 problems")] {
        let mut child =
            command(["verify", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&zstd).unwrap();
        let done = support::ran(child.wait_with_output().unwrap());
        assert_eq!(done.code, expected);
        assert!(done.stdout.starts_with("-: ") && done.stdout.contains(said), "{}", done.stdout);
        // And once more with half a frame after it.
        let half = zstd.len() / 2;
        zstd.extend_from_within(..half);
    }
}

#[test]
fn a_line_that_is_being_written_is_no_problem() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    let lines = lines();
    std::fs::write(&log, format!("{}{}", lines[0], &lines[1][..200])).unwrap();
    let writer = std::fs::File::open(&log).unwrap();
    rustix::fs::flock(&writer, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let done = run(["verify".as_ref(), log.as_os_str()]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("; its last line is being written"), "{}", done.stdout);
    drop(writer);
    assert_eq!(run(["verify".as_ref(), log.as_os_str()]).code, 1);
}

#[test]
fn memory_is_bounded_whatever_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log.jsonl");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&log).unwrap());
    let line = lines()[0].replace("\"id\":", "\"not-id\":");
    // A line of 128 MB, a hole of 256 MB, and 64 MB of ordinary lines.
    file.write_all(b"{\"request\":\"").unwrap();
    (0..128).for_each(|_| file.write_all(&[b'x'; 1 << 20]).unwrap());
    file.write_all(b"\n").unwrap();
    let mut file = file.into_inner().unwrap();
    let end = file.metadata().unwrap().len() + (256 << 20);
    file.set_len(end).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
    let block = line.repeat((1 << 20) / line.len());
    (0..64).for_each(|_| file.write_all(block.as_bytes()).unwrap());
    drop(file);

    // 64 MiB of address space, of which the program itself takes a part.
    let done = Command::new("sh")
        .args(["-c", "ulimit -v 65536; exec \"$@\"", "sh", BINARY, "verify", "--max-line", "16MiB"])
        .arg(&log)
        .output()
        .unwrap();
    let done = support::ran(done);
    assert_eq!((done.code, done.stderr.as_str()), (1, ""), "{done:?}");
    assert!(done.stdout.contains("longer than the limit"), "{}", done.stdout);
    assert!(done.stdout.contains("268435456 NUL bytes"), "{}", done.stdout);
}
