//! When to say that there are no answers: not for every token over which an endpoint stumbles, or a client writes our log.

use std::time::Duration;

use tokio::time::Instant;

/// How long nothing more is said of the same cause.
const SAME: Duration = Duration::from_mins(1);
/// How long nothing is said of another.
const OTHER: Duration = Duration::from_secs(1);

/// What was said of one endpoint.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    /// The last cause, and when it was said.
    last: Option<(String, Instant)>,
    /// Whether it was said since the last answer.
    is_open: bool,
}

impl Complaints {
    /// Whether a failure is worth a word, which counts as said then.
    pub(super) fn is_new(&mut self, cause: &str, now: Instant) -> bool {
        let quiet = |(last, at): &(String, Instant)| now.duration_since(*at) < if last == cause { SAME } else { OTHER };
        if self.last.as_ref().is_some_and(quiet) {
            return false;
        }
        self.last = Some((cause.to_owned(), now));
        self.is_open = true;
        true
    }

    /// There is an answer: whether that is worth a word, as something else was said before.
    pub(super) fn are_over(&mut self) -> bool {
        std::mem::take(&mut self.is_open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j6_neither_one_cause_nor_several_in_turn_fill_the_log() {
        let (mut complaints, began) = (Complaints::default(), Instant::now());
        assert!(!complaints.are_over(), "nothing was said");
        for (millis, cause, is_new) in [
            (0, "500", true),
            (0, "500", false),
            (900, "html", false),
            (1000, "html", true),
            (1001, "500", false),
            (2000, "500", true),
            (61_999, "500", false),
            (62_000, "500", true),
        ] {
            let now = began.checked_add(Duration::from_millis(millis)).unwrap();
            assert_eq!(complaints.is_new(cause, now), is_new, "{millis} {cause}");
        }
        assert!(complaints.are_over());
        assert!(!complaints.are_over(), "said already");
        let soon = began.checked_add(Duration::from_millis(62_500)).unwrap();
        assert!(!complaints.is_new("500", soon) && !complaints.are_over(), "good and bad in turn say nothing");
    }
}
