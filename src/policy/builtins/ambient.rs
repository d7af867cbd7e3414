//! The functions that ask for more than the input: the time, chance, names never used before. They answer from the
//! decision, so that `--now` and a replay are exact.

use std::sync::Mutex;
use std::sync::PoisonError;

use aws_lc_rs::digest;
use regorus::Value;
use uuid::Builder;

use crate::clock::UnixTime;

/// What a decision brings along, and what a guard has refused during it. Shared by an engine and its functions;
/// never by two engines.
#[derive(Debug, Default)]
pub(in crate::policy) struct Ambient(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    now: UnixTime,
    seed: u128,
    refusal: Option<String>,
}

impl Ambient {
    /// Begins a decision.
    pub(in crate::policy) fn begin(&self, now: UnixTime, seed: u128) {
        *self.state() = State { now, seed, refusal: None };
    }

    /// Notes that a guard has refused a call. A refusal is final, whatever the rules make of it: the engine lets
    /// another definition of a function stand in for one that failed.
    pub(super) fn refuse(&self, refusal: &str) {
        self.state().refusal.get_or_insert_with(|| refusal.to_owned());
    }

    /// What a guard has refused during this decision.
    pub(in crate::policy) fn refusal(&self) -> Option<String> {
        self.state().refusal.take()
    }

    /// `time.now_ns()`.
    pub(super) fn now_ns(&self) -> Value {
        let nanos = self.state().now.nanoseconds();
        Value::from(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    /// `rand.intn(name, n)`: a number from 0 to n - 1, the same for the same name and n within a decision.
    pub(super) fn intn(&self, name: &str, n: i64) -> Value {
        let n = n.unsigned_abs();
        let drawn = u128::from_be_bytes(self.draw("rand.intn", &[name.as_bytes(), &n.to_be_bytes()]));
        Value::from(drawn.checked_rem(u128::from(n)).unwrap_or(0))
    }

    /// `uuid.rfc4122(name)`: version 4, the same for the same name within a decision.
    pub(super) fn uuid(&self, name: &str) -> Value {
        let bytes = self.draw("uuid.rfc4122", &[name.as_bytes()]);
        Value::from(Builder::from_random_bytes(bytes).into_uuid().to_string())
    }

    /// Sixteen bytes that only the decision's seed and these words determine.
    fn draw(&self, purpose: &str, words: &[&[u8]]) -> [u8; 16] {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(&self.state().seed.to_be_bytes());
        for word in [purpose.as_bytes()].iter().chain(words) {
            context.update(&word.len().to_be_bytes());
            context.update(word);
        }
        context.finish().as_ref().first_chunk().copied().unwrap_or_default()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
