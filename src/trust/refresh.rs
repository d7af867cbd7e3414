//! Keeps own identity and trust fresh, off the check path.
//!
//! One task for each place that the configuration names: the Workload API, the own certificate's files, and each trust
//! domain with files or an endpoint of its own. What they bring is joined in one [`Material`], published whenever it
//! differs from the one before. INVARIANT: trouble changes nothing. Whatever fails, what is held stays in force, and the
//! status, the log and the metrics say so; docs/spiffe.md says what that means for each place.

mod check;
mod endpoint;
mod files;
mod once;
mod status;
mod store;
mod workload_api;

#[cfg(test)]
mod tests;

pub use check::check_files;
pub use once::load_once;
pub use once::look_once;
pub use status::ConnectionStatus;
pub use status::SourceStatus;
pub use status::Status;
pub use status::StatusHandle;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use self::endpoint::EndpointTask;
use self::files::FilesTask;
use self::store::Store;
use self::workload_api::WorkloadApiTask;
use super::Config;
use super::Material;
use crate::fetch::Backoff;
use crate::fetch::FetchLimits;
use crate::telemetry::Metrics;

/// What tests turn down.
#[derive(Debug, Clone, Copy)]
struct Tuning {
    /// For files and endpoints.
    fetch: FetchLimits,
    /// How often files are looked at.
    poll: Duration,
    /// Between two fetches from an endpoint whose bundle has no refresh hint.
    interval: Duration,
    /// The shortest that a refresh hint makes it.
    shortest_interval: Duration,
    /// The longest.
    longest_interval: Duration,
    /// The first wait after a failure; it doubles from here.
    first_retry: Duration,
    agent: AgentTuning,
}

/// The same for the Workload API.
#[derive(Debug, Clone, Copy)]
struct AgentTuning {
    /// For the first message of a stream.
    answer: Duration,
    /// For reconnecting.
    backoff: Backoff,
    /// Until it is asked again after an answer that forbids to ask again.
    refused: Duration,
    /// Between two pings.
    ping: Duration,
    /// Until a ping must be answered.
    pong: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            fetch: FetchLimits::default(),
            // As configuration, policies and keys are looked at.
            poll: Duration::from_secs(1),
            // SPIFFE Federation §4.1 recommends five minutes.
            interval: Duration::from_mins(5),
            // A hint of a second would press the other side, and nothing there changes that fast.
            shortest_interval: Duration::from_secs(5),
            // Withdrawn authorities are believed until the next fetch, so a hint cannot put it off for days.
            longest_interval: Duration::from_hours(1),
            // What is about to come up is met early.
            first_retry: Duration::from_secs(1),
            agent: AgentTuning::default(),
        }
    }
}

impl Tuning {
    /// How long after a fetch the next one is, by the bundle's refresh hint.
    fn interval_by(&self, hint: Option<Duration>) -> Duration {
        hint.map_or(self.interval, |hint| hint.max(self.shortest_interval).min(self.longest_interval))
    }
}

impl Default for AgentTuning {
    fn default() -> Self {
        Self {
            // Workload API §4.3: the first message comes without delay. An agent under load takes seconds.
            answer: Duration::from_secs(10),
            // An agent is restarted within seconds, and is on this machine: asking is cheap.
            backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(30) },
            // Workload Endpoint §6: not to be retried. Once an hour presses nobody, and needs nobody to restart this
            // program once the agent is mended.
            refused: Duration::from_hours(1),
            // gRPC's Go server, which SPIRE's agent is, closes connections that ping more often than each five minutes.
            ping: Duration::from_secs(330),
            // An agent that lives answers at once, from the same machine.
            pong: Duration::from_secs(20),
        }
    }
}

/// Keeps `material` fresh from the places that `config` names: how that fares, and the work, to be spawned, which ends
/// never. `publish` is called with each new material, one at a time, and must have put it in force when its future ends.
/// What is only seen again as it was is not published. For another configuration drop the work, and begin with
/// [`Material::carried_over`].
pub fn keep_fresh<P, F>(
    config: Arc<Config>,
    material: Material,
    metrics: &Arc<Metrics>,
    publish: P,
) -> (StatusHandle, impl Future<Output = ()> + Send + use<P, F>)
where
    P: Fn(Material) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    keep_fresh_tuned(config, material, metrics, publish, Tuning::default())
}

fn keep_fresh_tuned<P, F>(
    config: Arc<Config>,
    material: Material,
    metrics: &Arc<Metrics>,
    publish: P,
    tuning: Tuning,
) -> (StatusHandle, impl Future<Output = ()> + Send + use<P, F>)
where
    P: Fn(Material) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (status, handle) = status::recorder(&config, metrics);
    let store = Arc::new(Store::new(material, publish, Arc::clone(metrics), status));
    (handle, run_all(config, store, tuning))
}

async fn run_all<P, F>(config: Arc<Config>, store: Arc<Store<P>>, tuning: Tuning)
where
    P: Fn(Material) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    if let Some(address) = &config.workload_api {
        running.spawn(WorkloadApiTask::new(Arc::clone(&store), &config, address, tuning.agent).run());
    }
    if let Some(svid) = &config.svid {
        running.spawn(FilesTask::svid(Arc::clone(&store), svid, tuning).run());
    }
    for bundle in &config.bundles {
        match &bundle.endpoint {
            None => running.spawn(FilesTask::bundle(Arc::clone(&store), bundle, tuning).run()),
            Some(endpoint) => running.spawn(EndpointTask::new(Arc::clone(&store), bundle, endpoint, tuning).run()),
        };
    }
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a part of own identity and trust is no longer refreshed");
        }
    }
    std::future::pending::<()>().await;
}
