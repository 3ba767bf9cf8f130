mod messages;

use super::builtin::{Deduplicate, HeaderRules, Metrics};
use super::*;
use proptest::prelude::*;
use serde_json::value::RawValue;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MS: u64 = 1_000_000;
const KEY: Key = (1, 7);
const REQUEST: &[u8] = b"POST https://api.test/v1/messages HTTP/1.1\r\na: 1\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";

/// What a [`Spy`] has seen, in order.
type Seen = Arc<Mutex<Vec<String>>>;

/// Does to a batch what it is told to.
type Act = Arc<dyn Fn(&mut EventBatch) -> Result<(), Failed> + Send + Sync>;

struct Spy {
    name: &'static str,
    seen: Seen,
    act: Act,
}

impl Spy {
    fn saw(&self, what: String) {
        self.seen.lock().unwrap().push(format!("{} {what}", self.name));
    }
}

impl Interceptor for Spy {
    fn on_request(&mut self, request: &mut Message<'_>) -> Result<(), Failed> {
        self.saw(format!("request {}", String::from_utf8_lossy(request.as_request().line.method)));
        request.change(HeaderChange::Set { name: self.name.into(), value: "was here".into() });
        Ok(())
    }

    fn on_response(&mut self, response: &mut Message<'_>) -> Result<(), Failed> {
        self.saw(format!("response {:?}", response.as_response().status.unwrap()));
        Ok(())
    }

    fn on_events(&mut self, batch: &mut EventBatch) -> Result<(), Failed> {
        let data: Vec<_> =
            batch.iter().map(|event| String::from_utf8_lossy(event.data).into_owned()).collect();
        self.saw(format!("events {}", data.join(",")));
        (self.act)(batch)
    }

    fn on_end(&mut self, end: &mut End<'_>) -> Result<(), Failed> {
        self.saw(format!("end {}", end.events));
        end.annotate(json("\"over\""));
        Ok(())
    }
}

fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.into()).unwrap()
}

fn nothing() -> Act {
    Arc::new(|_| Ok(()))
}

struct Bench {
    registry: Registry,
    stage: Stage,
    seen: Seen,
}

impl Bench {
    fn new() -> Self {
        let registry = Registry::default();
        let stage = Stage::new(Arc::clone(registry.totals()), 1 << 20);
        Self { registry, stage, seen: Seen::default() }
    }

    fn spy(&self, name: &'static str, order: i32, limits: Limits, act: Act) -> Arc<Registered> {
        let seen = Arc::clone(&self.seen);
        let make = move || -> Box<dyn Interceptor> {
            Box::new(Spy { name, seen: Arc::clone(&seen), act: Arc::clone(&act) })
        };
        self.add(name, order, limits, Maker::Local(Box::new(make)))
    }

    fn add(&self, name: &str, order: i32, limits: Limits, maker: Maker) -> Arc<Registered> {
        let (rule, hooks) = (Rule::default(), Hooks::ALL);
        self.registry.add(Registration { name: name.into(), order, rule, scope: None, hooks, limits, maker })
    }

    fn local<I: Interceptor + 'static>(&self, name: &str, make: impl Fn() -> I + Send + Sync + 'static) {
        self.add(name, 0, Limits::default(), Maker::Local(Box::new(move || Box::new(make()))));
    }

    /// Begins an exchange, up to the head of its response.
    fn begin(&mut self) {
        let watch = self.registry.watch(None, b"POST", b"https://api.test/v1/messages").unwrap();
        self.stage.request(KEY, watch, REQUEST.into(), 0, false, 0);
        self.stage.response(KEY, RESPONSE.into(), 0, 0);
    }

    fn body(&mut self, text: &str, now: u64) {
        self.stage.body(KEY, text.as_bytes(), now, now);
    }

    fn finish(&mut self, now: u64) -> Changes {
        self.stage.end(KEY, Outcome::Complete, now, now);
        self.done()
    }

    fn done(&mut self) -> Changes {
        let mut done = self.stage.take_done();
        assert_eq!(done.len(), 1, "it is over");
        assert_eq!((done[0].0, self.stage.buffered()), (KEY, 0));
        *done.remove(0).1.unwrap()
    }

    fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    fn seen_events(&self) -> Vec<String> {
        let is_events = |said: &String| said.contains(" events ");
        self.seen().into_iter().filter(is_events).collect()
    }
}

