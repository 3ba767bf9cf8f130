//! The addon: converts, calls the core, converts back. Nothing here decides anything.
//!
//! A JS environment (the main thread or a worker) has its own recorders, known to it by small numbers. They live in this
//! thread's storage, which no other thread can reach; what environments share is the core's [`Pipeline`].

pub mod interceptors;
mod options;
mod registry;
mod stats;
mod text;

use claude_trace_core::exchange::{Kind, Source};
use claude_trace_core::pipeline::Recorder;
use interceptors::Interceptors;
use napi::bindgen_prelude::*;
use napi_derive::napi;
use options::OpenOptions;
use stats::NativeStats;
use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use text::Text;

#[derive(Default)]
struct Environment {
    /// A closed one stays, so that its numbers can be read and the others keep theirs.
    recorders: Vec<Recorder>,
    /// By the number of their recorder.
    interceptors: HashMap<u32, Interceptors>,
    /// Monotonic clock minus `performance.now()`, nanoseconds.
    clock_offset: i64,
}

impl Environment {
    fn recorder(&mut self, handle: u32) -> Option<&mut Recorder> {
        self.recorders.get_mut((handle as usize).checked_sub(1)?)
    }

    fn monotonic(&self, now_ms: f64) -> u64 {
        ((now_ms * 1e6) as i64).wrapping_add(self.clock_offset) as u64
    }
}

thread_local! {
    static ENVIRONMENT: RefCell<Environment> = RefCell::default();
}

fn with_environment<T>(act: impl FnOnce(&mut Environment) -> T) -> T {
    ENVIRONMENT.with_borrow_mut(act)
}

/// Tells the addon how `process.hrtime()` and `performance.now()` are apart: `hrtime` minus `now`, nanoseconds, as measured;
/// and what `performance.now()` says at the call, milliseconds. Before the first exchange.
#[napi(catch_unwind)]
pub fn clock_sync(offset: f64, now: f64) {
    // Where libuv's clock is not the one that we read (it is on Linux), the call itself is the measurement, and hook times
    // come out short by what it takes.
    const SAME_CLOCK_NS: i64 = 50_000_000;
    let ours = claude_trace_core::clock::monotonic_nanos() as i64;
    let now = (now * 1e6) as i64;
    with_environment(|env| {
        let is_same = (ours - now - offset as i64).abs() < SAME_CLOCK_NS;
        env.clock_offset = if is_same { offset as i64 } else { ours - now };
    });
}

/// Opens a recorder for the log that the options describe, and returns its number, 1 or more. Environments of one process with equal
/// options share a log. Starts nothing but, if there are any, the recovery of orphaned sessions.
///
/// Throws an error with `code` `TRACE_ERR_CONFIG` when an option is not allowed.
#[napi(catch_unwind)]
pub fn open(env: Env, options: OpenOptions) -> Result<u32> {
    // A panic is caught where it happens and told as an error. Its default words on stderr would be the host's to explain.
    // This hook is that of our copy of std alone.
    std::panic::set_hook(Box::new(|_| {}));
    let recorder = registry::recorder(options).map_err(|error| coded(&env, &error))?;
    with_environment(|environment| {
        if environment.recorders.is_empty() {
            // A worker that is terminated runs no exit handler of JS, but this.
            let _ = env.add_env_cleanup_hook((), |()| {
                with_environment(|e| {
                    e.interceptors.values().for_each(Interceptors::close);
                    e.recorders.clear();
                    e.interceptors.clear();
                });
            });
        }
        environment.recorders.push(recorder);
        Ok(environment.recorders.len() as u32)
    })
}

fn coded(env: &Env, error: &claude_trace_core::error::Error) -> Error {
    match env.create_error(Error::new(Status::GenericFailure, error.to_string())) {
        Ok(mut object) => match object.set_named_property("code", error.code()) {
            Ok(()) => Error::from(object.to_unknown()),
            Err(failed) => failed,
        },
        Err(failed) => failed,
    }
}

/// Says that a request is about to be made. The first time, what recording needs is started on a thread, while the host
/// makes its connection.
#[napi(catch_unwind)]
pub fn prepare(handle: u32) {
    with_environment(|env| env.recorder(handle).map(|recorder| recorder.prepare()));
}

