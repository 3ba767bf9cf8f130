//! Any bytes as the segment of a process that died, and any damage to a good one: recovery must end, keep to the segment's
//! size and write no exchange twice. `crates/core/tests/damage.rs` holds the same with chosen inputs.

#![no_main]

use claude_trace_core::disk::Disk;
use claude_trace_core::exchange::Kind;
use claude_trace_core::recover::recover;
use claude_trace_core::spool::layout::{EntryHeader, FLAG_INTENT};
use claude_trace_core::spool::segment::Segment;
use claude_trace_core::spool::session::{self, Record, Session, VERSION};
use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, LazyLock};

const SIZE: usize = 16 * 1024;
const EXCHANGES: u64 = 5;
const STARTED: u64 = 1_795_206_489_000_000_000;

/// A segment with whole exchanges, as its process would have left it.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("0.seg");
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).expect("a new file");
    file.set_len(SIZE as u64).expect("room");
    let segment = Segment::in_file(&Disk::default(), file, path.clone(), SIZE, false, 7).expect("a segment");
    let mut writer = Arc::new(segment).claim();
    let parts: [(Kind, u8, &[u8]); 5] = [
        (Kind::RequestHead, FLAG_INTENT, b"POST http://x/v1/messages HTTP/1.1\r\n"),
        (Kind::RequestBody, 0, b"{\"n\":1}"),
        (Kind::ResponseHead, 0, b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"),
        (Kind::ResponseBody, 0, b"data: 1\n\n"),
        (Kind::ResponseEnd, 0, b""),
    ];
    for entry in 0..EXCHANGES * 5 {
        let (kind, flags, payload) = parts[entry as usize % 5];
        let header = EntryHeader {
            generation: 0,
            exchange: entry / 5 + 1,
            sequence: entry,
            at: STARTED + entry,
            payload_len: 0,
            kind: kind as u8,
            flags,
            source: 1,
            chain: 0,
            hook_ns: 0,
        };
        writer.append(header, payload, || 0).expect("room for it");
    }
    std::fs::read(&path).expect("it was just written")
});

// The first byte chooses: the rest is a segment, or triples (place, place, byte) that are written over a good one.
fuzz_target!(|data: &[u8]| {
    let Some((how, rest)) = data.split_first() else { return };
    let segment = if how % 2 == 0 {
        rest.to_vec()
    } else {
        let mut damaged = GOOD.clone();
        for patch in rest.chunks_exact(3) {
            damaged[usize::from(u16::from_le_bytes([patch[0], patch[1]])) % SIZE] = patch[2];
        }
        damaged
    };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let orphan = orphan(dir.path(), &segment);
    let report = recover(&orphan).expect("the log can be written");
    let ids = ids(dir.path());
    assert!(ids.len() as u64 >= report.recovered, "what is called recovered is in the log");
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "no exchange stands there twice");
});

fn orphan(dir: &Path, segment: &[u8]) -> Session {
    let root = dir.join("spool");
    std::fs::create_dir(&root).expect("a new folder");
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o700)).expect("it is ours");
    let record = Record {
        version: VERSION,
        pid: 1,
        started_at: STARTED,
        log_directory: dir.join("logs"),
        log_base_name: None,
        log_file: None,
        overflow: None,
        runtime_dir: dir.join("run"),
        zero_latency: true,
        max_decoded_bytes: 1024 * 1024,
    };
    let session = Session::create(&Disk::default(), &root, &record).expect("a session");
    std::fs::write(session.folder().join("0.seg"), segment).expect("a segment");
    drop(session);
    session::orphans(&Disk::default(), &root).pop().expect("its lock is free")
}

fn ids(dir: &Path) -> Vec<String> {
    let files = std::fs::read_dir(dir.join("logs")).into_iter().flatten().flatten();
    let logs = files.map(|file| std::fs::read_to_string(file.path()).expect("records are text"));
    logs.flat_map(|log| {
        log.lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a line is a record")["trace"]["id"].to_string())
            .collect::<Vec<_>>()
    })
    .collect()
}
