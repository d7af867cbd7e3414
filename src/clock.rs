//! Time as a value: the check path is handed a [`UnixTime`] and never asks what time it is.

use std::fmt;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment as seconds and nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted (RFC 7519's NumericDate).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct UnixTime {
    seconds: i64,
    nanos: u32,
}

/// Nanoseconds in a second.
const NANOS_PER_SECOND: i128 = 1_000_000_000;

impl UnixTime {
    /// A moment of whole seconds.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { seconds, nanos: 0 }
    }

    /// What the machine's clock says. The one place that reads it; everything else takes the result as a value.
    #[expect(clippy::disallowed_methods, reason = "the one home of the wall clock")]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanos: since.subsec_nanos() }
    }

    /// Reads RFC 3339, as `--now` takes it.
    ///
    /// # Errors
    /// A message for a person when the text is no RFC 3339 date-time.
    pub fn parse_rfc3339(text: &str) -> Result<Self, String> {
        let moment = OffsetDateTime::parse(text, &Rfc3339)
            .map_err(|error| format!("`{text}` is not an RFC 3339 time such as 2026-01-31T12:00:00Z: {error}"))?;
        Ok(Self { seconds: moment.unix_timestamp(), nanos: moment.nanosecond() })
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds since the epoch, as Rego's `time.now_ns` counts.
    pub fn nanoseconds(self) -> i128 {
        i128::from(self.seconds).saturating_mul(NANOS_PER_SECOND).saturating_add(i128::from(self.nanos))
    }

    /// This moment moved by `seconds`, held at the ends of the range.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self { seconds: self.seconds.saturating_add(seconds), nanos: self.nanos }
    }

    /// How long ago `earlier` was; zero if it is in the future.
    pub fn since(self, earlier: Self) -> Duration {
        let nanos = self.nanoseconds().saturating_sub(earlier.nanoseconds()).max(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// RFC 3339 in UTC; a moment outside the years 0–9999 prints as its seconds.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(self.nanoseconds()).ok();
        match moment.and_then(|moment| moment.format(&Rfc3339).ok()) {
            Some(text) => f.write_str(&text),
            None => write!(f, "@{}", self.seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_rfc3339() {
        let moment = UnixTime::parse_rfc3339("2026-11-24T10:11:12.5Z").unwrap();
        assert_eq!(moment.seconds(), 1_795_515_072);
        assert_eq!(moment.to_string(), "2026-11-24T10:11:12.5Z");
        assert!(UnixTime::parse_rfc3339("yesterday").unwrap_err().contains("`yesterday`"));
    }

    #[test]
    fn the_past_is_never_negative() {
        let now = UnixTime::from_seconds(10);
        assert_eq!(now.since(UnixTime::from_seconds(7)), Duration::from_secs(3));
        assert_eq!(now.since(UnixTime::from_seconds(70)), Duration::ZERO);
    }

    #[test]
    fn the_far_ends_print() {
        assert_eq!(UnixTime::from_seconds(i64::MAX).to_string(), format!("@{}", i64::MAX));
    }
}
