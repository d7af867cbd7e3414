//! Keeps every issuer's keys fresh, off the check path.
//!
//! One task for each issuer loads its keys at once, again at every refresh interval, sooner after a failure, and when a
//! request meets a key it does not know. Every new snapshot is published, and only once that is done are those answered
//! who waited for it; what is published stays in force however long the next one fails, up to the issuer's `max_stale`.

mod source;
mod task;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::task::IssuerTask;
use self::task::Publisher;
use super::Config;
use super::IssuerConfig;
use super::IssuerIndex;
use super::KeySource;
use super::key_sets::KeySets;
use crate::clock::UnixTime;
use crate::decision::Denial;
use crate::decision::Reason;
use crate::fetch::FetchLimits;
use crate::problem::Problem;
use crate::telemetry::Metrics;

/// Requests that may wait for one issuer before others wait for a place among them.
const MAX_WAITING: usize = 1024;

/// What became of a wish for newer keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// Fetched, and published.
    Refreshed,
    /// Not fetched: the last fetch is younger than the issuer's cooldown.
    CoolingDown {
        /// Whether that fetch failed.
        last_failed: bool,
    },
    /// The fetch failed.
    Failed,
}

impl RefreshOutcome {
    /// The answer to a request whose key the newest snapshot, looked at after this outcome, still does not have.
    pub fn denial(self) -> Denial {
        match self {
            Self::Refreshed | Self::CoolingDown { last_failed: false } => {
                Denial::new(Reason::TokenKeyUnknown, "the issuer does not have the key that the token names")
            }
            Self::Failed | Self::CoolingDown { last_failed: true } => {
                Denial::new(Reason::TokenKeysUnavailable, "the issuer's keys could not be fetched")
            }
        }
    }
}

/// How one issuer's refresh fares, for readiness.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IssuerStatus {
    /// The issuer.
    pub issuer: String,
    /// When its keys were last fetched.
    pub loaded_at: Option<UnixTime>,
    /// Why the last fetch failed, if it did: a short text without secrets.
    pub last_error: Option<String>,
}

/// Asks for refreshes, from any thread and any runtime. The refreshing ends when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct RefreshHandle {
    /// `None` of an issuer without keys.
    links: Arc<[Option<Link>]>,
}

#[derive(Debug)]
struct Link {
    waiters: mpsc::Sender<Waiter>,
    status: watch::Receiver<IssuerStatus>,
}

/// Where one request waits for the outcome.
type Waiter = oneshot::Sender<RefreshOutcome>;

impl RefreshHandle {
    /// Waits for newer keys of `issuer`: at most one fetch in its cooldown, however many wait. Whatever the outcome, look
    /// at the newest snapshot again before giving up: another request may have brought it.
    pub async fn refresh(&self, issuer: IssuerIndex) -> RefreshOutcome {
        let Some(Some(link)) = self.links.get(issuer.0) else { return RefreshOutcome::Failed };
        let (waiter, outcome) = oneshot::channel();
        if link.waiters.send(waiter).await.is_err() {
            return RefreshOutcome::Failed;
        }
        outcome.await.unwrap_or(RefreshOutcome::Failed)
    }

    /// How the refresh of each issuer with keys fares, in the order of the configuration.
    pub fn status(&self) -> Vec<IssuerStatus> {
        self.links.iter().flatten().map(|link| link.status.borrow().clone()).collect()
    }
}

/// What tests turn down.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuning {
    pub(super) fetch: FetchLimits,
    pub(super) first_retry: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        // A server that is about to come up is met early; the wait doubles from here.
        Self { fetch: FetchLimits::default(), first_retry: Duration::from_secs(1) }
    }
}

/// The refreshing of what `keys` begins with: a handle to ask it, and the work itself, to be spawned. `publish` is called
/// with each new snapshot, one at a time, and must have put it in force when its future ends. Snapshots of equal epoch
/// hold the same keys, fetched later.
pub fn keep_fresh<P, F>(
    keys: Arc<KeySets>,
    metrics: &Arc<Metrics>,
    publish: P,
) -> (RefreshHandle, impl Future<Output = ()> + Send + use<P, F>)
where
    P: Fn(Arc<KeySets>) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    keep_fresh_tuned(keys, metrics, publish, Tuning::default())
}

