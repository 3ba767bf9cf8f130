//! Bounds the bytes of records that are made and not yet written.

use std::sync::{Condvar, Mutex, PoisonError};

#[derive(Debug, Default)]
struct State {
    used: usize,
    records: usize,
    /// The ticket that the writer waits for: it is let through whatever the others hold, or they would wait for ever.
    next: u64,
}

/// What has been let through and is not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnderWay {
    pub records: usize,
    pub bytes: usize,
}

/// Lets workers pass while the records under way are below a limit.
#[derive(Debug)]
pub struct Gate {
    limit: usize,
    state: Mutex<State>,
    changed: Condvar,
}

impl Gate {
    /// A gate that lets `limit` bytes through, or one record of any size.
    pub fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Waits until the record of `ticket` may pass. Tells what is under way with it.
    pub fn enter(&self, ticket: u64, bytes: usize) -> UnderWay {
        let full = |s: &mut State| s.used > 0 && s.used + bytes > self.limit && s.next != ticket;
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = self.changed.wait_while(state, full).unwrap_or_else(PoisonError::into_inner);
        state.used += bytes;
        state.records += 1;
        UnderWay { records: state.records, bytes: state.used }
    }

    /// Whether the writer has at least half of what is let through to write.
    pub fn is_half_full(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.used * 2 >= self.limit
    }

    /// Says what has been written, and which ticket is waited for now.
    pub fn leave(&self, written: UnderWay, next: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.used -= written.bytes;
        state.records -= written.records;
        state.next = next;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn the_ticket_that_is_waited_for_passes_a_full_gate() {
        let gate = Gate::new(10);
        gate.enter(1, 10);
        assert!(gate.is_half_full());
        assert_eq!(gate.enter(0, 5), UnderWay { records: 2, bytes: 15 });
        gate.leave(UnderWay { records: 1, bytes: 5 }, 1);
        gate.leave(UnderWay { records: 1, bytes: 10 }, 2);
        assert_eq!(gate.state.lock().unwrap().used, 0);
        assert!(!gate.is_half_full());
    }

    #[test]
    fn others_wait_until_there_is_room() {
        let gate = Gate::new(10);
        gate.enter(0, 8);
        let (sent, received) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                gate.enter(2, 8);
                sent.send(()).unwrap();
            });
            assert!(received.try_recv().is_err());
            gate.leave(UnderWay { records: 1, bytes: 8 }, 1);
            received.recv().unwrap();
        });
    }
}
