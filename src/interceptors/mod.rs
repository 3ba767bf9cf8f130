//! Interceptors of JS: registered here, called there. What is for them waits in a mailbox; a weak thread-safe function tells
//! JS that there is something, and JS takes as much as it likes and answers when it can. So a loop that is busy costs no
//! queue of calls, and one that is ending can still take what is there.

pub mod answers;
pub mod deliveries;
pub mod numbers;

use crate::{after, with_environment};
use answers::NativeHeaderChange;
use claude_trace_core::interceptor::builtin::{Deduplicate, HeaderRules};
use claude_trace_core::interceptor::{
    EventBatch, Failed, HeaderChange, Hooks, Interceptor, Limits, Mailbox, Maker, Message, Pattern,
    Registered, Registration, Registry, Rule,
};
use napi::bindgen_prelude::*;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

type Done = std::result::Result<(), Failed>;

/// One call waits at most: more would find it waiting.
type Wake = ThreadsafeFunction<(), (), (), Status, false, true, 1>;

/// What one recorder has registered. Gone with it.
pub struct Interceptors {
    registry: Arc<Registry>,
    mailbox: Option<Arc<Mailbox>>,
    registered: BTreeMap<u32, Vec<Arc<Registered>>>,
    last: u32,
}

impl Interceptors {
    fn mailbox(&mut self, wake: &Function<'_, (), ()>) -> Result<Arc<Mailbox>> {
        if let Some(mailbox) = &self.mailbox {
            return Ok(Arc::clone(mailbox));
        }
        let wake: Wake = wake
            .build_threadsafe_function::<()>()
            .callee_handled::<false>()
            .weak::<true>()
            .max_queue_size::<1>()
            .build()?;
        // A full queue and an environment that is going are both fine: the one will look, the other has nobody to tell.
        let mailbox = self.registry.mailbox(move || {
            wake.call((), ThreadsafeFunctionCallMode::NonBlocking);
        });
        Ok(Arc::clone(self.mailbox.insert(mailbox)))
    }
}

impl Interceptors {
    /// Nobody in JS answers any more. What runs here goes on.
    pub fn close(&self) {
        if let Some(mailbox) = &self.mailbox {
            mailbox.close();
        }
    }
}

impl Drop for Interceptors {
    fn drop(&mut self) {
        self.close();
        self.registered.values().flatten().for_each(|one| self.registry.retire(one));
    }
}

/// An interceptor as `intercept` takes it. Validated in `lib/interceptors/options.js`.
#[napi(object, object_to_js = false)]
pub struct NativeInterceptor {
    /// For numbers and records.
    pub name: String,
    /// Those of lower order come first.
    pub order: i32,
    /// Patterns of hosts, paths and methods; empty: any.
    pub hosts: Vec<String>,
    /// See `hosts`.
    pub paths: Vec<String>,
    /// See `hosts`.
    pub methods: Vec<String>,
    /// Events in a batch.
    pub max_events: u32,
    /// How old the first event of a batch becomes.
    pub max_delay_ms: u32,
    /// How long an answer may take.
    pub timeout_ms: u32,
    /// There are functions in JS.
    pub has_handlers: bool,
    /// Of these, one for events.
    pub wants_events: bool,
    /// Done here, without JS: rules for the request's headers.
    pub request_headers: Vec<NativeHeaderChange>,
    /// For the response's.
    pub response_headers: Vec<NativeHeaderChange>,
    /// Events that were there before are left out, by their id.
    pub dedupe: bool,
}

/// What was declared, in one.
struct Declared {
    rules: HeaderRules,
    dedupe: Option<Deduplicate>,
}

impl Interceptor for Declared {
    fn on_request(&mut self, request: &mut Message<'_>) -> Done {
        self.rules.on_request(request)
    }

    fn on_response(&mut self, response: &mut Message<'_>) -> Done {
        self.rules.on_response(response)
    }

    fn on_events(&mut self, batch: &mut EventBatch) -> Done {
        self.dedupe.as_mut().map_or(Ok(()), |dedupe| dedupe.on_events(batch))
    }
}

/// Registers an interceptor for exchanges that the recorder begins from now on, and returns its number. `wake` is called
/// when `take` has something; that of the first one with handlers serves all. It must not throw.
#[napi(catch_unwind, ts_args_type = "handle: number, interceptor: NativeInterceptor, wake: () => void")]
pub fn intercept(handle: u32, interceptor: NativeInterceptor, wake: Function<'_, (), ()>) -> Result<u32> {
    with_environment(|env| {
        let Some(recorder) = env.recorder(handle) else { return Ok(0) };
        let (registry, scope) = (Arc::clone(recorder.interceptors()), recorder.scope());
        let ours = env.interceptors.entry(handle).or_insert_with(|| Interceptors {
            registry: Arc::clone(&registry),
            mailbox: None,
            registered: BTreeMap::new(),
            last: 0,
        });
        ours.last += 1;
        let number = ours.last;
        let patterns = |texts: &[String]| texts.iter().map(|text| Pattern::new(text)).collect();
        let rule = Rule {
            hosts: patterns(&interceptor.hosts),
            paths: patterns(&interceptor.paths),
            methods: interceptor.methods,
            ..Rule::default()
        };
        let limits = Limits {
            max_events: interceptor.max_events as usize,
            max_delay: Duration::from_millis(interceptor.max_delay_ms.into()),
            timeout: Duration::from_millis(interceptor.timeout_ms.into()),
        };
        let add = |hooks, maker| {
            let (name, rule) = (interceptor.name.clone(), rule.clone());
            let order = interceptor.order;
            registry.add(Registration { name, order, rule, scope: Some(scope), hooks, limits, maker })
        };
        let changes = |list: Vec<NativeHeaderChange>| list.into_iter().map(HeaderChange::from).collect();
        let rules = HeaderRules {
            request: changes(interceptor.request_headers),
            response: changes(interceptor.response_headers),
        };
        let dedupe = interceptor.dedupe;
        let hooks = Hooks { events: dedupe, ..rules.hooks() };
        let mut parts = Vec::new();
        if hooks.request || hooks.response || hooks.events {
            let make = move || -> Box<dyn Interceptor> {
                Box::new(Declared { rules: rules.clone(), dedupe: dedupe.then(Deduplicate::default) })
            };
            parts.push(add(hooks, Maker::Local(Box::new(make))));
        }
        if interceptor.has_handlers {
            // Heads and end are always asked for: they tell JS which exchange events belong to, and when it is over.
            let hooks = Hooks { events: interceptor.wants_events, ..Hooks::ALL };
            parts.push(add(hooks, Maker::Remote(ours.mailbox(&wake)?, number)));
        }
        ours.registered.insert(number, parts);
        Ok(number)
    })
}

/// Takes an interceptor out again.
#[napi(catch_unwind)]
pub fn unintercept(handle: u32, number: u32) {
    with_environment(|env| {
        if let Some(ours) = env.interceptors.get_mut(&handle) {
            for one in ours.registered.remove(&number).unwrap_or_default() {
                ours.registry.remove(&one);
            }
        }
    });
}

/// Ends what is open and has interceptors told, without waiting for them: before `close`, while they can still answer.
#[napi(catch_unwind)]
pub fn end_open(handle: u32, at_exit: bool, deadline: f64) {
    with_environment(|env| {
        env.recorder(handle).map(|recorder| recorder.end_open(crate::why(at_exit), after(deadline)))
    });
}

fn mailbox(handle: u32) -> Option<Arc<Mailbox>> {
    with_environment(|env| env.interceptors.get(&handle)?.mailbox.clone())
}
