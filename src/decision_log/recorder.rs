//! Exactly one record, and one count, for each request.

use std::mem;
use std::sync::Arc;

use uuid::Uuid;

use super::Outcome;
use super::Record;
use super::Sink;
use super::Unrecorded;
use super::room::Place;
use crate::clock::UnixTime;
use crate::telemetry::Stopwatch;
use crate::telemetry::WorkerMetrics;

/// One worker's way to record its checks.
#[derive(Debug, Clone)]
pub struct Recorder(Arc<Ends>);

/// Where a record ends: as a line, and as a count.
#[derive(Debug)]
struct Ends {
    sink: Option<Sink>,
    metrics: WorkerMetrics,
}

impl Recorder {
    /// Counts in `metrics`, and sends records to `sink` where the log is on.
    pub fn new(sink: Option<Sink>, metrics: WorkerMetrics) -> Self {
        Self(Arc::new(Ends { sink, metrics }))
    }

    /// Opens the record of a request that has just arrived.
    pub fn open(&self, decision_id: Uuid, timestamp: UnixTime) -> Guard {
        let record = Record::new(decision_id, timestamp);
        Guard { recorder: self.clone(), record, stopwatch: Stopwatch::start(), place: None }
    }
}

/// The record of a request under way. Dropping it is what sends it, so that no way out of the check forgets to.
#[derive(Debug)]
#[must_use = "dropped unfinished, it records a cancelled request"]
pub struct Guard {
    recorder: Recorder,
    /// What is known so far.
    pub record: Record,
    /// Runs since the request arrived.
    pub stopwatch: Stopwatch,
    place: Option<Place>,
}

impl Guard {
    /// Makes sure that the record can be kept, where it must be.
    ///
    /// # Errors
    /// [`Unrecorded`] where it would be lost: the check must be refused then.
    pub fn reserve(&mut self, message_bytes: usize) -> Result<(), Unrecorded> {
        if let Some(sink) = &self.recorder.0.sink {
            self.place = sink.reserve(message_bytes)?;
        }
        Ok(())
    }

    /// Gives the room back, for as long as the check stands still: whoever waits must not keep others from being checked.
    pub fn give_back(&mut self) {
        self.place = None;
    }

    /// Ends the record.
    pub fn finish(mut self, outcome: Outcome) {
        self.record.outcome = outcome;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut record = mem::take(&mut self.record);
        record.timings = self.stopwatch.stop();
        let Ends { sink, metrics } = &*self.recorder.0;
        metrics.observe(record.outcome.answer(), &record.timings);
        if let Some(sink) = sink {
            sink.send(record, self.place.take());
        }
    }
}
