//! A histogram that costs a request two uncontended additions.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How many bounds a histogram has, beside the last bucket without one.
pub(super) const BOUNDS: usize = 16;

/// Upper bounds of the buckets, in nanoseconds, inclusive.
pub(super) type Bounds = [u64; BOUNDS];

/// Durations by bucket, and their sum.
#[derive(Debug)]
pub(super) struct Histogram {
    bounds: &'static Bounds,
    buckets: [AtomicU64; BOUNDS],
    beyond: AtomicU64,
    sum: AtomicU64,
}

/// What histograms with the same bounds hold together.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    /// Upper bound in seconds, and how many lie in that bucket alone.
    pub(super) buckets: Vec<(f64, u64)>,
    /// How many there are.
    pub(super) count: u64,
    /// Their sum in seconds.
    pub(super) sum: f64,
}

impl Histogram {
    pub(super) const fn new(bounds: &'static Bounds) -> Self {
        Self {
            bounds,
            buckets: [const { AtomicU64::new(0) }; BOUNDS],
            beyond: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    pub(super) fn observe(&self, nanos: u64) {
        let bucket = self.bounds.partition_point(|bound| *bound < nanos);
        self.buckets.get(bucket).unwrap_or(&self.beyond).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Adds the histograms of all workers together.
    pub(super) fn snapshot<'a>(bounds: &Bounds, parts: impl Iterator<Item = &'a Self>) -> Snapshot {
        let mut counts = [0_u64; BOUNDS];
        let (mut beyond, mut sum) = (0_u64, 0_u64);
        for part in parts {
            for (count, bucket) in counts.iter_mut().zip(&part.buckets) {
                *count = count.saturating_add(bucket.load(Ordering::Relaxed));
            }
            beyond = beyond.saturating_add(part.beyond.load(Ordering::Relaxed));
            sum = sum.saturating_add(part.sum.load(Ordering::Relaxed));
        }
        let bounds = bounds.iter().map(|bound| seconds(*bound)).chain([f64::INFINITY]);
        let counts = counts.into_iter().chain([beyond]);
        // The count is the buckets' own sum, so that a scrape amid an observation never contradicts itself.
        let count = counts.clone().fold(0, u64::saturating_add);
        Snapshot { buckets: bounds.zip(counts).collect(), count, sum: seconds(sum) }
    }
}

fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENS: Bounds = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 150, 160];

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let (one, other) = (Histogram::new(&TENS), Histogram::new(&TENS));
        for nanos in [0, 10, 11, 160] {
            one.observe(nanos);
        }
        other.observe(161);
        other.observe(u64::MAX / 2);
        let Snapshot { buckets, count, sum } = Histogram::snapshot(&TENS, [&one, &other].into_iter());
        let counts: Vec<_> = buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(count, 6);
        assert!(sum > 9e9);
        assert_eq!(buckets.last().map(|(bound, _)| *bound), Some(f64::INFINITY));
    }
}
