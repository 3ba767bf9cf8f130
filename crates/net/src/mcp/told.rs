//! Exchanges that are over, or sent, when what they are of has been passed on.

use crate::failure::Failure;
use crate::tape::Exchange;

/// What Streamable HTTP says of a message that wants no answer.
const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\n";

/// What is over when it has been passed on.
pub enum Told {
    /// Waits for its answer.
    Request(Exchange),
    /// The exchange that it answers.
    Answer(Exchange),
    /// Nothing answers it.
    Alone(Exchange),
    /// We have answered it.
    Blocked(Exchange),
}

impl Told {
    /// It has been.
    pub fn passed(self) {
        match self {
            Self::Request(exchange) => exchange.request_end(),
            Self::Answer(exchange) => exchange.response_end(b""),
            Self::Alone(exchange) => accept(&exchange),
            Self::Blocked(exchange) => {
                exchange.request_end();
                exchange.response_end(b"");
            }
        }
    }

    /// The other side did not take it.
    pub fn failed(self, failure: &Failure) {
        let (Self::Request(exchange)
        | Self::Answer(exchange)
        | Self::Alone(exchange)
        | Self::Blocked(exchange)) = self;
        exchange.fail(failure);
    }
}

fn accept(exchange: &Exchange) {
    exchange.request_end();
    exchange.response_head(ACCEPTED);
    exchange.response_end(b"");
}
