//! Answers that are kept: the good, and apart from them the others, so that inventing tokens drives no good one out.

use std::sync::Arc;
use std::time::Duration;

use quick_cache::Weighter;
use quick_cache::unsync::Cache;
use tokio::time::Instant;

use super::Answer;
use crate::clock::UnixTime;
use crate::telemetry::metrics::Introspection;
use crate::token::cache::MIN_ENTRY_BYTES;
use crate::token::cache::object_bytes;

/// Good answers that are kept of one issuer: some ten thousand usual ones.
const MAX_ACTIVE: usize = 16_384;
/// And what they may weigh together.
const MAX_ACTIVE_BYTES: u64 = 16 * 1024 * 1024;
/// Tokens known to be good for nothing: a hash and a time each.
const MAX_INACTIVE: usize = 16_384;
/// How long at most they are known as such. An issuer of several servers may not know at once everywhere of a token that it
/// has just given out.
const INACTIVE_FOR: Duration = Duration::from_secs(5);

/// SHA-256 of a token: what is kept is found by it, so that no token is.
pub(super) type TokenHash = [u8; 32];

/// What an issuer has answered of late.
pub(super) struct KeptAnswers {
    cache: Duration,
    active: Cache<TokenHash, Kept, Weight>,
    inactive: Cache<TokenHash, Kept>,
}

/// An answer, and when it was asked for.
#[derive(Clone)]
struct Kept {
    answer: Arc<Answer>,
    since: Instant,
}

#[derive(Clone)]
struct Weight;

impl Weighter<TokenHash, Kept> for Weight {
    fn weight(&self, _hash: &TokenHash, kept: &Kept) -> u64 {
        kept.answer.claims.as_ref().map_or(0, object_bytes).max(MIN_ENTRY_BYTES)
    }
}

impl KeptAnswers {
    /// Nothing; a good answer will hold for `cache`.
    pub(super) fn new(cache: Duration) -> Self {
        let active = Cache::with_weighter(MAX_ACTIVE, MAX_ACTIVE_BYTES, Weight);
        Self { cache, active, inactive: Cache::new(MAX_INACTIVE) }
    }

    /// The answer about a token that still holds.
    pub(super) fn get(&self, hash: &TokenHash) -> Option<Arc<Answer>> {
        let (kept, holds_for) = match self.active.get(hash) {
            Some(kept) => (kept, self.cache),
            None => (self.inactive.get(hash)?, self.cache.min(INACTIVE_FOR)),
        };
        // By both clocks: the one stands still while the machine sleeps, and the other may be set.
        let (at, now) = (kept.answer.at, UnixTime::now());
        let is_fresh = kept.since.elapsed() < holds_for && at <= now && now.since(at) < holds_for;
        is_fresh.then(|| Arc::clone(&kept.answer))
    }

    /// Keeps an answer that was asked for at `since`, and says which kind it is of.
    pub(super) fn insert(&mut self, hash: TokenHash, answer: Arc<Answer>, since: Instant) -> Introspection {
        let is_active = answer.claims.is_some();
        let kept = Kept { answer, since };
        if is_active {
            self.active.insert(hash, kept);
            Introspection::Active
        } else {
            drop(self.active.remove(&hash));
            self.inactive.insert(hash, kept);
            Introspection::Inactive
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    const HASH: TokenHash = [0; 32];

    /// Whether an answer that was asked for so many seconds ago, by the wall clock alone, still holds.
    fn holds(is_active: bool, cache: u64, ago: i64) -> bool {
        let mut kept = KeptAnswers::new(Duration::from_secs(cache));
        let (at, claims) = (UnixTime::now().plus_seconds(0_i64.saturating_sub(ago)), is_active.then(Map::new));
        kept.insert(HASH, Arc::new(Answer { issuer: "i".to_owned(), at, claims }), Instant::now());
        kept.get(&HASH).is_some()
    }

    #[test]
    fn k2_an_answer_does_not_outlast_a_machine_that_slept() {
        for (ago, expected) in [(0, true), (20, true), (31, false), (-60, false)] {
            assert_eq!(holds(true, 30, ago), expected, "{ago}");
        }
    }

    #[test]
    fn k1_an_inactive_token_is_known_as_such_for_a_short_time_alone() {
        for (cache, ago, expected) in [(900, 0, true), (900, 3, true), (900, 6, false), (1, 2, false), (0, 0, false)] {
            assert_eq!(holds(false, cache, ago), expected, "{cache} {ago}");
        }
    }

    #[test]
    fn k2_a_token_that_is_inactive_now_is_so_whatever_was_said_before() {
        let mut kept = KeptAnswers::new(Duration::from_secs(30));
        for claims in [Some(Map::new()), None] {
            let answer = Arc::new(Answer { issuer: "i".to_owned(), at: UnixTime::now(), claims });
            kept.insert(HASH, Arc::clone(&answer), Instant::now());
            assert_eq!(kept.get(&HASH), Some(answer));
        }
    }
}
