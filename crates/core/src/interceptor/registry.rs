//! The interceptors there are.

use super::hooks::{Hooks, Interceptor};
use super::measure::{Meter, Stats, Totals};
use super::remote::{Answer, Mailbox, Watching};
use super::rule::{Call, Rule};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// When a batch is given, and how long an answer may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// With so many events.
    pub max_events: usize,
    /// When its first event is that old.
    pub max_delay: Duration,
    /// A remote interceptor that has not answered by then is left out of the exchange.
    pub timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_events: 256, max_delay: Duration::from_millis(50), timeout: Duration::from_secs(1) }
    }
}

/// Where an interceptor runs.
pub enum Maker {
    /// Where the stage does: one is made for each exchange.
    Local(Box<dyn Fn() -> Box<dyn Interceptor> + Send + Sync>),
    /// Behind a mailbox, under that number.
    Remote(Arc<Mailbox>, u32),
}

impl fmt::Debug for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(_) => f.write_str("Local"),
            Self::Remote(_, number) => write!(f, "Remote({number})"),
        }
    }
}

/// What is said of an interceptor when it is registered.
#[derive(Debug)]
pub struct Registration {
    /// What it is called in numbers and records.
    pub name: String,
    /// Those of lower order come first; of equal ones the older.
    pub order: i32,
    /// Which exchanges it is for.
    pub rule: Rule,
    /// Those of one scope alone: of one JS environment.
    pub scope: Option<u32>,
    /// What is called.
    pub hooks: Hooks,
    /// When it is called.
    pub limits: Limits,
    /// What it is.
    pub maker: Maker,
}

/// An interceptor that has been registered.
#[derive(Debug)]
pub struct Registered {
    pub(super) name: String,
    pub(super) order: i32,
    rule: Rule,
    scope: Option<u32>,
    pub(super) hooks: Hooks,
    pub(super) limits: Limits,
    pub(super) maker: Maker,
    pub(super) meter: Meter,
    removed: AtomicBool,
}

impl Registered {
    /// Whether it goes by what messages ask for.
    pub(super) fn asks(&self) -> bool {
        self.rule.asks()
    }

    pub(super) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }
}

/// The interceptors of one exchange, by order.
#[derive(Debug)]
pub struct Watch {
    pub(super) list: Vec<Arc<Registered>>,
    /// Ends with the exchange.
    pub(super) watching: Vec<Watching>,
}

impl Watch {
    /// Whether one of them wants events.
    pub fn wants_events(&self) -> bool {
        self.list.iter().any(|one| one.hooks.events)
    }

    /// The longest that its end may wait for answers.
    pub fn timeout(&self) -> Duration {
        self.list.iter().map(|one| one.limits.timeout).max().unwrap_or_default()
    }
}

/// All interceptors of a pipeline.
#[derive(Debug)]
pub struct Registry {
    /// By order.
    list: Mutex<Vec<Arc<Registered>>>,
    /// Its length, for those who need no more.
    count: AtomicUsize,
    /// Removed ones, for the numbers. The latest [`MAX_REMOVED`].
    removed: Mutex<Vec<Arc<Registered>>>,
    pub(super) totals: Arc<Totals>,
    answers: (Sender<Answer>, Receiver<Answer>),
}

/// A program that registers and removes without end must not grow for it.
const MAX_REMOVED: usize = 32;

impl Default for Registry {
    fn default() -> Self {
        Self {
            list: Mutex::default(),
            count: AtomicUsize::new(0),
            removed: Mutex::default(),
            totals: Arc::default(),
            answers: unbounded(),
        }
    }
}

impl Registry {
    /// Adds an interceptor, for exchanges that begin from now on.
    pub fn add(&self, registration: Registration) -> Arc<Registered> {
        let Registration { name, order, rule, scope, hooks, limits, maker } = registration;
        let one = Arc::new(Registered {
            name,
            order,
            rule,
            scope,
            hooks,
            limits: Limits { max_events: limits.max_events.max(1), ..limits },
            maker,
            meter: Meter::default(),
            removed: AtomicBool::new(false),
        });
        let mut list = lock(&self.list);
        let at = list.partition_point(|other| other.order <= order);
        list.insert(at, Arc::clone(&one));
        self.count.store(list.len(), Ordering::Release);
        one
    }

