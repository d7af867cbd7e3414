//! One issuer's refreshing: when to fetch, whom to tell.

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::time::Instant;

use super::IssuerStatus;
use super::RefreshOutcome;
use super::Tuning;
use super::Waiter;
use super::source;
use crate::clock::UnixTime;
use crate::fetch::Backoff;
use crate::fetch::jittered;
use crate::jose::KeySet;
use crate::telemetry::Metrics;
use crate::telemetry::metrics;
use crate::token::IssuerConfig;
use crate::token::IssuerIndex;
use crate::token::KeySets;

/// A server that stays away is asked once a minute, or at the refresh interval where that is shorter.
const MAX_RETRY: Duration = Duration::from_mins(1);

/// The newest snapshot, and how it comes into force.
pub(super) struct Publisher<P> {
    newest: Mutex<Arc<KeySets>>,
    publish: P,
}

/// All that refreshes one issuer.
pub(super) struct IssuerTask<P> {
    pub(super) index: IssuerIndex,
    pub(super) issuer: IssuerConfig,
    pub(super) waiting: mpsc::Receiver<Waiter>,
    pub(super) publisher: Arc<Publisher<P>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) status: watch::Sender<IssuerStatus>,
    pub(super) tuning: Tuning,
}

/// The last fetch.
struct Attempt {
    ended: Instant,
    /// How many have failed in a row, this one included.
    failures: u32,
}

impl<P, F> Publisher<P>
where
    P: Fn(Arc<KeySets>) -> F,
    F: Future<Output = ()>,
{
    pub(super) fn new(keys: Arc<KeySets>, publish: P) -> Self {
        Self { newest: Mutex::new(keys), publish }
    }

    /// Puts one issuer's keys in force, and returns whether they differ from those before.
    async fn publish(&self, issuer: IssuerIndex, keys: KeySet) -> bool {
        // Held to the end, so that snapshots come into force in the order they were made in.
        let mut newest = self.newest.lock().await;
        let next = Arc::new(newest.with(issuer, keys, UnixTime::now()));
        let changed = next.epoch() != newest.epoch();
        *newest = Arc::clone(&next);
        (self.publish)(next).await;
        changed
    }
}

impl<P, F> IssuerTask<P>
where
    P: Fn(Arc<KeySets>) -> F,
    F: Future<Output = ()>,
{
    /// Runs until nobody can ask any more.
    pub(super) async fn run(mut self) {
        let mut last = self.attempt(None, 0).await;
        loop {
            let asked = tokio::select! {
                () = tokio::time::sleep_until(self.next_attempt(&last)) => None,
                waiter = self.waiting.recv() => match waiter {
                    None => return,
                    waiter => waiter,
                },
            };
            match asked {
                Some(waiter) if last.ended.elapsed() < self.issuer.refresh_cooldown => {
                    answer(waiter, RefreshOutcome::CoolingDown { last_failed: last.failures > 0 });
                }
                asked => last = self.attempt(asked, last.failures).await,
            }
        }
    }

    /// Fetches once, and tells the outcome to whoever asked for it or came meanwhile.
    async fn attempt(&mut self, asked: Option<Waiter>, failures: u32) -> Attempt {
        let failed = self.fetch().await.is_err();
        let counted = if failed { metrics::Attempt::Failed } else { metrics::Attempt::Succeeded };
        self.metrics.keys_refreshed(&self.issuer.issuer, counted, UnixTime::now());
        let outcome = if failed { RefreshOutcome::Failed } else { RefreshOutcome::Refreshed };
        let meanwhile = iter::from_fn(|| self.waiting.try_recv().ok()).take(super::MAX_WAITING);
        for waiter in asked.into_iter().chain(meanwhile) {
            answer(waiter, outcome);
        }
        Attempt { ended: Instant::now(), failures: if failed { failures.saturating_add(1) } else { 0 } }
    }

    async fn fetch(&self) -> Result<(), source::LoadError> {
        let issuer = &*self.issuer.issuer;
        let keys = source::load(&self.issuer, self.tuning.fetch).await.inspect_err(|error| {
            tracing::warn!(issuer, %error, "the keys could not be fetched");
            self.status.send_modify(|status| status.last_error = Some(error.to_string()));
        })?;
        let (usable, warnings) = (keys.usable(), keys.warnings().to_vec());
        if self.publisher.publish(self.index, keys).await {
            tracing::info!(issuer, usable, "new keys are in force");
            for warning in warnings {
                tracing::warn!(issuer, %warning, "a key is not used");
            }
        }
        self.status.send_modify(|status| {
            status.loaded_at = Some(UnixTime::now());
            status.last_error = None;
        });
        Ok(())
    }

    fn next_attempt(&self, last: &Attempt) -> Instant {
        let interval = self.issuer.refresh_interval;
        let wait = match last.failures {
            0 => jittered(interval),
            failures => Backoff { first: self.tuning.first_retry, longest: MAX_RETRY.min(interval) }.wait(failures),
        };
        last.ended.checked_add(wait).unwrap_or(last.ended)
    }
}

/// Whoever has stopped waiting is not missed.
fn answer(waiter: Waiter, outcome: RefreshOutcome) {
    let _gone = waiter.send(outcome);
}
