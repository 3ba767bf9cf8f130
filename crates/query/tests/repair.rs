//! Repairs on a real file system.

mod support;

use claude_trace_query::{Error, Kind, Limits, Plan, Repaired, Result, Source, Target, repair};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use support::{record, report};

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(log: &[u8]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::write(folder.log(), log).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn log(&self) -> PathBuf {
        self.path("log.jsonl")
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.0.path())
            .unwrap()
            .map(|f| f.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn run(log: &Path, target: &Target, force: bool) -> Result<Repaired> {
    let plan = Plan::new(log, target, force)?;
    let path = log.to_owned();
    repair(&plan, Limits::default(), move |_| Source::new(std::fs::File::open(&path)?))
}

fn damaged() -> (String, String) {
    let (a, b, c) = (record("a"), record("b"), record("c"));
    let log = format!("{a}{}\n{b}\0\0\0\0{c}{}", &a[..60], &a[..80]);
    (log, format!("{a}{b}{c}"))
}

#[test]
fn whole_records_and_cut_bytes_are_parted_and_the_original_stays() {
    let (log, whole) = damaged();
    let folder = Folder::with(log.as_bytes());
    let done = run(&folder.log(), &Target::Beside, false).unwrap();
    assert_eq!(std::fs::read_to_string(folder.log()).unwrap(), log);
    assert_eq!(std::fs::read_to_string(done.output.unwrap()).unwrap(), whole);
    assert_eq!(folder.names(), ["log.jsonl", "log.jsonl.damaged", "log.repaired.jsonl"]);
    assert_eq!((done.records, done.bytes, done.bytes_cut), (3, whole.len() as u64, 61 + 4 + 80));
    assert_eq!(
        done.cuts.iter().map(|c| (c.line, c.kind)).collect::<Vec<_>>(),
        [(2, Kind::CutOff), (4, Kind::NulBytes), (5, Kind::CutOff),]
    );
    // The report says where each byte came from.
    let cut = std::fs::read(folder.path("log.jsonl.damaged")).unwrap();
    assert_eq!(cut.len() as u64, done.bytes_cut);
    for c in &done.cuts {
        let (from, at, length) = (c.offset as usize, c.damaged_offset as usize, c.length as usize);
        assert_eq!(cut[at..at + length], log.as_bytes()[from..from + length]);
    }
    for name in ["log.jsonl.damaged", "log.repaired.jsonl"] {
        assert_eq!(std::fs::metadata(folder.path(name)).unwrap().mode() & 0o777, 0o600);
    }
    assert!(report(whole.as_bytes()).is_ok());
}

#[test]
fn a_whole_log_is_left_alone() {
    let folder = Folder::with(record("a").as_bytes());
    for target in [Target::Beside, Target::InPlace] {
        let done = run(&folder.log(), &target, false).unwrap();
        assert_eq!((done.output, done.records), (None, 1));
        assert_eq!(folder.names(), ["log.jsonl"]);
    }
    let output = folder.path("copy.jsonl");
    let done = run(&folder.log(), &Target::To(output.clone()), false).unwrap();
    assert_eq!((done.output, done.damaged), (Some(output.clone()), None), "what was asked for is there");
    assert_eq!(std::fs::read_to_string(output).unwrap(), record("a"));
}

#[test]
fn nothing_is_overwritten_without_force() {
    let (log, whole) = damaged();
    for taken in ["log.repaired.jsonl", "log.jsonl.damaged"] {
        let folder = Folder::with(log.as_bytes());
        std::fs::write(folder.path(taken), "mine").unwrap();
        let error = run(&folder.log(), &Target::Beside, false).unwrap_err();
        assert_eq!(error.code(), "TRACE_ERR_EXISTS");
        assert_eq!(std::fs::read_to_string(folder.path(taken)).unwrap(), "mine");
        assert_eq!(folder.names().len(), 2, "nothing else was made: {:?}", folder.names());
        run(&folder.log(), &Target::Beside, true).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path("log.repaired.jsonl")).unwrap(), whole);
    }
}

#[test]
fn the_log_itself_is_never_the_output() {
    let (log, _) = damaged();
    let folder = Folder::with(log.as_bytes());
    symlink(folder.log(), folder.path("link.jsonl")).unwrap();
    std::fs::hard_link(folder.log(), folder.path("hard.jsonl")).unwrap();
    for name in ["log.jsonl", "link.jsonl", "hard.jsonl"] {
        let error = run(&folder.log(), &Target::To(folder.path(name)), true).unwrap_err();
        assert_eq!(error.code(), "TRACE_ERR_LOG_UNFIT", "{name}: {error}");
    }
    assert_eq!(std::fs::read_to_string(folder.log()).unwrap(), log);
}

#[test]
fn in_place_the_original_is_kept_under_a_second_name() {
    let (log, whole) = damaged();
    let folder = Folder::with(log.as_bytes());
    symlink("log.jsonl", folder.path("link")).unwrap();
    let done = run(&folder.path("link"), &Target::InPlace, false).unwrap();
    assert_eq!(std::fs::read_to_string(folder.log()).unwrap(), whole);
    assert_eq!(std::fs::read_to_string(done.backup.unwrap()).unwrap(), log);
    assert_eq!(folder.names(), ["link", "log.jsonl", "log.jsonl.bak", "log.jsonl.damaged"]);
    assert!(folder.path("link").symlink_metadata().unwrap().is_symlink());
    let again = run(&folder.log(), &Target::InPlace, false).unwrap();
    assert_eq!(again.output, None, "it is whole now");
    // A second accident must not cost the first original.
    std::fs::write(folder.log(), &log).unwrap();
    let error = run(&folder.log(), &Target::InPlace, true).unwrap_err();
    assert!(matches!(&error, Error::Exists { path, .. } if path.ends_with("log.jsonl.bak")), "{error}");
}