fn events(data: impl IntoIterator<Item = u32>) -> String {
    data.into_iter().map(|number| format!("data: {number}\n\n")).collect()
}

fn edited(body: &str, edits: &[Edit], size: usize) -> String {
    let (mut out, mut editor) = (Vec::new(), Editor::new(edits));
    for piece in body.as_bytes().chunks(size) {
        editor.push(piece, |bytes| out.extend_from_slice(bytes));
    }
    String::from_utf8(out).unwrap()
}

fn limits(max_events: usize, max_delay_ms: u64) -> Limits {
    Limits { max_events, max_delay: Duration::from_millis(max_delay_ms), ..Limits::default() }
}

#[test]
fn hooks_are_called_in_order_and_interceptors_by_theirs() {
    let mut bench = Bench::new();
    bench.spy("late", 5, limits(2, 50), nothing());
    bench.spy("early", -1, limits(9, 50), nothing());
    bench.spy("later", 5, limits(9, 50), nothing());
    bench.begin();
    bench.body(&events(0..3), MS);
    bench.finish(2 * MS);
    let expected = ["request POST", "response 200", "events 0,1", "events 2", "end 3"];
    let all: Vec<_> = expected
        .iter()
        .flat_map(|what| ["early", "late", "later"].map(|name| format!("{name} {what}")))
        .collect();
    assert_eq!(bench.seen(), all);
}

#[test]
fn a_batch_is_given_when_it_is_full_or_old() {
    let mut bench = Bench::new();
    bench.spy("a", 0, limits(3, 20), nothing());
    bench.begin();
    bench.body(&events(0..2), 10 * MS);
    assert_eq!(bench.stage.poll(11 * MS), Some(30 * MS), "the first event came at 10 ms");
    assert!(bench.seen_events().is_empty());
    bench.body(&events(2..7), 12 * MS);
    assert_eq!(bench.seen_events(), ["a events 0,1,2", "a events 3,4,5"], "by count");
    assert_eq!(bench.stage.poll(31 * MS), Some(32 * MS));
    assert!(bench.seen_events().is_empty());
    bench.stage.poll(32 * MS);
    assert_eq!(bench.seen_events(), ["a events 6"], "by time");
    assert_eq!(bench.stage.poll(33 * MS), None, "nothing is due: no timer");

    let large = format!("data: {}\n\n", "x".repeat(BATCH_BYTES / 2));
    bench.body(&large, 40 * MS);
    assert!(bench.seen_events().is_empty());
    bench.body(&large, 40 * MS);
    assert_eq!(bench.seen_events().len(), 1, "by bytes");
    assert_eq!(bench.finish(41 * MS).account.events, 9);
    let stats = bench.registry.stats();
    assert_eq!((stats.batches, stats.events, stats.batch_size.count), (4, 9, 4));
    assert!((stats.delay_ms.max - 20.0).abs() < 0.5, "{:?}", stats.delay_ms);
}

#[test]
fn the_least_limits_of_all_hold() {
    let mut bench = Bench::new();
    bench.spy("patient", 0, limits(1000, 1000), nothing());
    bench.spy("quick", 1, limits(2, 5), nothing());
    bench.begin();
    bench.body(&events(0..3), 0);
    assert_eq!(bench.seen_events(), ["patient events 0,1", "quick events 0,1"]);
    assert_eq!(bench.stage.poll(0), Some(5 * MS));
}

