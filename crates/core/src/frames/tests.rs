//! Frames at every split, damaged ones, and any bytes.

use super::*;
use proptest::prelude::*;

/// A frame with text headers, as Bedrock sends it.
pub(crate) fn frame(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(name.len() as u8);
        head.extend_from_slice(name.as_bytes());
        head.push(7);
        head.extend_from_slice(&(value.len() as u16).to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    framed(&head, payload)
}

fn framed(head: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend_from_slice(&((16 + head.len() + payload.len()) as u32).to_be_bytes());
    frame.extend_from_slice(&(head.len() as u32).to_be_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(head);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
}

/// `(event type, payload, end)` of each frame, bytes that became none, and damaged ones.
type Outcome = (Vec<(Vec<u8>, Vec<u8>, u64)>, u64, u64);

fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut parser = Parser::default();
    let mut frames = Vec::new();
    for piece in pieces {
        parser.push(piece, |frame| {
            frames.push((frame.headers.text(":event-type").to_vec(), frame.payload.to_vec(), frame.end));
        });
    }
    (frames, parser.undispatched_bytes(), parser.damaged())
}

fn parse_every_way(stream: &[u8]) -> Outcome {
    let expected = parse([stream]);
    assert_eq!(parse(stream.chunks(1)), expected, "byte by byte");
    for split in 0..=stream.len() {
        let (start, end) = stream.split_at(split);
        assert_eq!(parse([start, b"", end]), expected, "split at {split}");
    }
    expected
}

fn two() -> Vec<u8> {
    let first = frame(&[(":event-type", "chunk"), (":message-type", "event")], b"{\"bytes\":\"e30=\"}");
    [first, frame(&[(":message-type", "event"), (":event-type", "metadata")], b"")].concat()
}

#[test]
fn frames_are_the_same_at_every_split() {
    let stream = two();
    let (frames, undispatched, damaged) = parse_every_way(&stream);
    assert_eq!((undispatched, damaged), (0, 0));
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0].1, b"{\"bytes\":\"e30=\"}");
    assert_eq!((&frames[1].0[..], frames[1].2), (&b"metadata"[..], stream.len() as u64));
}

#[test]
fn a_frame_that_breaks_off_is_counted() {
    let stream = two();
    let (frames, undispatched, _) = parse_every_way(&stream[..stream.len() - 1]);
    assert_eq!(frames.len(), 1);
    assert_eq!(frames[0].2 + undispatched, stream.len() as u64 - 1);
}

#[test]
fn a_damaged_frame_is_passed_over_and_the_next_one_read() {
    let mut stream = two();
    stream[40] ^= 1;
    let (frames, undispatched, damaged) = parse_every_way(&stream);
    assert_eq!((frames.len(), undispatched, damaged), (1, 0, 1));
}

#[test]
fn behind_a_damaged_prelude_nothing_is_made_up() {
    let mut stream = two();
    stream[1] ^= 1;
    let (frames, undispatched, damaged) = parse_every_way(&stream);
    assert_eq!((frames.len(), undispatched, damaged), (0, stream.len() as u64, 1));
}

#[test]
fn a_length_that_is_out_of_bounds_allocates_nothing() {
    let huge = framed(b"", b"");
    for (total, headers) in
        [(u32::MAX, 0), (15, 0), (0, 0), (16, 1), (40, 25), (super::parser::MOST as u32 + 1, 0)]
    {
        let mut stream = huge.clone();
        stream[..4].copy_from_slice(&total.to_be_bytes());
        stream[4..8].copy_from_slice(&u32::to_be_bytes(headers));
        let crc = crc32fast::hash(&stream[..8]);
        stream[8..12].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(parse_every_way(&stream), (vec![], stream.len() as u64, 1), "{total} {headers}");
    }
}

#[test]
fn headers_of_every_type_are_passed_over() {
    let mut head = Vec::new();
    let values: [(u8, &[u8]); 10] = [
        (0, b""),
        (1, b""),
        (2, b"\x01"),
        (3, b"\x01\x02"),
        (4, b"1234"),
        (5, b"12345678"),
        (6, b"\x00\x02ab"),
        (8, b"12345678"),
        (9, b"1234567890123456"),
        (7, b"\x00\x01x"),
    ];
    for (kind, value) in values {
        head.extend_from_slice(&[1, b'a' + kind, kind]);
        head.extend_from_slice(value);
    }
    let stream = framed(&head, b"");
    let mut seen = 0;
    Parser::default().push(&stream, |frame| {
        seen = frame.headers.count();
        assert_eq!(frame.headers.text("h"), b"x");
        assert_eq!(frame.headers.text("g"), b"", "bytes are no text");
    });
    assert_eq!(seen, 10);
    // Cut short, or of an unknown type: what stands before it is read.
    for damaged in [&head[..head.len() - 1], &[&head[..3], &[1, b'x', 10, 0]].concat()[..]] {
        let mut names = 0;
        Parser::default().push(&framed(damaged, b""), |frame| names = frame.headers.count());
        assert!(names == 9 || names == 1, "{names}");
    }
}

proptest! {
    #[test]
    fn any_damage_and_any_pieces_are_survived(
        at in any::<prop::sample::Index>(),
        with in any::<u8>(),
        size in 1_usize..64,
    ) {
        let mut stream = two().repeat(3);
        let at = at.index(stream.len());
        stream[at] = with;
        let whole = parse([&stream[..]]);
        prop_assert_eq!(&parse(stream.chunks(size)), &whole);
        prop_assert!(whole.0.len() <= 6);
    }

    #[test]
    fn any_bytes_are_survived(stream in prop::collection::vec(any::<u8>(), 0..200), size in 1_usize..32) {
        prop_assert_eq!(parse(stream.chunks(size)), parse([&stream[..]]));
    }
}