#[test]
fn an_attempt_in_place_that_was_cut_off_can_be_made_again() {
    let (log, whole) = damaged();
    let folder = Folder::with(log.as_bytes());
    // As if it had been killed between its second name for the original and the new log.
    std::fs::hard_link(folder.log(), folder.path("log.jsonl.bak")).unwrap();
    std::fs::write(folder.path("log.jsonl.damaged"), "of the attempt").unwrap();
    run(&folder.log(), &Target::InPlace, false).unwrap();
    assert_eq!(std::fs::read_to_string(folder.log()).unwrap(), whole);
    assert_eq!(std::fs::read_to_string(folder.path("log.jsonl.bak")).unwrap(), log);
}

#[test]
fn a_log_with_a_writer_is_refused() {
    let (log, _) = damaged();
    let folder = Folder::with(log.as_bytes());
    let writer = std::fs::File::open(folder.log()).unwrap();
    rustix::fs::flock(&writer, rustix::fs::FlockOperation::LockExclusive).unwrap();
    assert_eq!(run(&folder.log(), &Target::Beside, true).unwrap_err().code(), "TRACE_ERR_LOG_IN_USE");
    drop(writer);
    run(&folder.log(), &Target::Beside, false).unwrap();
}

#[test]
fn a_packed_log_is_repaired_to_plain_text() {
    let (log, whole) = damaged();
    let folder = Folder::with(b"");
    let packed = folder.path("old.jsonl.gz");
    let mut bytes = Vec::new();
    flate2::read::GzEncoder::new(log.as_bytes(), flate2::Compression::fast())
        .read_to_end(&mut bytes)
        .unwrap();
    std::fs::write(&packed, &bytes).unwrap();
    assert_eq!(run(&packed, &Target::InPlace, false).unwrap_err().code(), "TRACE_ERR_LOG_UNFIT");
    let done = run(&packed, &Target::Beside, false).unwrap();
    assert_eq!(done.output, Some(folder.path("old.repaired.jsonl")));
    assert_eq!(std::fs::read_to_string(done.output.unwrap()).unwrap(), whole);
}

#[test]
fn a_packing_that_breaks_off_is_read_as_far_as_it_goes() {
    let folder = Folder::with(b"");
    let mut long = String::new();
    (0..3000).for_each(|n| long.push_str(&record(&format!("{n:x}-{}", n * 2_654_435_761u64))));
    let packed = folder.path("old.jsonl.zst");
    let bytes = zstd::encode_all(long.as_bytes(), 1).unwrap();
    std::fs::write(&packed, &bytes[..bytes.len() * 3 / 4]).unwrap();
    let done = run(&packed, &Target::Beside, false).unwrap();
    assert!(done.broken_packing.is_some() && done.records > 100, "{} records", done.records);
    let repaired = std::fs::read_to_string(done.output.unwrap()).unwrap();
    assert!(long.starts_with(&repaired));
}

#[test]
fn holes_are_cut_without_being_written() {
    let folder = Folder::with(record("a").as_bytes());
    let file = std::fs::OpenOptions::new().append(true).open(folder.log()).unwrap();
    file.set_len(512 << 20).unwrap();
    let done = run(&folder.log(), &Target::Beside, false).unwrap();
    let is = std::fs::metadata(done.damaged.unwrap()).unwrap();
    assert_eq!(is.len(), (512 << 20) - record("a").len() as u64);
    assert!(is.blocks() * 512 < 1 << 20, "{} blocks", is.blocks());
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let (log, _) = damaged();
    let folder = Folder::with(log.as_bytes());
    let plan = Plan::new(&folder.log(), &Target::Beside, false).unwrap();
    let reads = std::cell::Cell::new(0);
    let error = repair(&plan, Limits::default(), |_| {
        reads.set(reads.get() + 1);
        if reads.get() == 1 {
            return Source::new(std::io::Cursor::new(damaged().0));
        }
        struct Bad;
        impl Read for Bad {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::from_raw_os_error(5))
            }
        }
        Source::new(std::io::Cursor::new(damaged().0).chain(Bad))
    })
    .unwrap_err();
    assert_eq!(error.code(), "TRACE_ERR_IO");
    assert_eq!(folder.names(), ["log.jsonl"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_told_by_name() {
    let (log, _) = damaged();
    let folder = Folder::with(log.as_bytes());
    let error = run(&folder.log(), &Target::To(folder.path("no/such/x.jsonl")), false).unwrap_err();
    assert!(error.to_string().contains("no/such"), "{error}");
    let inside = folder.path("read-only");
    std::fs::create_dir(&inside).unwrap();
    std::fs::set_permissions(&inside, std::fs::Permissions::from_mode(0o500)).unwrap();
    // root may write everywhere.
    if !rustix::process::geteuid().is_root() {
        assert!(run(&folder.log(), &Target::To(inside.join("x.jsonl")), false).is_err());
    }
}