#[test]
fn verdicts_are_seen_by_those_who_follow_and_by_the_record() {
    let mut bench = Bench::new();
    let act: Act = Arc::new(|batch| {
        batch.decide(0, Verdict::Drop);
        let data = Some(b"one\r\nand more".to_vec());
        batch.decide(1, Verdict::Replace(Replacement { data, kind: Some(b"k".into()), id: None }));
        batch.decide(2, Verdict::Annotate(json("{\"a\":1}")));
        batch.decide(3, Verdict::Drop);
        batch.decide(3, Verdict::Keep);
        batch.decide(99, Verdict::Drop);
        Ok(())
    });
    bench.spy("first", 0, Limits::default(), act);
    bench.spy("second", 1, Limits::default(), nothing());
    bench.begin();
    let body = format!(": hello\n\n{}", events(0..4));
    bench.body(&body, 0);
    let changes = bench.finish(0);
    assert_eq!(bench.seen_events(), ["first events 0,1,2,3", "second events one\nand more,2,3"]);
    let expected = ": hello\n\nevent: k\ndata: one\ndata: and more\n\ndata: 2\n\ndata: 3\n\n";
    assert_eq!(edited(&body, &changes.body, 5), expected);
    let account = &changes.account;
    assert_eq!((account.events, account.dropped, account.replaced), (4, 1, 1));
    let notes: Vec<_> =
        account.annotations.iter().map(|note| (&*note.by, note.event, note.value.get())).collect();
    assert_eq!(
        notes,
        [("first", Some(2), "{\"a\":1}"), ("first", None, "\"over\""), ("second", None, "\"over\"")]
    );
    let head = String::from_utf8(changes.request_head.unwrap()).unwrap();
    assert!(head.ends_with("a: 1\r\nfirst: was here\r\nsecond: was here\r\n"), "{head}");
    assert!(changes.response_head.is_none());
}

/// What fails is taken out with all it has wanted, before and in the very call; the others go on.
#[test]
fn a_failure_costs_that_interceptor_and_no_other() {
    for panics in [true, false] {
        let mut bench = Bench::new();
        let act: Act = Arc::new(move |batch| {
            batch.decide(0, Verdict::Drop);
            if batch.get(0).unwrap().data == b"2" {
                assert!(!panics, "at event 2");
                return Err(Failed("at event 2".into()));
            }
            Ok(())
        });
        bench.spy("bad", 0, limits(1, 50), act);
        let keep_odd: Act = Arc::new(|batch| {
            if batch.get(0).unwrap().data == b"3" {
                batch.decide(0, Verdict::Drop);
            }
            Ok(())
        });
        bench.spy("good", 1, limits(1, 50), keep_odd);
        bench.begin();
        let body = events(0..5);
        bench.body(&body, 0);
        let changes = bench.finish(0);
        let seen = bench.seen_events();
        assert_eq!(
            seen,
            [
                "bad events 0",
                "bad events 1",
                "bad events 2",
                "good events 2",
                "good events 3",
                "good events 4"
            ]
        );
        assert_eq!(edited(&body, &changes.body, 100), "data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 4\n\n");
        let account = &changes.account;
        assert_eq!(account.by, ["good"]);
        assert_eq!(account.failed[0].by, "bad");
        assert!(account.failed[0].reason.contains("at event 2"), "{}", account.failed[0].reason);
        assert!(!String::from_utf8(changes.request_head.unwrap()).unwrap().contains("bad"));
        let stats = bench.registry.stats();
        assert_eq!((stats.errors, stats.interceptors[0].errors, stats.interceptors[1].errors), (1, 1, 0));
        // Another exchange begins anew.
        bench.begin();
        bench.body(&events(0..1), 0);
        assert_eq!(bench.seen_events(), ["bad events 0"], "and drops it");
    }
}

#[test]
fn one_that_cannot_even_be_made_is_a_failure() {
    let mut bench = Bench::new();
    bench.local("bad", || -> Metrics { panic!("no") });
    bench.begin();
    let changes = bench.finish(0);
    assert_eq!(changes.account.failed[0].reason, "panicked: no");
}

