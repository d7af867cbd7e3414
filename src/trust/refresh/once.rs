//! Everything once, for a command that looks and ends.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::Status;
use super::Tuning;
use super::run_all;
use super::status;
use super::store::Store;
use crate::clock::UnixTime;
use crate::problem::Problem;
use crate::spiffe_id::TrustDomain;
use crate::telemetry::Metrics;
use crate::trust::Config;
use crate::trust::Material;
use crate::trust::Origin;

/// For everything: nobody waits longer for a command that shows what there is.
const TIME: Duration = Duration::from_secs(10);
/// Failures after which a place is given up. Some fail at first because of another that is slower: an endpoint whose
/// server is proven by what the Workload API brings.
const MAX_FAILURES: u32 = 3;

/// Gets everything once, within ten seconds. Each place that gave nothing is a problem.
pub async fn load_once(config: &Config) -> (Material, Vec<Problem>) {
    let (material, _status, problems) = look_once(config).await;
    (material, problems)
}

/// The same, and how each place fared.
pub async fn look_once(config: &Config) -> (Material, Status, Vec<Problem>) {
    look_once_tuned(config, TIME, Tuning::default()).await
}

/// Does what is done while serving, until each place has answered or was given up.
pub(super) async fn look_once_tuned(
    config: &Config,
    time: Duration,
    tuning: Tuning,
) -> (Material, Status, Vec<Problem>) {
    let metrics = Metrics::new();
    let (recorder, mut handle) = status::recorder(config, &metrics);
    let store = Arc::new(Store::new(Material::empty(config), |_| ready(()), metrics, recorder));
    let settled = async {
        tokio::select! {
            () = handle.until(is_settled) => {}
            () = run_all(Arc::new(config.clone()), Arc::clone(&store), tuning) => {}
        }
    };
    let _too_late = timeout(time, settled).await.is_err();
    let (material, status) = (store.newest().await, handle.status());
    let mut problems = failures(config, &material, &status);
    problems.extend(warnings(config, &material));
    (material, status, problems)
}

fn is_settled(status: &Status) -> bool {
    let is_connected =
        |connection: &super::ConnectionStatus| connection.connected || connection.failures >= MAX_FAILURES;
    let has_answered = |source: &super::SourceStatus| source.last_success.is_some() || source.failures >= MAX_FAILURES;
    status.workload_api.as_ref().is_none_or(is_connected) && status.sources.iter().all(has_answered)
}

fn failures(config: &Config, material: &Material, status: &Status) -> Vec<Problem> {
    let said = |error: &Option<String>| error.clone().unwrap_or_else(|| "there was no answer in time".to_owned());
    // What is said beside an answer is a warning, but for what leaves no certificate.
    let lacks_own = config.svid.is_none() && material.svid.is_none();
    let problem = if lacks_own { Problem::error } else { Problem::warning };
    let connection = status.workload_api.iter().filter_map(|connection| match connection {
        connection if !connection.connected => Some(Problem::error(WORKLOAD_API, said(&connection.last_error))),
        connection => connection.last_error.as_ref().map(|error| problem(WORKLOAD_API, error)),
    });
    let sources = status.sources.iter().filter_map(|source| {
        let path =
            source.trust_domain.as_ref().map_or_else(|| "spiffe.svid".to_owned(), |domain| place(config, domain));
        match &source.last_error {
            None if source.last_success.is_some() => None,
            error => Some(Problem::error(path, said(error))),
        }
    });
    connection.chain(sources).collect()
}

/// What of it is of no use.
fn warnings(config: &Config, material: &Material) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(svid) = material.svid.as_ref().filter(|svid| !svid.is_valid_at(UnixTime::now())) {
        let path = if config.svid.is_some() { "spiffe.svid.certificate" } else { WORKLOAD_API };
        let message = format!("the certificate is valid from {} to {}, not now", svid.not_before, svid.not_after);
        problems.push(Problem::warning(path, message).hint("who connects refuses it"));
    }
    for (domain, held) in material.bundles.iter() {
        let path = match held.origin {
            Origin::WorkloadApi => WORKLOAD_API.to_owned(),
            Origin::Files | Origin::Endpoint => place(config, domain),
        };
        let warned = held.bundle.warnings().map(|warning| format!("trust domain `{domain}`: {warning}"));
        problems.extend(warned.map(|warning| Problem::warning(&path, warning)));
        if held.bundle.is_empty() {
            let message = format!("trust domain `{domain}`: the bundle has no authorities: no workload is trusted");
            problems.push(Problem::warning(&path, message));
        }
    }
    problems
}

const WORKLOAD_API: &str = "spiffe.workload_api";

/// Where a trust domain's bundle is configured.
fn place(config: &Config, domain: &TrustDomain) -> String {
    let found = config.bundles.iter().enumerate().find(|(_, bundle)| bundle.trust_domain == *domain);
    match found {
        None => "spiffe.bundles".to_owned(),
        Some((position, bundle)) if bundle.endpoint.is_some() => format!("spiffe.bundles[{position}].endpoint"),
        Some((position, _)) => format!("spiffe.bundles[{position}].files"),
    }
}
