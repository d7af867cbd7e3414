//! Room for the records that wait for the writer: bounded in number and in memory.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// How much memory waiting records may hold, by the length of their messages without bodies. An ordinary message has
/// 2 KiB, so the queue's length is the limit; this one holds when a client sends the largest headers Envoy takes.
pub(super) const MAX_BYTES: usize = 64 << 20;

/// What a record weighs beside its message: itself and its findings.
pub(super) const RECORD_BYTES: usize = 2048;

/// How much of the queue is taken, and whether its output fails.
#[derive(Debug)]
pub(super) struct Room {
    max_records: usize,
    records: AtomicUsize,
    bytes: AtomicUsize,
    failing: AtomicBool,
}

/// Room for one record, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    room: Arc<Room>,
    bytes: usize,
}

impl Room {
    pub(super) fn new(max_records: NonZeroUsize) -> Arc<Self> {
        let (records, bytes, failing) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { max_records: max_records.get(), records, bytes, failing })
    }

    /// Takes room for a record whose message has this many bytes; `None` where there is none.
    pub(super) fn take(self: &Arc<Self>, message_bytes: usize) -> Option<Place> {
        let bytes = message_bytes.saturating_add(RECORD_BYTES);
        let records_before = self.records.fetch_add(1, Ordering::Relaxed);
        let bytes_before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let place = Place { room: Arc::clone(self), bytes };
        let fits = records_before < self.max_records && bytes_before.saturating_add(bytes) <= MAX_BYTES;
        fits.then_some(place)
    }

    /// Whether the last write failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Says how the last write went, and gives what was said before.
    pub(super) fn set_failing(&self, failing: bool) -> bool {
        self.failing.swap(failing, Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl Place {
    /// Gives back what a record's message turned out not to need.
    pub(super) fn shrink_to(&mut self, message_bytes: usize) {
        let spare = self.bytes.saturating_sub(message_bytes.saturating_add(RECORD_BYTES));
        self.bytes = self.bytes.saturating_sub(spare);
        self.room.bytes.fetch_sub(spare, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.records.fetch_sub(1, Ordering::Relaxed);
        self.room.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