#[test]
fn one_that_is_removed_sees_nothing_more_and_what_it_said_holds() {
    let mut bench = Bench::new();
    let drop_all: Act = Arc::new(|batch| {
        (0..batch.len()).for_each(|index| batch.decide(index, Verdict::Drop));
        Ok(())
    });
    let one = bench.spy("a", 0, limits(1, 50), drop_all);
    bench.begin();
    let body = events(0..2);
    bench.body(&body[..9], 0);
    bench.registry.remove(&one);
    bench.body(&body[9..], 0);
    assert_eq!(edited(&body, &bench.finish(0).body, 3), "data: 1\n\n");
    assert!(bench.registry.is_empty() && bench.registry.watch(None, b"GET", b"http://x").is_none());
    assert_eq!(bench.registry.stats().interceptors.len(), 1, "its numbers stay");
}

fn answer(delivery: &Delivery, said: Vec<(u32, Said)>) -> Answer {
    Answer { ticket: delivery.ticket, exchange: delivery.exchange, said }
}

fn text_of(delivery: &Delivery) -> Vec<String> {
    let Content::Events(packed) = &delivery.content else { return Vec::new() };
    let units: Vec<u16> = packed.text.encode_utf16().collect();
    let place = |event: &[f64]| String::from_utf16(&units[event[0] as usize..event[1] as usize]).unwrap();
    packed.places.chunks(PLACES).map(place).collect()
}

/// Two remote ones in a row are asked at once; a local one behind them sees what they said; what comes meanwhile waits.
#[test]
fn remote_interceptors_answer_when_they_can() {
    let mut bench = Bench::new();
    let wakes = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&wakes);
    let mailbox = bench.registry.mailbox(move || *counted.lock().unwrap() += 1);
    for (order, number) in [(1, 11), (2, 22)] {
        bench.add("remote", order, limits(2, 50), Maker::Remote(Arc::clone(&mailbox), number));
    }
    bench.spy("behind", 3, limits(9, 50), nothing());
    bench.begin();
    assert_eq!(mailbox.watched(), 1);
    let turn = |bench: &mut Bench, said: Vec<(u32, Said)>| {
        let [delivery] = &mailbox.take(9)[..] else { panic!("one at a time") };
        assert_eq!(delivery.interceptors, [11, 22]);
        bench.stage.answer(answer(delivery, said), 0);
        text_of(delivery)
    };
    turn(&mut bench, vec![(11, Said { notes: vec![json("1")], ..Said::default() })]);
    turn(&mut bench, vec![]);
    assert!(mailbox.take(1).is_empty());
    bench.body("data: zwei€\n\ndata: 𝄞\n\ndata: c\n\n", 0);
    bench.body("data: d\n\n", 0);
    bench.body("data: e\n\n", 0);
    assert!(bench.seen_events().is_empty());
    let said = Said { verdicts: vec![(0, Verdict::Drop)], ..Said::default() };
    assert_eq!(turn(&mut bench, vec![(11, said)]), ["zwei€", "𝄞"]);
    assert_eq!(bench.seen_events(), ["behind events 𝄞"]);
    assert_eq!(turn(&mut bench, vec![]), ["c", "d"], "what came meanwhile is one batch");
    bench.stage.end(KEY, Outcome::Complete, 0, 0);
    assert_eq!(turn(&mut bench, vec![]), ["e"]);
    assert!(bench.stage.take_done().is_empty());
    turn(&mut bench, vec![(22, Said { discard: true, ..Said::default() })]);
    let changes = bench.done();
    assert!(changes.discard);
    assert_eq!((changes.account.dropped, changes.account.annotations.len()), (1, 2));
    assert_eq!((mailbox.watched(), *wakes.lock().unwrap()), (0, 6));
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for() {
    let mut bench = Bench::new();
    let mailbox = bench.registry.mailbox(|| {});
    bench.add("mute", 0, limits(1, 50), Maker::Remote(Arc::clone(&mailbox), 1));
    bench.spy("behind", 1, limits(1, 50), nothing());
    bench.begin();
    bench.body(&events(0..2), 0);
    let first = mailbox.take(9);
    assert_eq!(bench.stage.poll(999 * MS), Some(1000 * MS), "its timeout");
    assert!(bench.seen_events().is_empty());
    bench.stage.poll(1000 * MS);
    assert_eq!(bench.seen_events(), ["behind events 0", "behind events 1"]);
    // Too late.
    bench.stage.answer(answer(&first[0], vec![(1, Said { discard: true, ..Said::default() })]), 1001 * MS);
    let changes = bench.finish(1002 * MS);
    assert!(!changes.discard);
    assert_eq!(
        (changes.account.late, changes.account.by),
        (vec!["mute".to_string()], vec!["mute".into(), "behind".into()])
    );
    assert_eq!((bench.registry.stats().late, mailbox.take(9).len()), (1, 0), "nothing more is sent there");
}

