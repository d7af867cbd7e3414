use std::num::NonZeroUsize;
use std::sync::Condvar;
use std::sync::Mutex;

use serde_json::Value as Json;
use uuid::Uuid;

use super::*;
use crate::clock::UnixTime;
use crate::decision_log::Guard;
use crate::decision_log::Mask;
use crate::decision_log::Outcome;
use crate::decision_log::Recorder;
use crate::decision_log::fixture;
use crate::decision_log::room::MAX_BYTES;
use crate::decision_log::room::RECORD_BYTES;
use crate::facts::Http;
use crate::telemetry::Metrics;

/// Long enough for any machine; a test that waits for it has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// An output that can be held up, and that can fail.
#[derive(Clone, Default)]
struct Out(Arc<(Mutex<Held>, Condvar)>);

#[derive(Default)]
struct Held {
    bytes: Vec<u8>,
    blocked: bool,
    broken: bool,
    /// How many writes have begun.
    writes: usize,
}

impl Held {
    fn lines(&self) -> usize {
        self.bytes.split(|byte| *byte == b'\n').count().saturating_sub(1)
    }
}

impl Out {
    fn set(&self, change: impl FnOnce(&mut Held)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    fn wait_until(&self, ready: impl Fn(&Held) -> bool) {
        let held = self.0.0.lock().unwrap();
        let (_held, timeout) = self.0.1.wait_timeout_while(held, PATIENCE, |held| !ready(held)).unwrap();
        assert!(!timeout.timed_out());
    }

    fn lines(&self) -> Vec<Json> {
        let bytes = self.0.0.lock().unwrap().bytes.clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut held = self.0.0.lock().unwrap();
        held.writes = held.writes.saturating_add(1);
        self.0.1.notify_all();
        let mut held = self.0.1.wait_while(held, |held| held.blocked).unwrap();
        if held.broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        held.bytes.extend_from_slice(bytes);
        self.0.1.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Log {
    out: Out,
    metrics: Arc<Metrics>,
    recorder: Recorder,
    writer: Writer,
}

fn log(queue: usize) -> Log {
    log_by(&Config { queue: NonZeroUsize::new(queue).unwrap(), ..Config::default() })
}

fn log_by(config: &Config) -> Log {
    let (out, metrics) = (Out::default(), Metrics::new());
    let format = fixture::format(true, Mask::default());
    let (sink, writer) = start(config, format, out.clone(), metrics.decision_log()).unwrap();
    let recorder = Recorder::new(Some(sink), metrics.worker());
    Log { out, metrics, recorder, writer }
}

fn open(recorder: &Recorder) -> Guard {
    recorder.open(Uuid::new_v4(), UnixTime::from_seconds(1))
}

fn dropped(metrics: &Metrics) -> [u64; 3] {
    let counters = metrics.decision_log();
    [counters.dropped_queue_full.get(), counters.dropped_write_failed.get(), counters.dropped_closed.get()]
}

#[test]
fn every_request_has_one_record() {
    let Log { out, metrics, recorder, writer } = log(64);
    let guard = open(&recorder);
    let id = guard.record.decision_id.to_string();
    guard.finish(Outcome::Allowed);
    drop(open(&recorder));
    assert!(writer.close(PATIENCE));
    let lines = out.lines();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["decision_id"], id);
    assert_eq!(lines[0]["result"], true);
    assert_eq!(lines[0].get("error"), None);
    assert_eq!(lines[1]["countersign"]["reason"], "cancelled");
    assert_eq!(lines[1]["countersign"]["decision"], "none");
    assert_eq!(lines[1]["error"], "the request was given up before a decision");
    assert_eq!(lines[1].get("result"), None);
    assert_eq!(metrics.decision_log().written.get(), 2);
    assert!(metrics.encode().contains("checks_total{decision=\"none\",reason=\"cancelled\"} 1"));
}

#[test]
fn a_check_that_is_given_up_or_panics_is_recorded() {
    let Log { out, recorder, writer, .. } = log(64);
    let future = {
        let recorder = recorder.clone();
        async move {
            let guard = open(&recorder);
            std::future::pending::<()>().await;
            guard.finish(Outcome::Allowed);
        }
    };
    let mut future = Box::pin(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    drop(future);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _guard = open(&recorder);
        panic!("a defect");
    }));
    assert!(panicked.is_err());
    assert!(writer.close(PATIENCE));
    let reasons: Vec<_> = out.lines().iter().map(|line| line["countersign"]["reason"].clone()).collect();
    assert_eq!(reasons, ["cancelled", "cancelled"]);
}

