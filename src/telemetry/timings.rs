//! How long each step of one check took.

use std::time::Duration;
use std::time::Instant;

/// A step of the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Bytes to attributes.
    Decode,
    /// The calling workload.
    Identity,
    /// The user's token.
    Token,
    /// Path, query and body.
    Input,
    /// The policy.
    Policy,
    /// The answer to bytes.
    Encode,
}

impl Stage {
    /// All of them, in order.
    pub const ALL: [Self; 6] = [Self::Decode, Self::Identity, Self::Token, Self::Input, Self::Policy, Self::Encode];

    /// The name in the log and in metric labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Identity => "identity",
            Self::Token => "token",
            Self::Input => "input",
            Self::Policy => "policy",
            Self::Encode => "encode",
        }
    }

    #[expect(clippy::as_conversions, reason = "a variant without fields, numbered from zero in order")]
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// The durations of one check, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// By stage; zero: not reached.
    stages: [u64; Stage::ALL.len()],
    total: u64,
}

impl Timings {
    /// Notes a stage's duration; a stage run twice (the request started again on newer keys) counts both.
    pub fn add(&mut self, stage: Stage, duration: Duration) {
        if let Some(nanos) = self.stages.get_mut(stage.index()) {
            // A stage that was reached is at least a nanosecond, so that zero stays "not reached".
            *nanos = nanos.saturating_add(nanoseconds(duration).max(1));
        }
    }

    /// Notes the duration of the whole check.
    pub fn set_total(&mut self, duration: Duration) {
        self.total = nanoseconds(duration);
    }

    /// A stage's nanoseconds; `None` where the check ended before it.
    pub fn stage(&self, stage: Stage) -> Option<u64> {
        self.stages.get(stage.index()).copied().filter(|nanos| *nanos > 0)
    }

    /// The stages reached, with their nanoseconds.
    pub fn stages(&self) -> impl Iterator<Item = (Stage, u64)> {
        Stage::ALL.into_iter().zip(self.stages).filter(|(_, nanos)| *nanos > 0)
    }

    /// Nanoseconds from the first byte looked at to the end.
    pub const fn total(&self) -> u64 {
        self.total
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Times the stages of one check as they follow each other.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    started: Instant,
    lap_began: Instant,
    timings: Timings,
}

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Self {
        let now = Instant::now();
        Self { started: now, lap_began: now, timings: Timings::default() }
    }

    /// Counts the time since the last lap as this stage's.
    pub fn lap(&mut self, stage: Stage) {
        let now = Instant::now();
        self.timings.add(stage, now.saturating_duration_since(self.lap_began));
        self.lap_began = now;
    }

    /// Leaves out the time since the last lap: the check waited, it did not work.
    pub fn skip(&mut self) {
        self.lap_began = Instant::now();
    }

    /// The laps, and the time since the start as the total.
    pub fn stop(&self) -> Timings {
        let mut timings = self.timings;
        timings.set_total(self.started.elapsed());
        timings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_finds_its_stage() {
        assert!(Stage::ALL.into_iter().enumerate().all(|(index, stage)| stage.index() == index));
    }

    #[test]
    fn laps_follow_each_other_within_the_total() {
        let mut stopwatch = Stopwatch::start();
        stopwatch.lap(Stage::Decode);
        stopwatch.lap(Stage::Policy);
        stopwatch.lap(Stage::Policy);
        let timings = stopwatch.stop();
        let stages: Vec<_> = timings.stages().map(|(stage, _)| stage).collect();
        assert_eq!(stages, [Stage::Decode, Stage::Policy]);
        assert!(timings.stage(Stage::Policy) >= Some(2));
        assert_eq!(timings.stage(Stage::Token), None);
        assert!(timings.total() > 0);
    }

    #[test]
    fn a_century_does_not_overflow() {
        let mut timings = Timings::default();
        timings.add(Stage::Input, Duration::MAX);
        timings.add(Stage::Input, Duration::MAX);
        assert_eq!(timings.stage(Stage::Input), Some(u64::MAX));
    }
}