#[test]
fn an_end_waits_for_answers_no_longer_than_the_timeout() {
    let mut bench = Bench::new();
    let mailbox = bench.registry.mailbox(|| {});
    bench.add("mute", 0, limits(1, 50), Maker::Remote(Arc::clone(&mailbox), 1));
    for hurries in [false, true] {
        bench.begin();
        bench.body(&events(0..2), 500 * MS);
        bench.stage.end(KEY, Outcome::Complete, 600 * MS, 600 * MS);
        assert!(bench.stage.take_done().is_empty());
        if hurries {
            bench.stage.hurry(Some(2), 601 * MS);
            assert!(bench.stage.take_done().is_empty(), "another chain");
            bench.stage.hurry(Some(1), 601 * MS);
        } else {
            bench.stage.poll(1000 * MS);
        }
        assert_eq!(bench.done().account.late, ["mute"]);
        assert!(mailbox.take(9).is_empty(), "taken back");
    }
}

#[test]
fn a_closed_mailbox_is_as_late_as_can_be() {
    let mut bench = Bench::new();
    let mailbox = bench.registry.mailbox(|| {});
    bench.add("gone", 0, Limits::default(), Maker::Remote(Arc::clone(&mailbox), 1));
    mailbox.close();
    bench.begin();
    assert_eq!(bench.finish(0).account.late, ["gone"]);
}

#[test]
fn one_that_leaves_is_not_mentioned() {
    let mut bench = Bench::new();
    let mailbox = bench.registry.mailbox(|| {});
    bench.add("other", 0, Limits::default(), Maker::Remote(Arc::clone(&mailbox), 1));
    bench.begin();
    let delivery = &mailbox.take(1)[0];
    bench.stage.answer(answer(delivery, vec![(1, Said { leave: true, ..Said::default() })]), 0);
    bench.stage.end(KEY, Outcome::Complete, 0, 0);
    assert!(bench.stage.take_done()[0].1.is_none());
}

/// A mailbox that nobody empties, and a stream that does not end.
#[test]
fn what_waits_is_bounded_and_what_is_passed_is_counted() {
    let mut bench = Bench::new();
    let mailbox = bench.registry.mailbox(|| {});
    let patient = Limits { timeout: Duration::from_secs(3600), ..limits(usize::MAX, 50) };
    bench.add("stuck", 0, patient, Maker::Remote(Arc::clone(&mailbox), 1));
    bench.begin();
    let event = format!("data: {}\n\n", "x".repeat(1 << 20));
    let mut most = 0;
    for now in 0..100 {
        bench.body(&event, now);
        most = most.max(bench.stage.buffered());
    }
    assert!(most > MAX_BUFFERED_BYTES / 2 && most < MAX_BUFFERED_BYTES + (2 << 20), "{most}");
    bench.stage.hurry(None, 200);
    bench.stage.end(KEY, Outcome::Complete, 200, 200);
    bench.stage.hurry(None, 201);
    let passed = bench.done().account.passed;
    assert!((60..80).contains(&passed), "{passed}");
    assert_eq!(bench.registry.stats().passed, passed);
}

#[test]
fn an_exchange_that_is_forgotten_gives_back_its_room() {
    let mut bench = Bench::new();
    let mailbox = bench.registry.mailbox(|| {});
    bench.add("stuck", 0, limits(1, 50), Maker::Remote(Arc::clone(&mailbox), 1));
    bench.begin();
    bench.body(&events(0..50), 0);
    assert!(bench.stage.buffered() > 0);
    bench.stage.forget(KEY);
    assert_eq!((bench.stage.buffered(), bench.stage.is_idle(), mailbox.watched()), (0, true, 0));
    assert!(bench.stage.take_done().is_empty() && mailbox.take(9).is_empty());
}

