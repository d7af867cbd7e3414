//! The queue between the workers and the one thread that writes.

use std::io;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::sync::mpsc::SyncSender;
use std::sync::mpsc::TrySendError;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use super::Config;
use super::Format;
use super::Record;
use super::room::Place;
use super::room::Room;
use crate::telemetry::metrics::DecisionLogMetrics;

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
    /// Whether a check is refused whose record would be lost.
    required: bool,
    room: Arc<Room>,
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
    /// A record, and its place until it is in a line.
    Record(Box<Record>, Place),
    /// Everything sent before this is written, then the writer ends.
    End,
}

/// The record of a check could not be kept, and must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unrecorded;

/// Starts the writer: records sent to the [`Sink`] go to `out` as `format` shapes them.
///
/// # Errors
/// Where the thread cannot be started.
pub fn start(
    config: &Config,
    format: Format,
    out: impl Write + Send + 'static,
    metrics: DecisionLogMetrics,
) -> io::Result<(Sink, Writer)> {
    let room = Room::new(config.queue);
    // One more than there is room for: the end must come through.
    let (sender, records) = sync_channel(config.queue.get().saturating_add(1));
    let sink = Sink {
        queue: sender.clone(),
        with_input: format.include_input(),
        required: config.required,
        room: Arc::clone(&room),
        metrics: metrics.clone(),
    };
    let lines = Lines { out, format, metrics, batch: Vec::new(), gathered: 0, room };
    let thread = thread::Builder::new().name("decision-log".to_owned()).spawn(move || run(&records, lines))?;
    Ok((sink, Writer { queue: sender, thread }))
}

impl Sink {
    /// Makes sure that the record of a check can be kept, before the check begins; `None` where it need not.
    ///
    /// # Errors
    /// [`Unrecorded`] where records are required and this one would be lost.
    pub(super) fn reserve(&self, message_bytes: usize) -> Result<Option<Place>, Unrecorded> {
        if !self.required {
            return Ok(None);
        }
        // While writing fails, checks are refused; their own records still go to the writer, and show when it works again.
        let place = self.room.take(message_bytes).filter(|_| !self.room.is_failing());
        place.map(Some).ok_or(Unrecorded)
    }

    /// Queues a record, in the place that was reserved for it, or drops and counts it where there is no room.
    pub(super) fn send(&self, mut record: Record, reserved: Option<Place>) {
        if self.with_input {
            record.shed_bodies();
        } else {
            record.shed_input();
        }
        let Some(mut place) = reserved.or_else(|| self.room.take(record.message_bytes)) else {
            self.metrics.dropped_queue_full.inc();
            return;
        };
        // A place was reserved before it was known how much of the message is a body.
        place.shrink_to(record.message_bytes);
        match self.queue.try_send(Message::Record(Box::new(record), place)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.metrics.dropped_queue_full.inc();
            }
            Err(TrySendError::Disconnected(_)) => {
                self.metrics.dropped_closed.inc();
            }
        }
    }
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
fn run(queue: &Receiver<Message>, mut lines: Lines<impl Write>) {
    while let Ok(first) = queue.recv() {
        let mut next = Some(first);
        while let Some(message) = next {
            let Message::Record(record, _place) = message else {
                lines.flush();
                return;
            };
            lines.add(&record);
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
    room: Arc<Room>,
}

/// Whatever ended the writer, a defect too, nothing is written any more.
impl<W> Drop for Lines<W> {
    fn drop(&mut self) {
        self.room.set_failing(true);
    }
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
        let has_failed_before = self.room.set_failing(written.is_err());
        if let Err(error) = &written
            && !has_failed_before
        {
            tracing::error!(%error, "the decision log cannot be written; records are dropped until it can");
        }
        self.batch.clear();
        self.batch.shrink_to(BATCH_BYTES.saturating_mul(2));
        self.gathered = 0;
    }
}

#[cfg(test)]
mod tests;
