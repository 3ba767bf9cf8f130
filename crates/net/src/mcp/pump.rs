//! Moves bytes from one side to the other.

use super::ear::Ear;
use crate::failure::Failure;
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Where bytes come from: a descriptor without a buffer of its own.
pub trait Input: Read + AsFd {}
impl<T: Read + AsFd> Input for T {}

/// Where they go.
pub trait Output: Write + AsFd {}
impl<T: Write + AsFd> Output for T {}

/// What a Linux pipe holds.
const READ_BYTES: usize = 64 * 1024;

/// Why a pump has stopped.
#[derive(Debug)]
pub enum End {
    /// Nothing more will come.
    OfInput,
    /// The other side takes nothing more.
    OfOutput(io::Error),
}

/// Moves bytes until one of the two ends. Both are closed by then: so the end reaches who is behind them.
pub fn pump(mut input: impl Input, mut output: impl Output, ear: Ear) -> End {
    let mut ear = Some(ear);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let bytes = match read(&mut input, &mut buffer) {
            // A reset is how a socket says that its other end was closed with bytes unread.
            Ok(0) | Err(_) => {
                tell(&mut ear, Ear::end);
                return End::OfInput;
            }
            Ok(count) => &buffer[..count],
        };
        tell(&mut ear, |ear| ear.hear(bytes));
        match write_all(&mut output, bytes) {
            Ok(()) => tell(&mut ear, Ear::passed),
            Err(error) => {
                let failure = Failure::of(&error);
                tell(&mut ear, |ear| ear.failed(&failure));
                return End::OfOutput(error);
            }
        }
    }
}

/// A fault of ours costs the recording of this side, and the traffic nothing.
fn tell(ear: &mut Option<Ear>, what: impl FnOnce(&mut Ear)) {
    if let Some(hearing) = ear
        && catch_unwind(AssertUnwindSafe(|| what(hearing))).is_err()
    {
        *ear = None;
    }
}

fn read(input: &mut impl Input, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait(input, PollFlags::IN)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

fn write_all(output: &mut impl Output, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match output.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => wait(output, PollFlags::OUT)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// For whoever has been given a descriptor that does not block.
fn wait(of: &impl AsFd, what: PollFlags) -> io::Result<()> {
    loop {
        match poll(&mut [PollFd::new(of, what)], None) {
            Err(rustix::io::Errno::INTR) => {}
            done => return done.map(drop).map_err(Into::into),
        }
    }
}
