//! How the refreshing fares: for readiness, reports and metrics.

use std::error::Error;
use std::sync::Arc;

use tokio::sync::watch;

use crate::clock::UnixTime;
use crate::spiffe_id::TrustDomain;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Attempt;
use crate::trust::Config;

/// How every place fares that own identity and trust come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// The Workload API, where one is configured.
    pub workload_api: Option<ConnectionStatus>,
    /// The own certificate's files, where they are configured, then the configured trust domains in their order.
    pub sources: Vec<SourceStatus>,
}

/// How the Workload API fares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionStatus {
    /// Whether its streams are open and have answered.
    pub connected: bool,
    /// What is wrong, also while connected: a short text without secrets.
    pub last_error: Option<String>,
    /// Failed attempts since the last answer.
    pub failures: u32,
}

/// How one other place fares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceStatus {
    /// The trust domain; or `svid_files`.
    pub name: String,
    /// The trust domain whose bundle comes from there; `None` where the own certificate does.
    pub trust_domain: Option<TrustDomain>,
    /// When it was last read or fetched.
    pub last_success: Option<UnixTime>,
    /// Why the last attempt failed, if it did: a short text without secrets.
    pub last_error: Option<String>,
    /// Failed attempts since the last success.
    pub failures: u32,
    /// Whether the newest bundle offered has a lower sequence number than one before.
    pub rolled_back: bool,
}

/// Tells the status, from any thread.
#[derive(Debug, Clone)]
pub struct StatusHandle(watch::Receiver<Status>);

impl StatusHandle {
    /// The status now.
    pub fn status(&self) -> Status {
        self.0.borrow().clone()
    }

    /// Waits until the status is as wanted, or is no longer kept.
    pub(super) async fn until(&mut self, wanted: impl Fn(&Status) -> bool) {
        let _no_longer_kept = self.0.wait_for(wanted).await.is_err();
    }
}

impl Status {
    /// How the source of a trust domain's bundle fares.
    pub fn of_bundle(&self, domain: &TrustDomain) -> Option<&SourceStatus> {
        self.sources.iter().find(|source| source.trust_domain.as_ref() == Some(domain))
    }

    /// How the own certificate's files fare.
    pub fn of_svid_files(&self) -> Option<&SourceStatus> {
        self.sources.iter().find(|source| source.trust_domain.is_none())
    }
}

/// What a successful look at a source found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// What came was looked at.
    Content,
    /// It is as it was, and was not looked at again.
    AsBefore,
}

/// Writes the status down, where it changes into the log as well.
#[derive(Debug)]
pub(super) struct Recorder {
    status: watch::Sender<Status>,
    metrics: Arc<Metrics>,
}

/// The name of the own certificate's files in metrics and reports.
const SVID_FILES: &str = "svid_files";
/// The name of the Workload API in metrics and reports.
const WORKLOAD_API: &str = "workload_api";
/// What is wrong is said in less, also by a stranger.
const MAX_ERROR_CHARACTERS: usize = 300;

/// A status in which nothing has happened yet.
pub(super) fn recorder(config: &Config, metrics: &Arc<Metrics>) -> (Recorder, StatusHandle) {
    let domains = config.bundles.iter().map(|bundle| Some(&bundle.trust_domain));
    let sources = config.svid.iter().map(|_| None).chain(domains).map(|domain| SourceStatus {
        name: domain.map_or(SVID_FILES, TrustDomain::as_str).to_owned(),
        trust_domain: domain.cloned(),
        ..SourceStatus::default()
    });
    let workload_api = config.workload_api.as_ref().map(|_| ConnectionStatus::default());
    let trust = metrics.trust();
    trust.workload_api_connected(workload_api.as_ref().map(|_| false));
    if workload_api.is_some() {
        trust.expect_source(WORKLOAD_API);
    }
    for bundle in config.bundles.iter().filter(|bundle| bundle.endpoint.is_some()) {
        trust.expect_endpoint(bundle.trust_domain.as_str());
    }
    let sources: Vec<SourceStatus> = sources.collect();
    for source in &sources {
        trust.expect_source(&source.name);
    }
    let (status, seen) = watch::channel(Status { workload_api, sources });
    (Recorder { status, metrics: Arc::clone(metrics) }, StatusHandle(seen))
}