/// Begins an exchange and returns its number, or 0 if it is not recorded.
///
/// `source` is a number of `SOURCE`, `origin` like `https://api.anthropic.com`, `head` the request's head as HTTP/1.1
/// writes it; a `content-length` of `bodyLength` is added to it unless that is negative. `started` is what
/// `performance.now()` said when the hook was entered, `asked` when the request was made. Credentials are redacted before
/// anything is kept.
#[napi(
    catch_unwind,
    ts_args_type = "handle: number, source: number, origin: string, head: string, bodyLength: number, started: number, asked: number"
)]
pub fn begin(
    handle: u32,
    source: u8,
    origin: Text,
    mut head: Text,
    body_length: f64,
    started: f64,
    asked: f64,
) -> f64 {
    if body_length >= 0.0 {
        head.extend(b"content-length: ");
        head.extend(itoa::Buffer::new().format(body_length as u64).as_bytes());
        head.extend(b"\r\n");
    }
    with_environment(|env| {
        let (started, asked) = (env.monotonic(started), env.monotonic(asked));
        let (Some(source), Some(recorder)) = (Source::from_u8(source), env.recorder(handle)) else {
            return 0.0;
        };
        recorder.begin(source, &origin.as_str(), head.bytes(), started, asked).unwrap_or(0) as f64
    })
}

/// Adds the head of an HTTP/1.1 response to an exchange. Its fields are the `length` bytes at `start` of `fields`: as they
/// came, `name: value` lines, without the end of the last one.
#[napi(
    catch_unwind,
    ts_args_type = "handle: number, exchange: number, status: number, reason: string, fields: ArrayBufferLike, start: number, length: number, started: number"
)]
#[allow(clippy::too_many_arguments, reason = "an object would cost more than all of this")]
pub fn response_head(
    handle: u32,
    exchange: f64,
    status: u32,
    reason: Text,
    fields: ArrayBuffer<'_>,
    start: u32,
    length: u32,
    started: f64,
) {
    let fields =
        fields.get(start as usize..).and_then(|rest| rest.get(..length as usize)).unwrap_or_default();
    let mut head = Text::empty();
    head.extend(b"HTTP/1.1 ");
    head.extend(itoa::Buffer::new().format(status).as_bytes());
    head.extend(b" ");
    head.extend(reason.bytes());
    head.extend(b"\r\n");
    head.extend_latin1(fields);
    head.extend(b"\r\n");
    push(handle, exchange, Kind::ResponseHead as u8, head.bytes(), started);
}

/// Copies body bytes of an exchange. `kind` is a number of `KIND`.
#[napi(catch_unwind)]
pub fn chunk(handle: u32, exchange: f64, kind: u8, bytes: &[u8], started: f64) {
    push(handle, exchange, kind, bytes, started);
}

/// Adds what is not body bytes to an exchange: heads, trailers, ends, errors. `kind` is a number of `KIND`.
#[napi(
    catch_unwind,
    ts_args_type = "handle: number, exchange: number, kind: number, text: string, started: number"
)]
pub fn mark(handle: u32, exchange: f64, kind: u8, text: Text, started: f64) {
    push(handle, exchange, kind, text.bytes(), started);
}

fn push(handle: u32, exchange: f64, kind: u8, bytes: &[u8], started: f64) {
    with_environment(|env| {
        let started = env.monotonic(started);
        if let (Some(kind), Some(recorder)) = (Kind::from_u8(kind), env.recorder(handle)) {
            recorder.push(exchange as u64, kind, bytes, started);
        }
    });
}

/// What the recorder's pipeline has counted and measured; `null` for a number that is no recorder's.
#[napi(catch_unwind)]
pub fn stats(handle: u32) -> Option<NativeStats> {
    with_environment(|env| env.recorder(handle).map(|recorder| recorder.stats().into()))
}

/// Waits until everything recorded so far is in the log, at most `deadline` milliseconds. Returns whether it is.
#[napi(catch_unwind)]
pub fn drain(handle: u32, deadline: f64) -> bool {
    with_environment(|env| env.recorder(handle).is_none_or(|recorder| recorder.drain(after(deadline))))
}

/// Ends what is open, waits like `drain`, and gives up the recorder; the last one of a log removes its spool. What is not
/// in the log by the deadline stays in the spool for the next start. Returns whether all is in the log.
///
/// `at_exit` says why exchanges are cut off: the process exits, or the recorder was closed.
#[napi(catch_unwind)]
pub fn close(handle: u32, at_exit: bool, deadline: f64) -> bool {
    let why = why(at_exit);
    with_environment(|env| {
        // This thread is here and answers nobody. What needs no JS is still done.
        let interceptors = env.interceptors.remove(&handle);
        interceptors.iter().for_each(Interceptors::close);
        env.recorder(handle).is_none_or(|recorder| recorder.close(why, after(deadline)))
    })
}

/// What stands in the records of what is cut off.
fn why(at_exit: bool) -> &'static str {
    if at_exit { "the process exited" } else { "the recorder was closed" }
}

fn after(ms: f64) -> Instant {
    // A day: `Instant` overflows on what a caller may mean by "for ever".
    Instant::now() + Duration::from_secs_f64((ms / 1e3).clamp(0.0, 86_400.0))
}
