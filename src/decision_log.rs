//! One record of every decision, on standard output, at no cost to the request.
//!
//! A worker's [`Recorder`] opens a [`Guard`] when a request arrives. The check moves what it finds into the guard's
//! [`Record`] and finishes it with an [`Outcome`]; a guard that is dropped unfinished leaves a record that says so.
//! The record goes into a bounded queue without waiting: where the queue is full it is dropped and counted, or, where
//! records are required, the check is refused before it begins. One thread
//! ([`sink`]) turns records into lines ([`event`], in the shape of OPA's decision log) and masks secrets ([`mask`]).

pub mod event;
pub mod mask;
pub mod record;
pub mod recorder;
mod room;
pub mod sink;
mod text;

pub use event::Format;
pub use mask::Mask;
pub use record::Outcome;
pub use record::Record;
pub use record::Revision;
pub use recorder::Guard;
pub use recorder::Recorder;
pub use sink::Sink;
pub use sink::Unrecorded;
pub use sink::Writer;

use std::num::NonZeroUsize;

/// What an operator sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Whether records are written at all. Metrics count either way.
    pub enabled: bool,
    /// Whether the input document stands in the record, masked.
    pub include_input: bool,
    /// JSON pointers to what is masked beside the built-in names; each one that [`Mask::parse`] takes.
    pub mask: Vec<String>,
    /// How many records may wait for the writer.
    pub queue: NonZeroUsize,
    /// Whether a check is refused whose record could not be kept.
    pub required: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { enabled: true, include_input: false, mask: Vec::new(), queue: DEFAULT_QUEUE, required: false }
    }
}

/// A tenth of a second of the fastest traffic that one machine checks, so that a hiccup of the output loses nothing.
const DEFAULT_QUEUE: NonZeroUsize = NonZeroUsize::MIN.saturating_add(8191);

#[cfg(test)]
mod fixture;
