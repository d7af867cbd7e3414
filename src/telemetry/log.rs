//! The program's own log: JSON lines on standard error. Standard output belongs to the decision log alone.

use std::io;
use std::panic;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::util::TryInitError;

/// Sends the program's log to standard error, from `level` on.
///
/// # Errors
/// [`TryInitError`] where the process already has a log.
pub fn init(level: LevelFilter) -> Result<(), TryInitError> {
    subscriber(level, io::stderr).try_init()
}

/// Libraries speak up from a warning on: their debug output quotes headers, and so secrets.
fn subscriber<W>(level: LevelFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target(env!("CARGO_CRATE_NAME"), level);
    let lines =
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(writer);
    registry().with(lines.with_filter(filter))
}

/// Says where a panic was, and not with what: its message may quote the input.
pub fn hide_panic_messages() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a defect: something panicked");
    }));
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;
    use std::sync::Mutex;

    use serde_json::Value as Json;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LevelFilter, act: impl FnOnce()) -> Vec<Json> {
        let lines = Lines::default();
        let writer = lines.clone();
        tracing::subscriber::with_default(subscriber(level, move || writer.clone()), act);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_is_one_json_object() {
        let lines = logged(LevelFilter::INFO, || tracing::info!(path = "a\nb\u{1b}[0m", "policy loaded"));
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["message"], "policy loaded");
        assert_eq!(lines[0]["path"], "a\nb\u{1b}[0m");
        assert_eq!(lines[0]["level"], "INFO");
    }

    #[test]
    fn k5_libraries_are_not_heard_below_a_warning() {
        let lines = logged(LevelFilter::TRACE, || {
            tracing::debug!(target: "h2::codec", "authorization: Bearer canary");
            tracing::warn!(target: "h2::codec", "connection reset");
            tracing::trace!("ours");
        });
        let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
        assert_eq!(messages, ["connection reset", "ours"]);
    }
}
