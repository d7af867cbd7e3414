//! The decision log: what is recorded.

/// What is recorded.
#[derive(Debug, Clone)]
pub struct Config {
    /// Whether decisions are recorded.
    pub enabled: bool,
    /// Whether a record has the input document.
    pub include_input: bool,
    /// JSON pointers to what is masked beyond the built-in list.
    pub mask: Vec<String>,
    /// Records that may wait for the writer.
    pub queue: usize,
}
