//! The standard, word for word, over a whole stream and without a thought for speed: what the parser is compared with, here
//! and in `fuzz/`, which includes this file.

/// An event with what it owns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owned {
    pub data: Vec<u8>,
    pub kind: Vec<u8>,
    pub id: Vec<u8>,
    pub has_id: bool,
    pub retry: Option<u64>,
    pub end: u64,
    pub cut: bool,
}

/// What a stream says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub events: Vec<Owned>,
    pub undispatched: u64,
    pub last_id: Vec<u8>,
    pub retry: Option<u64>,
    pub cut_lines: u64,
}

/// Reads a whole stream.
pub fn read(stream: &[u8], max_line_bytes: usize, max_data_bytes: usize) -> Outcome {
    let mut outcome = Outcome::default();
    let mut at = if stream.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut block_start = at;
    let (mut lines, mut kind, mut id): (Vec<Vec<u8>>, Vec<u8>, Vec<u8>) = Default::default();
    let (mut has_id, mut retry, mut cut) = (false, None, false);
    let mut begun = at;
    while at < stream.len() {
        if stream[at] != b'\n' && stream[at] != b'\r' {
            at += 1;
            continue;
        }
        let whole = &stream[begun..at];
        let end = at as u64 + 1;
        at += if stream[at..].starts_with(b"\r\n") { 2 } else { 1 };
        begun = at;
        if whole.is_empty() {
            outcome.last_id.clone_from(&id);
            if !lines.is_empty() {
                let mut data = lines.join(&b'\n');
                cut |= data.len() > max_data_bytes;
                data.truncate(max_data_bytes);
                let (kind, id) = (kind.clone(), id.clone());
                outcome.events.push(Owned { data, kind, id, has_id, retry, end, cut });
            }
            lines.clear();
            kind.clear();
            (has_id, retry, cut) = (false, None, false);
            block_start = at;
            continue;
        }
        let line = &whole[..whole.len().min(max_line_bytes)];
        if line.len() < whole.len() && line.first() != Some(&b':') {
            cut = true;
            outcome.cut_lines += 1;
        }
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let field = halves.next().unwrap_or_default();
        let mut value = halves.next().unwrap_or_default();
        if value.first() == Some(&b' ') {
            value = &value[1..];
        }
        match field {
            b"data" => lines.push(value.to_vec()),
            b"event" => kind = value.to_vec(),
            b"id" if !value.contains(&0) => (id, has_id) = (value.to_vec(), true),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let digits = std::str::from_utf8(value).expect("digits are text");
                retry = Some(digits.parse().unwrap_or(u64::MAX));
                outcome.retry = retry;
            }
            _ => {}
        }
    }
    outcome.undispatched = (stream.len() - block_start.min(stream.len())) as u64;
    outcome
}