    /// Takes one out again. Exchanges that are open are given nothing more; what it has said of them holds.
    pub fn remove(&self, one: &Arc<Registered>) {
        one.removed.store(true, Ordering::Relaxed);
        self.retire(one);
    }

    /// The same for exchanges that begin from now on alone: those that are open go on with it.
    pub fn retire(&self, one: &Arc<Registered>) {
        let mut list = lock(&self.list);
        let before = list.len();
        list.retain(|other| !Arc::ptr_eq(other, one));
        self.count.store(list.len(), Ordering::Release);
        if list.len() < before {
            let mut removed = lock(&self.removed);
            if removed.len() == MAX_REMOVED {
                removed.remove(0);
            }
            removed.push(Arc::clone(one));
        }
    }

    /// Whether there are none: one load.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// Those for a request of that scope; `None`: none of them is.
    pub fn watch(&self, scope: Option<u32>, method: &[u8], url: &[u8]) -> Option<Watch> {
        self.watch_those(scope, |rule| rule.fits(method, url))
    }

    /// Whether there is one that wants to know what the messages of that request ask for.
    pub fn asks(&self, method: &[u8], url: &[u8]) -> bool {
        !self.is_empty()
            && lock(&self.list).iter().any(|one| one.rule.asks() && one.rule.fits_head(method, url))
    }

    /// Those for a request with these messages.
    pub fn watch_calls(&self, method: &[u8], url: &[u8], calls: &[Call<'_>]) -> Option<Watch> {
        self.watch_those(None, |rule| rule.fits_calls(method, url, calls))
    }

    /// What those are called who cannot know whether that request is for them: they go by messages that cannot be read.
    pub(super) fn asking(&self, method: &[u8], url: &[u8]) -> Vec<String> {
        let list = lock(&self.list);
        let asking = list.iter().filter(|one| one.rule.asks() && one.rule.fits_head(method, url));
        asking.map(|one| one.name.clone()).collect()
    }

    /// The same for a request that is a message of JSON-RPC.
    pub fn watch_call(&self, method: &[u8], url: &[u8], call: Call<'_>) -> Option<Watch> {
        self.watch_those(None, |rule| rule.fits_call(method, url, call))
    }

    fn watch_those(&self, scope: Option<u32>, fits: impl Fn(&Rule) -> bool) -> Option<Watch> {
        let is_for = |one: &&Arc<Registered>| (one.scope.is_none() || one.scope == scope) && fits(&one.rule);
        let list: Vec<_> = lock(&self.list).iter().filter(is_for).cloned().collect();
        if list.is_empty() {
            return None;
        }
        let mut watching: Vec<Watching> = Vec::new();
        for one in &list {
            if let Maker::Remote(mailbox, _) = &one.maker
                && !watching.iter().any(|known| Arc::ptr_eq(&known.0, mailbox))
            {
                watching.push(mailbox.watch());
            }
        }
        Some(Watch { list, watching })
    }

    /// A way to interceptors that do not run where the stage does. `wake` is called, from any thread, when something
    /// has been put there.
    pub fn mailbox(&self, wake: impl Fn() + Send + Sync + 'static) -> Arc<Mailbox> {
        Arc::new(Mailbox::new(Box::new(wake), self.answers.0.clone()))
    }

    /// Where answers come.
    pub fn answers(&self) -> Receiver<Answer> {
        self.answers.1.clone()
    }

    /// What all have done.
    pub fn stats(&self) -> Stats {
        let mut all = lock(&self.list).clone();
        all.extend(lock(&self.removed).iter().cloned());
        self.totals.stats(&all)
    }

    /// What is counted.
    pub fn totals(&self) -> &Arc<Totals> {
        &self.totals
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