#[test]
fn k4_a_blocked_output_never_blocks_a_request() {
    let Log { out, metrics, recorder, writer } = log(8);
    out.set(|held| held.blocked = true);
    open(&recorder).finish(Outcome::Allowed);
    out.wait_until(|held| held.writes == 1);
    let began = Instant::now();
    for _ in 0..1000 {
        open(&recorder).finish(Outcome::Allowed);
    }
    assert!(began.elapsed() < PATIENCE / 2);
    assert_eq!(dropped(&metrics), [992, 0, 0]);
    out.set(|held| held.blocked = false);
    assert!(writer.close(PATIENCE));
    assert_eq!(out.lines().len(), 9);
    assert_eq!(metrics.decision_log().written.get(), 9);
}

#[test]
fn k4_waiting_records_are_bounded_in_memory() {
    let Log { out, metrics, recorder, writer } = log(1000);
    out.set(|held| held.blocked = true);
    open(&recorder).finish(Outcome::Allowed);
    out.wait_until(|held| held.writes == 1);
    let large = |recorder: &Recorder| {
        let mut guard = open(recorder);
        guard.record.message_bytes = MAX_BYTES / 4;
        guard.record.attributes = Some(fixture::attributes(Http::default()));
        guard.finish(Outcome::Allowed);
    };
    (0..10).for_each(|_| large(&recorder));
    assert_eq!(dropped(&metrics), [7, 0, 0]);
    out.set(|held| held.blocked = false);
    out.wait_until(|held| held.lines() == 4);
    // What was written no longer counts.
    (0..3).for_each(|_| large(&recorder));
    assert!(writer.close(PATIENCE));
    assert_eq!(dropped(&metrics), [7, 0, 0]);
    assert_eq!(out.lines().len(), 7);
}

#[test]
fn k4_bodies_are_not_queued() {
    let (metrics, room) = (Metrics::new(), Room::new(NonZeroUsize::MIN));
    let (queue, records) = sync_channel(4);
    let metrics = metrics.decision_log();
    let sink = Sink { queue, with_input: true, required: false, room: Arc::clone(&room), metrics };
    let mut record = fixture::record();
    let http = record.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap();
    http.body = "x".repeat(1 << 20);
    http.raw_body = vec![0; 1 << 20];
    record.message_bytes = (2 << 20) + 900;
    sink.send(record, None);
    assert_eq!(room.bytes(), 900 + RECORD_BYTES);
    let Message::Record(record, _place) = records.recv().unwrap() else { panic!("a record") };
    let http = record.attributes.as_ref().unwrap().http().unwrap();
    assert!(http.body.capacity() == 0 && http.raw_body.capacity() == 0);
}

#[test]
fn a_shutdown_writes_what_waits() {
    let Log { out, metrics, recorder, writer } = log(1000);
    for _ in 0..500 {
        open(&recorder).finish(Outcome::Allowed);
    }
    assert!(writer.close(PATIENCE));
    assert_eq!(out.lines().len(), 500);
    open(&recorder).finish(Outcome::Allowed);
    assert_eq!(dropped(&metrics), [0, 0, 1]);
    assert_eq!(out.lines().len(), 500);
}

#[test]
fn k4_a_shutdown_does_not_wait_for_a_blocked_output() {
    for requests in [1, 100] {
        let Log { out, recorder, writer, .. } = log(8);
        out.set(|held| held.blocked = true);
        for _ in 0..requests {
            open(&recorder).finish(Outcome::Allowed);
        }
        assert!(!writer.close(Duration::from_millis(30)));
        out.set(|held| held.blocked = false);
    }
}

#[test]
fn k4_a_broken_output_is_counted_and_tried_again() {
    let Log { out, metrics, recorder, writer } = log(8);
    out.set(|held| held.broken = true);
    open(&recorder).finish(Outcome::Allowed);
    let began = Instant::now();
    while dropped(&metrics) != [0, 1, 0] {
        assert!(began.elapsed() < PATIENCE);
        thread::sleep(POLL);
    }
    out.set(|held| held.broken = false);
    open(&recorder).finish(Outcome::Allowed);
    assert!(writer.close(PATIENCE));
    assert_eq!(out.lines().len(), 1);
    assert_eq!(metrics.decision_log().written.get(), 1);
}

#[test]
fn without_a_log_the_metrics_still_count() {
    let metrics = Metrics::new();
    open(&Recorder::new(None, metrics.worker())).finish(Outcome::Allowed);
    assert!(metrics.encode().contains("checks_total{decision=\"allow\",reason=\"policy_allowed\"} 1"));
}

