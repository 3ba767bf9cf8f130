//! JS strings without an allocation per call.

use napi::bindgen_prelude::*;
use napi::{check_status, sys};
use std::borrow::Cow;
use std::cell::Cell;
use std::ptr;

/// Buffers that go back here are used again; larger ones were for a single huge string.
const KEPT: usize = 64 * 1024;
/// V8 takes its fast way where a buffer has three bytes for each character.
const FIRST: usize = 16 * 1024;

thread_local! {
    /// Two, since a call takes up to two strings.
    static BUFFERS: [Cell<Vec<u8>>; 2] = const { [Cell::new(Vec::new()), Cell::new(Vec::new())] };
}

/// The UTF-8 of a JS string, in a buffer that is used again.
pub struct Text(Vec<u8>);

impl Text {
    /// No text yet.
    pub fn empty() -> Self {
        let mut buffer = BUFFERS.with(|[a, b]| {
            let first = a.take();
            if first.capacity() > 0 { first } else { b.take() }
        });
        buffer.clear();
        Self(buffer)
    }

    /// Appends UTF-8.
    pub fn extend(&mut self, text: &[u8]) {
        self.0.extend_from_slice(text);
    }

    /// Appends bytes that are a character each, as JS reads heads.
    pub fn extend_latin1(&mut self, bytes: &[u8]) {
        if bytes.is_ascii() {
            self.0.extend_from_slice(bytes);
        } else {
            let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
            self.0.extend_from_slice(text.as_bytes());
        }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text. V8 writes whole UTF-8 (a lone surrogate becomes U+FFFD), so this borrows.
    pub fn as_str(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl TypeName for Text {
    fn type_name() -> &'static str {
        "string"
    }

    fn value_type() -> ValueType {
        ValueType::String
    }
}

impl ValidateNapiValue for Text {}

impl FromNapiValue for Text {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let mut text = Self::empty();
        let buffer = &mut text.0;
        buffer.reserve(FIRST);
        loop {
            let mut written = 0;
            let room = buffer.capacity();
            // SAFETY: `env` and `value` are those of the call; the buffer has `room` bytes, of which N-API writes at most
            // all, the last being a NUL that it does not count.
            check_status!(unsafe {
                sys::napi_get_value_string_utf8(env, value, buffer.as_mut_ptr().cast(), room, &mut written)
            })?;
            // A character is never split: a full buffer may be up to 3 bytes short.
            if written + 4 < room {
                // SAFETY: that many bytes were written.
                unsafe { buffer.set_len(written) };
                return Ok(text);
            }
            let mut length = 0;
            // SAFETY: as above; without a buffer N-API says the string's length.
            check_status!(unsafe {
                sys::napi_get_value_string_utf8(env, value, ptr::null_mut(), 0, &mut length)
            })?;
            buffer.reserve(length + 8);
        }
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        if buffer.capacity() <= KEPT {
            BUFFERS.with(|[a, b]| {
                let first = a.take();
                if first.capacity() == 0 {
                    a.set(buffer);
                } else {
                    a.set(first);
                    b.set(buffer);
                }
            });
        }
    }
}
