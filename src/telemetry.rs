//! What an operator sees from outside: metrics, the program's own log, and the trace a request belongs to.
//!
//! Part of the vocabulary: every layer may count and time, so nothing here knows a stage, a policy or a wire type.

pub mod log;
pub mod metrics;
pub mod timings;
pub mod trace;

pub use metrics::Metrics;
pub use metrics::worker::Answer;
pub use metrics::worker::WorkerMetrics;
pub use timings::Stage;
pub use timings::Stopwatch;
pub use timings::Timings;
pub use trace::TraceContext;
