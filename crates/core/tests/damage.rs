//! Spools with any bytes in them: no input makes a recovery panic, allocate beyond its size or run on; and what is whole is
//! recovered whatever the rest looks like.

use claude_trace_core::disk::Disk;
use claude_trace_core::exchange::Kind;
use claude_trace_core::recover::recover;
use claude_trace_core::spool::layout::{EntryHeader, FLAG_INTENT};
use claude_trace_core::spool::segment::Segment;
use claude_trace_core::spool::session::{self, Record, Session, VERSION};
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

const SIZE: usize = 16 * 1024;

/// A root with one orphaned session, whose segments are `segments`.
fn orphan(dir: &Path, segments: &[Vec<u8>]) -> Session {
    let root = dir.join("spool");
    std::fs::create_dir(&root).unwrap();
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o700)).unwrap();
    let record = Record {
        version: VERSION,
        pid: 1,
        started_at: 1_795_206_489_000_000_000,
        log_directory: dir.join("logs"),
        log_base_name: None,
        log_file: None,
        overflow: None,
        runtime_dir: dir.join("run"),
        zero_latency: true,
        max_decoded_bytes: 1024 * 1024,
    };
    let session = Session::create(&Disk::default(), &root, &record).unwrap();
    for (index, bytes) in segments.iter().enumerate() {
        std::fs::write(session.folder().join(format!("{index}.seg")), bytes).unwrap();
    }
    drop(session);
    session::orphans(&Disk::default(), &root).pop().expect("its lock is free")
}

fn lines(dir: &Path) -> Vec<serde_json::Value> {
    let files = std::fs::read_dir(dir.join("logs")).into_iter().flatten().flatten();
    let texts = files.map(|file| std::fs::read_to_string(file.path()).unwrap());
    texts
        .flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>())
        .collect()
}

/// A segment with whole exchanges, as its process would have left it.
fn segment_of(exchanges: u64) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.seg");
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    file.set_len(SIZE as u64).unwrap();
    let segment = Arc::new(Segment::in_file(&Disk::default(), file, path.clone(), SIZE, false, 7).unwrap());
    let mut writer = segment.claim();
    let mut sequence = 0;
    for exchange in 1..=exchanges {
        let parts: [(Kind, u8, &[u8]); 5] = [
            (Kind::RequestHead, FLAG_INTENT, b"POST http://x/v1/messages HTTP/1.1\r\n"),
            (Kind::RequestBody, 0, b"{\"n\":1}"),
            (Kind::ResponseHead, 0, b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"),
            (Kind::ResponseBody, 0, b"data: 1\n\n"),
            (Kind::ResponseEnd, 0, b""),
        ];
        for (kind, flags, payload) in parts {
            let header = EntryHeader {
                generation: 0,
                exchange,
                sequence,
                at: 1_795_206_489_000_000_000 + sequence,
                payload_len: 0,
                kind: kind as u8,
                flags,
                source: 1,
                chain: 0,
                hook_ns: 0,
            };
            writer.append(header, payload, || 0).unwrap();
            sequence += 1;
        }
    }
    std::fs::read(&path).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_bytes_are_survived(segments in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 0..4)) {
        let dir = tempfile::tempdir().unwrap();
        let session = orphan(dir.path(), &segments);
        let report = recover(&session).unwrap();
        prop_assert_eq!(report.recovered, 0);
    }

    #[test]
    fn a_damaged_segment_costs_what_is_damaged(
        at in 0usize..SIZE,
        damage in prop::collection::vec(any::<u8>(), 1..200),
        cut in prop::option::of(0usize..SIZE),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut damaged = segment_of(5);
        let end = (at + damage.len()).min(SIZE);
        damaged[at..end].copy_from_slice(&damage[..end - at]);
        damaged.truncate(cut.unwrap_or(SIZE));
        let session = orphan(dir.path(), &[damaged]);
        recover(&session).unwrap();
        let records = lines(dir.path());
        prop_assert!(records.len() <= 5);
        // Whatever came out is a record, and none came out twice.
        let mut ids: Vec<_> = records.iter().map(|r| r["trace"]["id"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), records.len());
    }

    #[test]
    fn any_record_of_a_session_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let dir = tempfile::tempdir().unwrap();
        let session = orphan(dir.path(), &[segment_of(1)]);
        std::fs::write(session.folder().join("session"), &bytes).unwrap();
        prop_assert!(recover(&session).is_err(), "it is kept for somebody who can read it");
    }
}

#[test]
fn what_stands_behind_damage_in_a_segment_is_recovered() {
    let dir = tempfile::tempdir().unwrap();
    let mut damaged = segment_of(5);
    damaged[700..1400].fill(0);
    let session = orphan(dir.path(), &[damaged]);
    let report = recover(&session).unwrap();
    assert!(report.damaged > 0);
    let whole = lines(dir.path()).iter().filter(|r| r["response"]["body_raw"] == "data: 1\n\n").count();
    assert!(whole >= 2, "{whole} of 5");
}

#[test]
fn whole_segments_are_recovered_beside_a_damaged_one() {
    let dir = tempfile::tempdir().unwrap();
    let session = orphan(dir.path(), &[segment_of(5), vec![0xff; 5000]]);
    assert_eq!(recover(&session).unwrap().recovered, 5);
    assert_eq!(lines(dir.path()).len(), 5);
    assert_eq!(recover(&session).unwrap().recovered, 0, "once is enough");
}

/// Everything fails from the n-th operation on: to those who come after, that is a kill.
#[derive(Debug)]
struct DeadFrom(std::sync::atomic::AtomicUsize);

impl claude_trace_core::disk::Faults for DeadFrom {
    fn fate(&self, _op: claude_trace_core::disk::Op, _path: &Path) -> claude_trace_core::disk::Fate {
        use std::sync::atomic::Ordering::SeqCst;
        match self.0.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)) {
            Ok(_) => claude_trace_core::disk::Fate::Done,
            // A write leaves a part of itself, as a kill does.
            Err(_) => claude_trace_core::disk::Fate::StopsAfter(9, rustix::io::Errno::IO),
        }
    }
}

#[test]
fn a_recovery_may_stop_after_any_operation_and_the_next_one_goes_on() {
    let segments = [segment_of(5)];
    for n in 0.. {
        assert!(n < 500, "it does not come to an end");
        let dir = tempfile::tempdir().unwrap();
        drop(orphan(dir.path(), &segments));
        let root = dir.path().join("spool");
        let dying = Disk::with_faults(Arc::new(DeadFrom(n.into())));
        let first = session::orphans(&dying, &root).pop().map(|session| recover(&session));
        let finished = matches!(first, Some(Ok(_)));
        if !finished {
            let second = session::orphans(&Disk::default(), &root).pop().expect("it is still there");
            recover(&second).unwrap();
        }
        let records = lines(dir.path());
        let ids: std::collections::HashSet<_> =
            records.iter().map(|r| r["trace"]["id"].to_string()).collect();
        assert_eq!((records.len(), ids.len()), (5, 5), "after operation {n}");
        if finished {
            return;
        }
    }
}
