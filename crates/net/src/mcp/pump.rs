//! Moves bytes from one side to the other.

use super::ear::Ear;
use super::ruled::Step;
use super::told::Told;
use crate::failure::Failure;
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

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

/// An end of a relay that both of its pumps may write to: whole lines, one after the other.
#[derive(Clone)]
pub struct Way(Arc<Mutex<Option<Box<dyn Output + Send>>>>);

impl Way {
    /// The way to whoever reads that.
    pub fn new(output: impl Output + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(output)))))
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(output) => write_all(output, bytes),
            None => Err(ErrorKind::BrokenPipe.into()),
        }
    }

    fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The same where rules are on the way: what they say passes, and what they answer goes `back`. `on` is closed at the end.
pub fn pump_ruled(mut input: impl Input, on: &Way, back: &Way, ear: Ear) -> End {
    let mut ear = Some(ear);
    let mut buffer = vec![0; READ_BYTES];
    let end = loop {
        let bytes = match read(&mut input, &mut buffer) {
            Ok(0) | Err(_) => {
                let mut rest = Vec::new();
                tell(&mut ear, |ear| {
                    rest = ear.rest();
                    ear.end();
                });
                break on.write(&rest).map_or_else(End::OfOutput, |()| End::OfInput);
            }
            Ok(count) => &buffer[..count],
        };
        let mut steps = Vec::new();
        tell(&mut ear, |ear| {
            ear.hear(bytes);
            steps = ear.take_steps();
        });
        if ear.is_none() {
            // Nobody rules any more.
            steps = vec![Step { on: bytes.to_vec(), ..Step::default() }];
        }
        if let Err(error) = take(steps, on, back) {
            break End::OfOutput(error);
        }
    };
    on.close();
    end
}

/// Takes steps, up to one that fails.
fn take(steps: Vec<Step>, on: &Way, back: &Way) -> io::Result<()> {
    let mut failed = None;
    for Step { wait, on: bytes, back: answer, told } in steps {
        if failed.is_none() {
            if !wait.is_zero() {
                std::thread::sleep(wait);
            }
            // A side that takes no answers may go on asking.
            let _ = back.write(&answer);
            failed = on.write(&bytes).err();
        }
        match &failed {
            None => told.into_iter().for_each(Told::passed),
            Some(error) => told.into_iter().for_each(|told| told.failed(&Failure::of(error))),
        }
    }
    failed.map_or(Ok(()), Err)
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