#[test]
fn k5_a_guard_does_not_print_what_it_holds() {
    let metrics = Metrics::new();
    let mut guard = open(&Recorder::new(None, metrics.worker()));
    let id = guard.record.decision_id;
    guard.record = Record { decision_id: id, ..fixture::record() };
    let printed = format!("{guard:?}");
    assert!(printed.contains(&id.to_string()));
    assert!(!printed.contains("Bearer") && !printed.contains("alice"), "{printed}");
}

fn required(queue: usize) -> Log {
    log_by(&Config { queue: NonZeroUsize::new(queue).unwrap(), required: true, ..Config::default() })
}

/// A check as a worker makes it: whether it was made, and then whether it is recorded.
fn check(recorder: &Recorder) -> bool {
    let mut guard = open(recorder);
    let is_made = guard.reserve(900).is_ok();
    guard.finish(if is_made { Outcome::Allowed } else { Outcome::Cancelled });
    is_made
}

#[test]
fn k4_a_check_whose_record_is_required_and_has_no_room_is_not_made() {
    let Log { out, metrics, recorder, writer } = required(8);
    out.set(|held| held.blocked = true);
    assert!(check(&recorder));
    out.wait_until(|held| held.writes == 1);
    let made = (0..100).filter(|_| check(&recorder)).count();
    assert_eq!(made, 8);
    assert_eq!(dropped(&metrics), [92, 0, 0], "the records of those that were not made");
    out.set(|held| held.blocked = false);
    out.wait_until(|held| held.lines() == 9);
    assert!(check(&recorder));
    assert!(writer.close(PATIENCE));
    assert_eq!(out.lines().iter().filter(|line| line["result"] == true).count(), 10);
}

#[test]
fn k4_room_is_kept_for_a_check_from_its_beginning() {
    let Log { out, recorder, writer, .. } = required(3);
    let mut waiting = open(&recorder);
    assert_eq!(waiting.reserve(900), Ok(()));
    let mut large = open(&recorder);
    assert_eq!(large.reserve(MAX_BYTES), Err(Unrecorded));
    drop(large);
    assert!(check(&recorder));
    waiting.finish(Outcome::Allowed);
    assert!(writer.close(PATIENCE));
    assert_eq!(out.lines().iter().filter(|line| line["result"] == true).count(), 2);
}

#[test]
fn k4_where_records_are_required_a_broken_output_refuses_checks_until_it_is_whole() {
    let Log { out, metrics, recorder, writer } = required(8);
    out.set(|held| held.broken = true);
    assert!(check(&recorder), "nobody knows yet");
    let began = Instant::now();
    while check(&recorder) {
        assert!(began.elapsed() < PATIENCE);
        thread::sleep(POLL);
    }
    out.set(|held| held.broken = false);
    // The records of refused checks find out.
    let made_again = || {
        let began = Instant::now();
        while !check(&recorder) {
            assert!(began.elapsed() < PATIENCE);
            thread::sleep(POLL);
        }
    };
    made_again();
    assert!(writer.close(PATIENCE));
    assert!(dropped(&metrics)[1] > 0);
    assert_eq!(out.lines().last().unwrap()["result"], true);
}

struct Panics;

impl Write for Panics {
    fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        panic!("a defect")
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn k4_where_records_are_required_a_writer_that_is_gone_refuses_checks() {
    let config = Config { required: true, ..Config::default() };
    let metrics = Metrics::new();
    let (sink, writer) =
        start(&config, fixture::format(true, Mask::default()), Panics, metrics.decision_log()).unwrap();
    let recorder = Recorder::new(Some(sink), metrics.worker());
    assert!(check(&recorder), "nobody knows yet");
    let began = Instant::now();
    while !writer.thread.is_finished() {
        assert!(began.elapsed() < PATIENCE);
        thread::sleep(POLL);
    }
    assert!(!check(&recorder));

    let Log { recorder, writer, .. } = required(8);
    assert!(writer.close(PATIENCE));
    assert!(!check(&recorder), "what is closed takes nothing");
}

#[test]
fn k4_room_that_a_body_does_not_need_is_given_back() {
    let room = Room::new(NonZeroUsize::new(8).unwrap());
    let mut place = room.take(5000).unwrap();
    place.shrink_to(1000);
    assert_eq!(room.bytes(), 1000 + RECORD_BYTES);
    place.shrink_to(2000);
    drop(place);
    assert_eq!(room.bytes(), 0);
}

#[test]
fn k4_of_many_workers_none_is_allowed_without_its_record() {
    let Log { out, recorder, writer, .. } = required(16);
    let made: usize = thread::scope(|scope| {
        let worker = || (0..500).filter(|_| check(&recorder)).count();
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert!(writer.close(PATIENCE));
    assert!(made > 0);
    assert_eq!(out.lines().iter().filter(|line| line["result"] == true).count(), made);
}
