//! Streams of each provider, and bytes that are none.

mod fixtures;
mod odd;

use super::{Derived, Hints, Stream};

const SSE: &str = "text/event-stream; charset=utf-8";

fn hints<'a>(content_type: &'a str, url: &'a str) -> Hints<'a> {
    Hints { content_type: content_type.as_bytes(), url: url.as_bytes() }
}

/// What is derived of a body in these pieces, without times.
fn derive<'a>(hints: &Hints, pieces: impl IntoIterator<Item = &'a [u8]>) -> Derived {
    let mut stream = Stream::of(hints).expect("a stream");
    for piece in pieces {
        stream.push(piece, None);
    }
    stream.finish()
}

/// Of a stream of events with this data.
fn derive_events(url: &str, events: &[&str]) -> Derived {
    let body: String = events.iter().map(|data| format!("data: {data}\n\n")).collect();
    derive(&hints(SSE, url), [body.as_bytes()])
}
