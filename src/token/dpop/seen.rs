//! Which proofs were seen: one memory for the process, in shards, so that workers seldom meet (RFC 9449 §11.1).
//!
//! A full shard refuses rather than forgets. Forgetting would let whoever can send many proofs make one of somebody else's
//! good for a second time; refusing is seen, and passes within a proof's life.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::PoisonError;

use aws_lc_rs::rand::SecureRandom as _;
use aws_lc_rs::rand::SystemRandom;

use crate::clock::UnixTime;
use crate::jose;

/// Locks: some times as many as a machine has workers, so that two seldom want the same.
const SHARDS: usize = 64;
/// Proofs in a shard: a million in all, which is 15,000 requests a second at the default `max_age`, in some 80 MB.
const MAX_IN_SHARD: usize = 1 << 14;

/// Half a SHA-256: that two proofs meet by chance needs 2^64 of them, and that is a refusal.
type Name = [u8; 16];

/// Every proof that is still good.
pub(super) struct Seen {
    shards: Vec<Mutex<Shard>>,
    /// Which shard a proof falls into is nobody's to choose, or one client could fill that of another.
    salt: [u8; 32],
}

#[derive(Default)]
struct Shard {
    names: HashSet<Name>,
    ends: BinaryHeap<Reverse<(UnixTime, Name)>>,
}

/// What became of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remembered {
    /// It is new, and known from now on.
    Now,
    /// It was known.
    Before,
    /// There is no room for it.
    Full,
}

impl Seen {
    pub(super) fn new() -> Self {
        let mut salt = [0; 32];
        // Without randomness there is no signature either; names are then no worse than a plain hash.
        let _no_randomness = SystemRandom::new().fill(&mut salt);
        Self { shards: (0..SHARDS).map(|_shard| Mutex::default()).collect(), salt }
    }

    /// Remembers a proof by its key and `jti`, through the second `until`.
    pub(super) fn remember(&self, key: &[u8; 32], id: &str, until: UnixTime, now: UnixTime) -> Remembered {
        let hash = jose::sha256(&[self.salt.as_slice(), key, id.as_bytes()].concat());
        let Some((name, rest)) = hash.split_first_chunk::<16>() else { return Remembered::Full };
        let place = rest.first().map_or(0, |byte| usize::from(*byte)) % SHARDS;
        let Some(shard) = self.shards.get(place) else { return Remembered::Full };
        // What a panic left is a set and its ends all the same.
        shard.lock().unwrap_or_else(PoisonError::into_inner).remember(*name, until, now)
    }
}

impl Shard {
    fn remember(&mut self, name: Name, until: UnixTime, now: UnixTime) -> Remembered {
        while self.ends.peek().is_some_and(|Reverse((end, _))| *end < now) {
            if let Some(Reverse((_, name))) = self.ends.pop() {
                self.names.remove(&name);
            }
        }
        if self.names.contains(&name) {
            return Remembered::Before;
        }
        if self.names.len() >= MAX_IN_SHARD {
            return Remembered::Full;
        }
        self.ends.push(Reverse((until, name)));
        self.names.insert(name);
        Remembered::Now
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;
    use std::thread;

    use super::*;

    const KEY: [u8; 32] = [1; 32];
    const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);
    const UNTIL: UnixTime = NOW.plus_seconds(60);

    #[test]
    fn l17_a_proof_is_known_as_long_as_it_is_good_and_no_longer() {
        let seen = Seen::new();
        let other = [2; 32];
        assert_eq!(seen.remember(&KEY, "a", UNTIL, NOW), Remembered::Now);
        assert_eq!(seen.remember(&KEY, "a", UNTIL, NOW), Remembered::Before);
        assert_eq!(seen.remember(&KEY, "b", UNTIL, NOW), Remembered::Now);
        assert_eq!(seen.remember(&other, "a", UNTIL, NOW), Remembered::Now);
        assert_eq!(seen.remember(&KEY, "a", UNTIL, UNTIL), Remembered::Before);
        assert_eq!(seen.remember(&KEY, "a", UNTIL.plus_seconds(60), UNTIL.plus_seconds(1)), Remembered::Now);
    }

    #[test]
    fn l17_a_full_memory_refuses_and_forgets_nothing() {
        let mut shard = Shard::default();
        let name = |number: usize| u128::try_from(number).unwrap().to_be_bytes();
        for number in 0..MAX_IN_SHARD {
            assert_eq!(shard.remember(name(number), UNTIL, NOW), Remembered::Now);
        }
        assert_eq!(shard.remember(name(MAX_IN_SHARD), UNTIL, NOW), Remembered::Full);
        assert_eq!(shard.remember(name(0), UNTIL, NOW), Remembered::Before);
        assert_eq!(shard.remember(name(0), UNTIL.plus_seconds(60), UNTIL.plus_seconds(1)), Remembered::Now);
        assert_eq!((shard.names.len(), shard.ends.len()), (1, 1));
    }

    #[test]
    fn l17_of_many_workers_one_sees_a_proof_first() {
        let seen = Seen::new();
        let first = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _worker in 0..8 {
                scope.spawn(|| {
                    let is_new = |number: &i32| seen.remember(&KEY, &number.to_string(), UNTIL, NOW) == Remembered::Now;
                    first.fetch_add((0..200).filter(is_new).count(), Ordering::Relaxed);
                });
            }
        });
        assert_eq!(first.into_inner(), 200);
    }
}