pub(super) fn keep_fresh_tuned<P, F>(
    keys: Arc<KeySets>,
    metrics: &Arc<Metrics>,
    publish: P,
    tuning: Tuning,
) -> (RefreshHandle, impl Future<Output = ()> + Send + use<P, F>)
where
    P: Fn(Arc<KeySets>) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let config = Arc::clone(keys.config());
    let publisher = Arc::new(Publisher::new(keys, publish));
    let (mut links, mut tasks) = (Vec::new(), Vec::new());
    for (position, issuer) in config.issuers.iter().enumerate() {
        if issuer.keys == KeySource::Nowhere {
            links.push(None);
            continue;
        }
        let (waiters, waiting) = mpsc::channel(MAX_WAITING);
        let (status, seen) = watch::channel(IssuerStatus { issuer: issuer.issuer.clone(), ..IssuerStatus::default() });
        links.push(Some(Link { waiters, status: seen }));
        tasks.push(IssuerTask {
            index: IssuerIndex(position),
            issuer: issuer.clone(),
            waiting,
            publisher: Arc::clone(&publisher),
            metrics: Arc::clone(metrics),
            status,
            tuning,
        });
    }
    (RefreshHandle { links: links.into() }, run_all(tasks))
}

async fn run_all<P, F>(tasks: Vec<IssuerTask<P>>)
where
    P: Fn(Arc<KeySets>) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut running: JoinSet<()> = tasks.into_iter().map(IssuerTask::run).collect();
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "an issuer's keys are no longer refreshed");
        }
    }
}

/// Loads every issuer's keys once, for a command that decides and ends. `now` is when they count as fetched.
pub async fn load_once(config: Arc<Config>, now: UnixTime) -> (KeySets, Vec<Problem>) {
    load_keys(KeySets::empty(config), |_, _| true, now).await
}

/// These keys with those of the issuers that `wanted` picks loaded anew, all at the same time; it is told of each whether
/// its keys may still be used. Where a load fails the keys stay as they are, and a problem says so.
pub async fn load_keys(
    mut keys: KeySets,
    wanted: impl Fn(&IssuerConfig, bool) -> bool,
    now: UnixTime,
) -> (KeySets, Vec<Problem>) {
    let config = Arc::clone(keys.config());
    let usable = keys.issuers(now).map(|issuer| issuer.usable);
    let issuers = config.issuers.iter().enumerate().filter(|(_, issuer)| issuer.keys != KeySource::Nowhere);
    let loading = issuers
        .zip(usable)
        .filter(|((_, issuer), usable)| wanted(issuer, *usable))
        .map(|((position, issuer), _)| async move { (position, source::load(issuer, FetchLimits::default()).await) });
    let loaded = join_all(loading).await;
    let mut problems = Vec::new();
    for (position, loaded) in loaded {
        let path = format!("issuers[{position}].keys");
        match loaded {
            Ok(loaded) => {
                problems.extend(loaded.warnings().iter().map(|warning| Problem::warning(&path, warning)));
                keys = keys.with(IssuerIndex(position), loaded, now);
            }
            Err(error) => problems.push(Problem::error(&path, error.to_string())),
        }
    }
    (keys, problems)
}

/// Why an issuer's keys cannot be loaded; `None` where they can.
#[cfg(test)]
pub(super) async fn source_error(issuer: &IssuerConfig, limits: FetchLimits) -> Option<String> {
    source::load(issuer, limits).await.err().map(|error| error.to_string())
}

/// What is wrong with the key files and root certificates that a configuration names. Nothing is fetched.
pub async fn check_files(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (position, issuer) in config.issuers.iter().enumerate() {
        let path = format!("issuers[{position}].keys");
        match source::load_files(issuer, FetchLimits::default()).await {
            Err(error) => problems.push(Problem::error(&path, error.to_string())),
            Ok(None) => {}
            Ok(Some(keys)) => {
                problems.extend(keys.warnings().iter().map(|warning| Problem::warning(&path, warning)));
                if keys.usable() == 0 {
                    let hint = "every token of this issuer would be denied; see `issuers[].algorithms`";
                    problems.push(Problem::error(&path, "the file has no key that could be used").hint(hint));
                }
            }
        }
    }
    problems
}
