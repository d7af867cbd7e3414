//! The queue between the workers and the one thread that writes.

use std::io;
use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::TrySendError;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use super::Format;
use super::Record;
use crate::telemetry::metrics::DecisionLogMetrics;

/// How much memory waiting records may hold, by the length of their messages without bodies. An ordinary message has
/// 2 KiB, so the queue's length is the limit; this one holds when a client sends the largest headers Envoy takes.
const MAX_QUEUED_BYTES: usize = 64 << 20;

/// What a record weighs beside its message: itself and its findings.
const RECORD_BYTES: usize = 2048;

/// How long the writer rests when the queue is empty. While it rests no worker pays for waking it, and the records of
/// that time are written at once; a record is on its way out within this time.
const REST: Duration = Duration::from_millis(10);

/// How many bytes of lines are gathered for one write.
const BATCH_BYTES: usize = 64 << 10;

/// How often a shutdown looks whether the writer has ended.
const POLL: Duration = Duration::from_millis(1);

/// Takes records, never waits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sink {
    queue: SyncSender<Message>,
    /// Whether lines have the input in them.
    with_input: bool,
    queued_bytes: Arc<AtomicUsize>,
    metrics: DecisionLogMetrics,
}

/// The thread that writes.
#[derive(Debug)]
#[must_use = "the log is complete only once its writer was closed"]
pub struct Writer {
    queue: SyncSender<Message>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
enum Message {
    Record(Box<Record>),
    /// Everything sent before this is written, then the writer ends.
    End,
}

/// Starts the writer: records sent to the [`Sink`] go to `out` as `format` shapes them.
///
/// # Errors
/// Where the thread cannot be started.
pub fn start(
    queue: NonZeroUsize,
    format: Format,
    out: impl Write + Send + 'static,
    metrics: DecisionLogMetrics,
) -> io::Result<(Sink, Writer)> {
    let (sender, records) = sync_channel(queue.get());
    let sink = Sink {
        queue: sender.clone(),
        with_input: format.include_input(),
        queued_bytes: Arc::default(),
        metrics: metrics.clone(),
    };
    let queued_bytes = Arc::clone(&sink.queued_bytes);
    let lines = Lines { out, format, metrics, batch: Vec::new(), gathered: 0, failing: false };
    let thread =
        thread::Builder::new().name("decision-log".to_owned()).spawn(move || run(&records, &queued_bytes, lines))?;
    Ok((sink, Writer { queue: sender, thread }))
}

impl Sink {
    /// Queues a record, or drops and counts it where there is no room.
    pub fn send(&self, mut record: Record) {
        if self.with_input {
            record.shed_bodies();
        } else {
            record.shed_input();
        }
        let bytes = weight(&record);
        let before = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        let sent = if before.saturating_add(bytes) > MAX_QUEUED_BYTES {
            Err(&self.metrics.dropped_queue_full)
        } else {
            self.queue.try_send(Message::Record(Box::new(record))).map_err(|refused| match refused {
                TrySendError::Full(_) => &self.metrics.dropped_queue_full,
                TrySendError::Disconnected(_) => &self.metrics.dropped_closed,
            })
        };
        if let Err(dropped) = sent {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            dropped.inc();
        }
    }
}

fn weight(record: &Record) -> usize {
    record.message_bytes.saturating_add(RECORD_BYTES)
}

impl Writer {
    /// Writes what was sent so far and ends, within `limit`. What is sent later is dropped and counted. Waits, so it
    /// is for the end of the process alone. Says whether everything was written in time.
    pub fn close(self, limit: Duration) -> bool {
        let began = Instant::now();
        let in_time = || began.elapsed() < limit;
        while let Err(TrySendError::Full(Message::End)) = self.queue.try_send(Message::End) {
            if !in_time() {
                return false;
            }
            thread::sleep(POLL);
        }
        while !self.thread.is_finished() {
            if !in_time() {
                return false;
            }
            thread::sleep(POLL);
        }
        true
    }
}

/// The writer's life: write what is there, rest, until the end.
fn run(queue: &Receiver<Message>, queued_bytes: &AtomicUsize, mut lines: Lines<impl Write>) {
    while let Ok(first) = queue.recv() {
        let mut next = Some(first);
        while let Some(message) = next {
            let Message::Record(record) = message else {
                lines.flush();
                return;
            };
            lines.add(&record);
            queued_bytes.fetch_sub(weight(&record), Ordering::Relaxed);
            next = queue.try_recv().ok();
        }
        lines.flush();
        thread::sleep(REST);
    }
}

/// Lines on their way out.
struct Lines<W> {
    out: W,
    format: Format,
    metrics: DecisionLogMetrics,
    batch: Vec<u8>,
    /// Records in `batch`.
    gathered: u64,
    /// Whether the last write failed.
    failing: bool,
}

impl<W: Write> Lines<W> {
    fn add(&mut self, record: &Record) {
        let before = self.batch.len();
        match self.format.write_line(record, &mut self.batch) {
            Ok(()) => self.gathered = self.gathered.saturating_add(1),
            // A line that could not be made whole is not written in part.
            Err(error) => {
                self.batch.truncate(before);
                self.metrics.dropped_write_failed.inc();
                tracing::error!(%error, "a decision record cannot be written as JSON");
            }
        }
        if self.batch.len() >= BATCH_BYTES {
            self.flush();
        }
    }

    /// Writes the batch. What could not be written is lost: holding it back would only lose what comes after.
    fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let written = self.out.write_all(&self.batch).and_then(|()| self.out.flush());
        match &written {
            Ok(()) => self.metrics.written.inc_by(self.gathered),
            Err(_) => self.metrics.dropped_write_failed.inc_by(self.gathered),
        };
        if let Err(error) = &written
            && !self.failing
        {
            tracing::error!(%error, "the decision log cannot be written; records are dropped until it can");
        }
        self.failing = written.is_err();
        self.batch.clear();
        self.batch.shrink_to(BATCH_BYTES.saturating_mul(2));
        self.gathered = 0;
    }
}

#[cfg(test)]
mod tests;
