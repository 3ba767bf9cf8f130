//! The requests of one side that wait for their answers.

use super::MAX_OPEN;
use crate::failure::Failure;
use crate::tape::Exchange;
use claude_trace_core::interceptor::live::Live;
use claude_trace_core::jsonrpc::Id;
use std::collections::{HashMap, VecDeque};

/// Requests by their ids. Those that are not recorded are known, too, so that their answers are not taken for strays.
#[derive(Debug, Default)]
pub struct Book {
    open: HashMap<Id, Entry>,
    /// In the order in which they were asked. Begins with one that is open; of the others some are not any more.
    order: VecDeque<(u64, Id)>,
    asked: u64,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    open: Open,
}

/// A request that waits.
#[derive(Debug, Default)]
pub struct Open {
    /// `None`: it is not recorded.
    pub exchange: Option<Exchange>,
    /// The rules on the way of its answer.
    pub live: Option<Live>,
}

impl Book {
    /// Notes a request.
    pub fn ask(&mut self, id: Id, open: Open) {
        self.asked += 1;
        let entry = Entry { number: self.asked, open };
        if let Some(earlier) = self.open.insert(id.clone(), entry) {
            earlier.give_up("its id was used again before it was answered".into());
        }
        self.order.push_back((self.asked, id));
        if self.open.len() > MAX_OPEN
            && let Some((_, oldest)) = self.order.pop_front()
            && let Some(entry) = self.open.remove(&oldest)
        {
            entry.give_up(format!("more than {MAX_OPEN} requests waited for their answers"));
        }
        self.tidy();
    }

    /// Takes out the request that is answered, or taken back; `None`: there is none of that id.
    pub fn take(&mut self, id: &Id) -> Option<Open> {
        let entry = self.open.remove(id)?;
        self.tidy();
        Some(entry.open)
    }

    fn tidy(&mut self) {
        let Self { open, order, .. } = self;
        let is_open = |(number, id): &(u64, Id)| open.get(id).is_some_and(|entry| entry.number == *number);
        while order.front().is_some_and(|front| !is_open(front)) {
            order.pop_front();
        }
        if order.len() > 2 * MAX_OPEN {
            order.retain(is_open);
        }
    }
}

impl Entry {
    fn give_up(self, why: String) {
        if let Some(exchange) = self.open.exchange {
            exchange.fail(&Failure::new("ERR_UNANSWERED", why));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> Id {
        Id::parse(&number.to_string()).unwrap()
    }

    #[test]
    fn what_is_never_answered_takes_bounded_room() {
        let mut book = Book::default();
        for number in 0..5 * MAX_OPEN {
            book.ask(id(number), Open::default());
            // The first one stays open, and with it the front of the order, until it is given up.
            if number % 3 != 0 {
                assert!(book.take(&id(number)).is_some());
            }
            assert!(book.open.len() <= MAX_OPEN && book.order.len() <= 2 * MAX_OPEN);
        }
        assert!(book.take(&id(0)).is_none(), "it was given up");
        assert!(book.take(&id(5 * MAX_OPEN - 2)).is_some());
        assert!(book.take(&id(5 * MAX_OPEN - 2)).is_none(), "it was answered");
    }
}
