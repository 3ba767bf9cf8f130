//! Which records have been made. Workers make them side by side; one that goes on from another's stream has to know what that
//! one had, so it waits for those that finished before it.
//!
//! It cannot wait for ever: workers take exchanges in the order of their tickets, so each earlier one is made already or is
//! at a worker now, and the earliest of them waits for nobody.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Tickets that have been made.
#[derive(Debug, Default)]
pub struct Turns {
    made: Mutex<Made>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Made {
    /// All below.
    below: u64,
    /// Some above.
    above: BTreeSet<u64>,
}

/// The turn of an exchange: over when it is dropped, whatever became of the record.
#[derive(Debug)]
pub struct Turn<'a> {
    turns: &'a Turns,
    ticket: u64,
}

impl Turns {
    /// Takes the turn of that ticket.
    pub fn take(&self, ticket: u64) -> Turn<'_> {
        Turn { turns: self, ticket }
    }

    fn lock(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn<'_> {
    /// Waits until all records of earlier tickets have been made.
    pub fn wait_for_earlier(&self) {
        let mut made = self.turns.lock();
        while made.below < self.ticket {
            made = self.turns.changed.wait(made).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut made = self.turns.lock();
        made.above.insert(self.ticket);
        while let below = made.below
            && made.above.remove(&below)
        {
            made.below += 1;
        }
        self.turns.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::mpsc::channel;

    #[test]
    fn a_turn_waits_for_all_before_it_and_for_none_after() {
        let turns = Turns::default();
        turns.take(0).wait_for_earlier();
        drop(turns.take(2));
        drop(turns.take(1));
        // 0 to 2 are over, each in its own order.
        turns.take(3).wait_for_earlier();
    }

    #[test]
    fn the_last_of_those_before_it_lets_it_go() {
        let (turns, gate, (said, heard)) = (Turns::default(), Barrier::new(2), channel());
        std::thread::scope(|scope| {
            let first = turns.take(0);
            let (turns, gate, of_waiter) = (&turns, &gate, said.clone());
            scope.spawn(move || {
                let turn = turns.take(2);
                gate.wait();
                turn.wait_for_earlier();
                of_waiter.send("2").unwrap();
            });
            gate.wait();
            drop(turns.take(1));
            said.send("0").unwrap();
            drop(first);
        });
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), ["0", "2"]);
    }

    #[test]
    fn a_panic_ends_the_turn_too() {
        let turns = Turns::default();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _turn = turns.take(0);
            panic!("while the record was made");
        }));
        assert!(panicked.is_err());
        turns.take(1).wait_for_earlier();
    }
}