#[test]
fn header_rules_change_the_recorded_heads() {
    let mut bench = Bench::new();
    let rules = HeaderRules {
        request: vec![HeaderChange::Remove { name: "A".into() }],
        response: vec![HeaderChange::Set { name: "x".into(), value: "y".into() }],
    };
    bench.local("headers", move || rules.clone());
    bench.begin();
    let Changes { request_head, response_head, account, .. } = bench.finish(0);
    assert_eq!(request_head.unwrap(), b"POST https://api.test/v1/messages HTTP/1.1\r\n");
    assert_eq!(response_head.unwrap(), [RESPONSE, b"x: y\r\n"].concat());
    assert_eq!(account.headers, ["request", "response"]);
}

#[test]
fn duplicates_are_known_by_their_id_alone() {
    let mut bench = Bench::new();
    bench.local("dedupe", || Deduplicate::new(3));
    bench.begin();
    let event = |id: &str, data: &str| format!("{id}data: {data}\n\n");
    let body = [
        event("id: 1\n", "a"),
        // Equal deltas of a model: no id of their own, or none at all.
        event("", "same"),
        event("", "same"),
        event("id: 2\n", "b"),
        event("id: 3\n", "c"),
        // A replay.
        event("id: 2\n", "b"),
        event("id: 3\n", "c"),
        event("id: 4\n", "d"),
        // Forgotten: the memory is bounded.
        event("id: 1\n", "a"),
    ]
    .concat();
    bench.body(&body, 0);
    let changes = bench.finish(0);
    let gone: Vec<u64> = changes.body.iter().map(|edit| edit.start).collect();
    let replayed = body.rfind("id: 2").unwrap() as u64;
    assert_eq!(gone, [replayed, replayed + 15]);
    assert_eq!(bench.registry.stats().duplicates, 2);
}

#[test]
fn metrics_count_and_change_nothing() {
    let mut bench = Bench::new();
    let numbers = Arc::<builtin::StreamMetrics>::default();
    let shared = Arc::clone(&numbers);
    bench.local("metrics", move || Metrics(Arc::clone(&shared)));
    bench.begin();
    bench.body(&events(0..12), 0);
    assert!(bench.finish(0).body.is_empty());
    assert_eq!((numbers.events.get(), numbers.data_bytes.get(), numbers.exchanges.get()), (12, 14, 1));
}

#[test]
fn interceptors_of_events_run_on_batches() {
    struct Slow(Option<std::thread::JoinHandle<()>>);
    impl AsyncEventInterceptor for Slow {
        fn on_event(&mut self, event: OwnedEvent) -> adapter::EventFuture<'_> {
            Box::pin(async move {
                let mut is_first = event.number == 0;
                // Ready when another thread says so, once.
                std::future::poll_fn(|context| {
                    if !std::mem::take(&mut is_first) {
                        return std::task::Poll::Ready(());
                    }
                    let waker = context.waker().clone();
                    self.0 = Some(std::thread::spawn(move || waker.wake()));
                    std::task::Poll::Pending
                })
                .await;
                Ok((event.number != 1)
                    .then(|| OwnedEvent { data: [&event.data[..], b"!"].concat(), ..event }))
            })
        }
    }
    let mut bench = Bench::new();
    bench.local("sync", || PerEvent(|event: OwnedEvent| Ok((event.data != b"2").then_some(event))));
    let timeout = Duration::from_secs(60);
    bench.local("async", move || PerEventAsync { interceptor: Slow(None), timeout });
    bench.begin();
    let body = events(0..4);
    bench.body(&body, 0);
    assert_eq!(edited(&body, &bench.finish(0).body, 4), "data: 0!\n\ndata: 3!\n\n");
}

