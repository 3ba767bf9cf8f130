//! `Expect: 100-continue` (RFC 9110 §10.1.1): a client that waits for leave to send its body gets it from the upstream.
//!
//! hyper tells a client to go on when its body is asked for, and asks for the body at once: so the body is held back here
//! until the upstream has said 100, or until it is clear that it will not.

use std::time::Duration;
use tokio::sync::watch;

/// A server that knows nothing of the expectation waits for the body. curl waits as long.
const LONG_ENOUGH: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing has come from the upstream.
    Waiting,
    /// It wants the body.
    Wanted,
    /// It has answered without the body, and is still at it.
    Answered,
    /// It has answered without the body.
    Unwanted,
}

/// The upstream's side: what it says of the body.
#[derive(Clone, Debug)]
pub struct Patience(watch::Sender<State>);

impl Patience {
    pub fn new() -> Self {
        Self(watch::Sender::new(State::Waiting))
    }

    /// The upstream said 100.
    pub fn wanted(&self) {
        self.turn(State::Waiting, State::Wanted);
    }

    /// The upstream's answer has begun.
    pub fn answered(&self) {
        self.turn(State::Waiting, State::Answered);
    }

    /// The upstream's answer is over.
    pub fn over(&self) {
        self.turn(State::Answered, State::Unwanted);
    }

    /// Waits until it is known whether the body is to be sent.
    pub async fn decision(self) -> bool {
        let mut state = self.0.subscribe();
        let decided = state.wait_for(|state| *state != State::Waiting);
        if tokio::time::timeout(LONG_ENOUGH, decided).await.is_err() {
            self.wanted();
        }
        let last = state.wait_for(|state| matches!(state, State::Wanted | State::Unwanted)).await;
        last.is_ok_and(|state| *state == State::Wanted)
    }

    fn turn(&self, from: State, to: State) {
        self.0.send_if_modified(|state| {
            let turns = *state == from;
            if turns {
                *state = to;
            }
            turns
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_body_is_sent_when_it_is_wanted_or_nothing_is_said() {
        let patience = Patience::new();
        let decision = tokio::spawn(patience.clone().decision());
        tokio::task::yield_now().await;
        patience.wanted();
        patience.answered();
        assert!(decision.await.unwrap());
        assert!(Patience::new().decision().await, "after a while");
    }

    #[tokio::test(start_paused = true)]
    async fn the_body_is_not_sent_after_an_answer_without_it() {
        let patience = Patience::new();
        patience.answered();
        let decision = tokio::spawn(patience.clone().decision());
        tokio::time::sleep(LONG_ENOUGH * 10).await;
        assert!(!decision.is_finished(), "the answer is still coming");
        patience.over();
        assert!(!decision.await.unwrap());
    }
}
