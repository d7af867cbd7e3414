//! What every request counts: one set of counters for each worker, summed when somebody asks.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::MetricEncoder;
use prometheus_client::encoding::NoLabelSet;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::histogram::Bounds;
use super::histogram::Histogram;
use super::histogram::Snapshot;
use crate::decision::Reason;
use crate::decision::reason::ALLOWED;
use crate::decision::reason::ANSWERED;
use crate::telemetry::Stage;
use crate::telemetry::Timings;

/// 10 µs to 1 s, in nanoseconds. A check with a small policy takes tens of microseconds; Envoy gives up after 200 ms by
/// default. Steps of 1, 2.5 and 5 keep an interpolated quantile within a factor of 2.5.
const CHECK_BOUNDS: Bounds = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
];

/// 1 µs to 100 ms, in nanoseconds: all stages but the policy take a few microseconds, and the policy's time limit is
/// 20 ms by default, which is a bound of its own.
const STAGE_BOUNDS: Bounds = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
];

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Allowed.
    Allow,
    /// Denied, and why.
    Deny(Reason),
    /// Answered from here, with a document.
    Document,
    /// Nobody waited for the answer any more.
    Cancelled,
}

impl Answer {
    /// The decision, as the log and the metrics name it.
    pub const fn decision(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny(_) => "deny",
            Self::Document => "answer",
            Self::Cancelled => "none",
        }
    }

    /// The reason, as the log and the metrics name it.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Allow => ALLOWED,
            Self::Deny(reason) => reason.name(),
            Self::Document => ANSWERED,
            Self::Cancelled => "cancelled",
        }
    }
}

/// Counts the checks of one worker: no lock, no allocation, no sharing.
#[derive(Debug, Clone)]
pub struct WorkerMetrics(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    allowed: AtomicU64,
    documents: AtomicU64,
    cancelled: AtomicU64,
    /// By [`Reason::index`].
    denied: [AtomicU64; Reason::ALL.len()],
    checks: Histogram,
    /// In the order of [`Stage::ALL`].
    stages: [Histogram; Stage::ALL.len()],
}

impl WorkerMetrics {
    /// Counts one check.
    pub fn observe(&self, answer: Answer, timings: &Timings) {
        let counts = &*self.0;
        let counter = match answer {
            Answer::Allow => Some(&counts.allowed),
            Answer::Deny(reason) => counts.denied.get(reason.index()),
            Answer::Document => Some(&counts.documents),
            Answer::Cancelled => Some(&counts.cancelled),
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        counts.checks.observe(timings.total());
        for (stage, nanos) in timings.stages() {
            if let Some(histogram) = counts.stages.get(stage.index()) {
                histogram.observe(nanos);
            }
        }
    }
}

/// The counts of all workers.
#[derive(Debug, Default)]
pub(super) struct Workers(Mutex<Vec<Arc<Counts>>>);

impl Workers {
    pub(super) fn add(&self) -> WorkerMetrics {
        let counts = Arc::new(Counts {
            allowed: AtomicU64::new(0),
            documents: AtomicU64::new(0),
            cancelled: AtomicU64::new(0),
            denied: [const { AtomicU64::new(0) }; Reason::ALL.len()],
            checks: Histogram::new(&CHECK_BOUNDS),
            stages: [const { Histogram::new(&STAGE_BOUNDS) }; Stage::ALL.len()],
        });
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counts));
        WorkerMetrics(counts)
    }

    fn all(&self) -> Vec<Arc<Counts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Collector for Workers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let workers = self.all();
        let help = "Checks answered, by decision and reason.";
        encode_checks(&workers, encoder.encode_descriptor("checks", help, None, MetricType::Counter)?)?;

        let help = "Time from the request's first byte looked at to its answer.";
        let checks = Histogram::snapshot(&CHECK_BOUNDS, workers.iter().map(|counts| &counts.checks));
        checks.encode(encoder.encode_descriptor(
            "check_duration",
            help,
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?)?;

        let help = "Time in each stage of a check, where the check reached it.";
        let mut family =
            encoder.encode_descriptor("stage_duration", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for stage in Stage::ALL {
            let parts = workers.iter().filter_map(|counts| counts.stages.get(stage.index()));
            Histogram::snapshot(&STAGE_BOUNDS, parts).encode(family.encode_family(&[("stage", stage.name())])?)?;
        }
        Ok(())
    }
}

/// Every series there can be, also those at zero: a rate over a counter that appears with its first event misses it.
fn encode_checks(workers: &[Arc<Counts>], mut family: MetricEncoder<'_>) -> Result<(), fmt::Error> {
    let mut encode = |answer: Answer, count: u64| {
        let labels = [("decision", answer.decision()), ("reason", answer.reason())];
        family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)
    };
    encode(Answer::Allow, total(workers.iter().map(|counts| &counts.allowed)))?;
    for reason in Reason::ALL {
        let counters = workers.iter().filter_map(|counts| counts.denied.get(reason.index()));
        encode(Answer::Deny(*reason), total(counters))?;
    }
    encode(Answer::Document, total(workers.iter().map(|counts| &counts.documents)))?;
    encode(Answer::Cancelled, total(workers.iter().map(|counts| &counts.cancelled)))
}

fn total<'a>(counters: impl Iterator<Item = &'a AtomicU64>) -> u64 {
    counters.fold(0, |sum, counter| sum.saturating_add(counter.load(Ordering::Relaxed)))
}

impl Snapshot {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        encoder.encode_histogram::<NoLabelSet>(self.sum, self.count, &self.buckets, None)
    }
}