#[test]
fn an_async_interceptor_that_is_never_ready_is_a_failure() {
    struct Never;
    impl AsyncEventInterceptor for Never {
        fn on_event(&mut self, _event: OwnedEvent) -> adapter::EventFuture<'_> {
            Box::pin(std::future::pending())
        }
    }
    let mut bench = Bench::new();
    bench.local("never", || PerEventAsync { interceptor: Never, timeout: Duration::ZERO });
    bench.begin();
    bench.body(&events(0..4), 0);
    let changes = bench.finish(0);
    assert!(changes.account.failed[0].reason.contains("longer than"), "{:?}", changes.account.failed);
    assert!(changes.body.is_empty());
}

#[test]
fn a_response_that_is_no_stream_has_no_events() {
    let mut bench = Bench::new();
    bench.spy("a", 0, Limits::default(), nothing());
    bench.begin();
    bench.stage.response(KEY, b"HTTP/1.1 200\r\ncontent-type: application/json\r\n".into(), 0, 0);
    bench.body("data: 1\n\n", 0);
    bench.finish(0);
    assert!(bench.seen_events().is_empty());
}

fn naive_edit(body: &[u8], edits: &[Edit]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    for edit in edits {
        out.extend_from_slice(&body[at..edit.start as usize]);
        out.extend_from_slice(&edit.text);
        at = edit.end as usize;
        if body[..at].ends_with(b"\r") && body[at..].starts_with(b"\n") {
            at += 1;
        }
    }
    out.extend_from_slice(&body[at..]);
    out
}

proptest! {
    /// Whatever the stream, and however it is cut and batched: the record is the stream without the events that were dropped,
    /// with others in the place of those that were replaced, and every other byte as it came.
    #[test]
    fn the_record_is_what_the_verdicts_say(
        parts in proptest::collection::vec(prop_oneof![
            Just("data: x\n\n"), Just("data: y\r\n\r\n"), Just("data: z\r\r"), Just(": comment\n\n"), Just("id: 5\n\n"),
            Just("event: k\ndata: drop\ndata\n\n"), Just("data: drop\r\n\r\n"), Just("data: drop\r\r"),
            Just("data: replace\n\n"), Just("data: replace\r\n\r\n"), Just("\n"), Just("data: broken o"),
        ], 0..20),
        has_bom: bool, size in 1_usize..40, max_events in 1_usize..5,
    ) {
        let body = format!("{}{}", if has_bom { "\u{feff}" } else { "" }, parts.concat());
        let mut expected: Vec<(String, String, String)> = Vec::new();
        let mut parser = crate::sse::Parser::default();
        let read = |event: crate::sse::Event<'_>| {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            (text(event.kind), text(event.data), text(event.id))
        };
        parser.push(body.as_bytes(), |event| {
            let event = read(event);
            if event.1.starts_with("replace") {
                expected.push(("new".into(), "other".into(), event.2));
            } else if !event.1.starts_with("drop") {
                expected.push(event);
            }
        });
        let mut bench = Bench::new();
        let act: Act = Arc::new(|batch| {
            for index in 0..batch.len() {
                let data = batch.get(index).unwrap().data;
                if data.starts_with(b"drop") {
                    batch.decide(index, Verdict::Drop);
                } else if data.starts_with(b"replace") {
                    let replacement = Replacement { data: Some(b"other".into()), kind: Some(b"new".into()), id: None };
                    batch.decide(index, Verdict::Replace(replacement));
                }
            }
            Ok(())
        });
        bench.spy("a", 0, limits(max_events, 50), act);
        bench.begin();
        for piece in body.as_bytes().chunks(size) {
            bench.stage.body(KEY, piece, 0, 0);
        }
        let changes = bench.finish(0);
        let record = edited(&body, &changes.body, size);
        prop_assert_eq!(record.as_bytes(), naive_edit(body.as_bytes(), &changes.body));
        let mut found = Vec::new();
        crate::sse::Parser::default().push(record.as_bytes(), |event| found.push(read(event)));
        prop_assert_eq!(found, expected);
    }
}
