//! What the disk makes of the same bytes without a recorder.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// Seconds to append that many bytes to a new file, in writes of that size. Not forced to the medium, as the log is not.
pub fn seconds(folder: &Path, bytes: u64, write: u64) -> f64 {
    let block = vec![b'x'; write.max(1) as usize];
    let path = folder.join("plain");
    let mut file = File::options().create_new(true).append(true).open(&path).expect("a file can be made");
    let started = Instant::now();
    let mut left = bytes;
    while left > 0 {
        let part = left.min(block.len() as u64);
        file.write_all(&block[..part as usize]).expect("there is room");
        left -= part;
    }
    let seconds = started.elapsed().as_secs_f64();
    std::fs::remove_file(&path).expect("it was made a moment ago");
    seconds
}
