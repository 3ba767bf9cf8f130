//! The exchanges that are replayed: a recorded one of `fixtures/records`, its stream made longer by its own events.

use serde_json::Value;

const ALPHABET: &str = "etaoinshrdlucmfwypvbgkjqxzetaoinshrdlucmfwyp";
const RECORDS: &str = include_str!("../../../../fixtures/records/claude-trace-1.0.9.jsonl");
/// Bytes of a framed entry beside its payload: close enough for a window.
const FRAME: usize = 64;
const CHUNK: usize = 150;
const LARGE_CHUNKS: [usize; 4] = [2048, 4096, 8192, 16384];

/// How responses are cut into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sse,
    SseLarge,
    Json,
    JsonLarge,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Sse, Self::SseLarge, Self::Json, Self::JsonLarge];

    /// Of one response, if nothing else is said.
    pub fn body_bytes(self) -> usize {
        match self {
            Self::Sse | Self::SseLarge => 65536,
            Self::Json => 2048,
            Self::JsonLarge => 1_000_000,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Sse => "sse",
            Self::SseLarge => "sse-large",
            Self::Json => "json",
            Self::JsonLarge => "json-large",
        }
    }
}

/// One exchange, to be pushed again and again.
pub struct Exchanges {
    pub request_head: Vec<u8>,
    pub request_body: Vec<u8>,
    pub response_head: Vec<u8>,
    response: Vec<u8>,
    /// Where chunks end in `response`.
    ends: Vec<usize>,
}

impl Exchanges {
    pub fn new(kind: Kind, body_bytes: usize) -> Self {
        let is_json = matches!(kind, Kind::Json | Kind::JsonLarge);
        let wanted = if is_json { "application/json" } else { "text/event-stream; charset=utf-8" };
        let record = RECORDS
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("a fixture is JSON"))
            .find(|record| record["response"]["headers"]["content-type"] == wanted)
            .expect("there is one of each kind");
        let response = match kind {
            Kind::Json | Kind::JsonLarge => json_of(body_bytes),
            Kind::Sse | Kind::SseLarge => stream_of(text(&record["response"]["body_raw"]), body_bytes),
        };
        let sizes: &[usize] = match kind {
            Kind::Sse => &[CHUNK],
            Kind::SseLarge => &LARGE_CHUNKS,
            Kind::Json | Kind::JsonLarge => &[usize::MAX],
        };
        let mut ends = Vec::new();
        let mut end = 0;
        while end < response.len() {
            end = response.len().min(end.saturating_add(sizes[ends.len() % sizes.len()]));
            ends.push(end);
        }
        Self {
            request_head: head("POST /v1/messages HTTP/1.1\r\n", &record["request"]["headers"]),
            request_body: record["request"]["body"].to_string().into_bytes(),
            response_head: head("HTTP/1.1 200 OK\r\n", &record["response"]["headers"]),
            response,
            ends,
        }
    }

    /// The response in the chunks it comes in.
    pub fn response(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.response[start..*end])
    }

    pub fn chunks(&self) -> usize {
        self.ends.len()
    }

    pub fn response_bytes(&self) -> usize {
        self.response.len()
    }

    /// What so many come to in the log, or a little more.
    pub fn expected_log_bytes(&self, count: usize) -> u64 {
        (count * (self.spool_bytes() + self.response.len() / 4)) as u64
    }

    /// What one takes in the spool.
    pub fn spool_bytes(&self) -> usize {
        let heads = self.request_head.len() + self.request_body.len() + self.response_head.len();
        heads + self.response.len() + (self.chunks() + 5) * FRAME
    }
}

fn text(value: &Value) -> &str {
    value.as_str().expect("it is a text")
}

fn head(first_line: &str, headers: &Value) -> Vec<u8> {
    let fields = headers.as_object().expect("headers are an object").iter();
    let lines = fields.map(|(name, value)| format!("{name}: {}\r\n", text(value))).collect::<String>();
    format!("{first_line}{lines}").into_bytes()
}

/// The recorded stream, its deltas repeated until it has that length.
fn stream_of(recorded: &str, bytes: usize) -> Vec<u8> {
    let events: Vec<&str> = recorded.split_inclusive("\n\n").collect();
    let is_delta = |event: &&str| event.starts_with("event: content_block_delta");
    let first = events.iter().position(is_delta).expect("it has deltas");
    let deltas: Vec<&str> = events.iter().copied().filter(is_delta).collect();
    let after: String = events[first..].iter().copied().filter(|event| !is_delta(event)).collect();
    let mut stream = events[..first].concat();
    let mut words = Words(1);
    for delta in deltas.into_iter().cycle() {
        // As recorded, one text would be guessed by every branch predictor and compressor.
        let delta = delta.replace("Héllo ", &words.some());
        if stream.len() + after.len() + delta.len() > bytes {
            break;
        }
        stream.push_str(&delta);
    }
    (stream + &after).into_bytes()
}

/// Words that follow no pattern, the same in each run.
struct Words(u64);

impl Words {
    fn some(&mut self) -> String {
        let words = 2 + self.next() % 9;
        (0..words)
            .map(|_| {
                let start = self.next() as usize % 26;
                format!("{} ", &ALPHABET[start..start + 1 + self.next() as usize % 12])
            })
            .collect()
    }

    /// Knuth's MMIX generator; the high bits are the good ones.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 40
    }
}

fn json_of(bytes: usize) -> Vec<u8> {
    let words = "Some words of an answer, \"quoted\" now and then,\nin lines of moderate length. ";
    let content: String = words.chars().cycle().take(bytes.saturating_sub(200)).collect();
    serde_json::json!({
        "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-mock-1",
        "content": [{ "type": "text", "text": content }], "stop_reason": "end_turn",
        "usage": { "input_tokens": 1042, "output_tokens": 211 },
    })
    .to_string()
    .into_bytes()
}