impl Recorder {
    /// A source was looked at: a trust domain's, or the own certificate's files.
    pub(super) fn succeeded(&self, source: Option<&TrustDomain>, found: Found) {
        self.edit(source, |status| {
            if found == Found::Content {
                self.metrics.trust().refreshed(&status.name, Attempt::Succeeded);
            }
            if status.last_error.take().is_some() {
                tracing::info!(source = status.name, "own identity or trust is renewed again");
            }
            status.last_success = Some(UnixTime::now());
            status.failures = 0;
        });
    }

    /// A source brought nothing. What is wrong is logged when it begins, not each time.
    pub(super) fn failed(&self, source: Option<&TrustDomain>, error: &(dyn Error + 'static)) {
        let error = told(error);
        self.edit(source, |status| {
            self.metrics.trust().refreshed(&status.name, Attempt::Failed);
            if status.last_error.as_ref() != Some(&error) {
                tracing::warn!(source = status.name, error, "own identity or trust could not be renewed");
            }
            status.last_error = Some(error);
            status.failures = status.failures.saturating_add(1);
        });
    }

    /// Whether a trust domain's endpoint has gone back.
    pub(super) fn set_rolled_back(&self, domain: &TrustDomain, rolled_back: bool) {
        self.edit(Some(domain), |status| status.rolled_back = rolled_back);
    }

    /// The Workload API has sent something.
    pub(super) fn count_message(&self) {
        self.metrics.trust().refreshed(WORKLOAD_API, Attempt::Succeeded);
    }

    /// A stream of the Workload API has failed.
    pub(super) fn count_failure(&self) {
        self.metrics.trust().refreshed(WORKLOAD_API, Attempt::Failed);
    }

    /// The Workload API has given what there is; some of it may be `wrong`.
    pub(super) fn connected(&self, wrong: &[String]) {
        let error = (!wrong.is_empty()).then(|| short(&wrong.join("; ")));
        self.metrics.trust().workload_api_connected(Some(true));
        self.edit_connection(|status| {
            if !status.connected {
                tracing::info!("the Workload API is connected");
            }
            match (&status.last_error, &error) {
                (before, Some(error)) if before.as_ref() != Some(error) => {
                    tracing::warn!(error, "not all that is asked of the Workload API is of use");
                }
                _ => {}
            }
            *status = ConnectionStatus { connected: true, last_error: error, failures: 0 };
        });
    }

    /// The Workload API cannot be used now; `is_final` where trying again would not help.
    pub(super) fn disconnected(&self, error: String, is_final: bool) {
        self.count_failure();
        self.metrics.trust().workload_api_connected(Some(false));
        self.edit_connection(|status| {
            let is_news = status.connected || status.last_error.as_ref() != Some(&error);
            match (is_final, is_news) {
                (true, _) => tracing::error!(error, "the Workload API refuses what this program asks"),
                (false, true) => tracing::warn!(error, "the Workload API is not connected"),
                (false, false) => {}
            }
            status.connected = false;
            status.last_error = Some(error);
            status.failures = status.failures.saturating_add(1);
        });
    }

    fn edit(&self, source: Option<&TrustDomain>, edit: impl FnOnce(&mut SourceStatus)) {
        self.status.send_modify(|status| {
            if let Some(found) = status.sources.iter_mut().find(|found| found.trust_domain.as_ref() == source) {
                edit(found);
            }
        });
    }

    fn edit_connection(&self, edit: impl FnOnce(&mut ConnectionStatus)) {
        self.status.send_modify(|status| {
            if let Some(connection) = &mut status.workload_api {
                edit(connection);
            }
        });
    }
}

/// An error with its causes, as one short line.
pub(super) fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        // Libraries tend to repeat a cause in the text of its effect.
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = inner.source();
    }
    short(&text)
}

fn short(text: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(printable).take(MAX_ERROR_CHARACTERS).collect()
}
