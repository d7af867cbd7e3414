//! When to ask again, so that what is in trouble is not pressed.

use std::time::Duration;

use aws_lc_rs::rand;

/// Waits after attempts that failed: doubling from the first to the longest.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// After many.
    pub longest: Duration,
}

impl Backoff {
    /// How long to wait once `failures` attempts in a row have failed, [`jittered`].
    pub fn wait(self, failures: u32) -> Duration {
        let factor = 2_u32.checked_pow(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        jittered(self.first.saturating_mul(factor).min(self.longest))
    }
}

/// `wait`, a tenth more or less, so that instances started together do not ask together.
pub fn jittered(wait: Duration) -> Duration {
    let mut random = [0];
    if rand::fill(&mut random).is_err() {
        return wait;
    }
    let percent = random.into_iter().map(|byte: u8| u32::from(byte % 21).saturating_add(90)).sum();
    wait.checked_mul(percent).map_or(wait, |scaled| scaled.checked_div(100).unwrap_or(wait))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) };
        for (failures, seconds) in [(0, 1), (1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (7, 30), (u32::MAX, 30)] {
            let wait = backoff.wait(failures);
            let range = Duration::from_millis(seconds * 900)..=Duration::from_millis(seconds * 1100);
            assert!(range.contains(&wait), "{failures}: {wait:?}");
        }
    }

    #[test]
    fn waits_differ() {
        let waits: std::collections::BTreeSet<_> = (0..200).map(|_| jittered(Duration::from_secs(100))).collect();
        assert!(waits.len() > 5, "{waits:?}");
        assert_eq!(jittered(Duration::MAX), Duration::MAX);
    }
}
