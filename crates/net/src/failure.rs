//! What went wrong with an exchange, as records say it: the code that Node has for it, and words.

use std::error::Error;
use std::io;

/// The client is gone, and nobody has said why.
pub const CLIENT_CLOSED: Failure =
    Failure { code: "ABORT_ERR", message: None, fixed: "the client closed the connection before the end" };

/// A code and a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `ECONNRESET`, … May be empty.
    pub code: &'static str,
    message: Option<String>,
    fixed: &'static str,
}

impl Failure {
    /// In words of ours.
    pub fn new(code: &'static str, message: String) -> Self {
        Self { code, message: Some(message), fixed: "" }
    }

    /// From an error and its causes. The innermost cause names the code; the words are those of all that say something new.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut code = "";
        let mut words: Vec<String> = Vec::new();
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(found) = code_of(error) {
                code = found;
            }
            let said = error.to_string();
            if !words.iter().any(|word| word.contains(&said)) {
                words.push(said);
            }
            cause = wrapped(error).or_else(|| error.source());
        }
        Self::new(code, words.join(": "))
    }

    /// What happened.
    pub fn message(&self) -> &str {
        self.message.as_deref().unwrap_or(self.fixed)
    }

    /// `code\nmessage`, the payload of an entry.
    pub fn text(&self) -> String {
        format!("{}\n{}", self.code, self.message())
    }
}

/// What an I/O error carries, which its `source()` passes over.
fn wrapped<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
    Some(inner)
}

fn code_of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        return code_of_io(error.kind());
    }
    if error.is::<rustls::Error>() {
        return Some("ERR_TLS");
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        // The connection ended in the middle: what a client sees as a reset.
        return (error.is_incomplete_message() || error.is_canceled()).then_some("ECONNRESET");
    }
    // hyper-util keeps its resolver's error type to itself.
    (error.to_string() == "dns error").then_some("ENOTFOUND")
}

fn code_of_io(kind: io::ErrorKind) -> Option<&'static str> {
    use io::ErrorKind::*;
    Some(match kind {
        ConnectionRefused => "ECONNREFUSED",
        ConnectionReset | UnexpectedEof => "ECONNRESET",
        ConnectionAborted => "ECONNABORTED",
        TimedOut => "ETIMEDOUT",
        HostUnreachable => "EHOSTUNREACH",
        NetworkUnreachable => "ENETUNREACH",
        BrokenPipe => "EPIPE",
        AddrNotAvailable => "EADDRNOTAVAIL",
        PermissionDenied => "EACCES",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_cause_names_the_code_and_nothing_is_said_twice() {
        let inner = io::Error::new(io::ErrorKind::ConnectionRefused, "refused");
        let outer = io::Error::other(inner);
        let failure = Failure::of(&outer);
        assert_eq!(failure.text(), "ECONNREFUSED\nrefused");
    }
}
