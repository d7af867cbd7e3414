//! The metrics, in one place: names, meanings and the handles that count them. docs/metrics.md describes each.
//!
//! Labels take their values from closed lists or from the configuration, never from a request, so that no client can
//! grow the number of series. What every request counts is in [`worker`], own identity and trust in [`trust`]; but for
//! [`worker`] all is rare enough for a lock.

mod histogram;
pub mod trust;
pub mod worker;

use std::sync::Arc;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use prometheus_client::registry::Unit;

use crate::clock::UnixTime;
use trust::TrustMetrics;
use worker::WorkerMetrics;
use worker::Workers;

/// The media type of [`Metrics::encode`]'s text: `OpenMetrics` 1.0.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Stands before every name.
const PREFIX: &str = "countersign";

/// All metrics of the process. One value, shared; not a global, so that tests count for themselves.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    workers: Arc<Workers>,
    policy_loaded: Gauge,
    policy_revision: Family<RevisionLabel, Gauge>,
    reloads: Family<AttemptLabel, Counter>,
    keys_fetched: Family<IssuerLabel, Gauge>,
    keys_refreshes: Family<IssuerOutcomeLabel, Counter>,
    introspections: Family<IssuerOutcomeLabel, Counter>,
    decision_log: DecisionLogMetrics,
    trust: TrustMetrics,
    connections: Gauge,
    ready: Gauge,
}

/// How something that can fail went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It worked.
    Succeeded,
    /// It failed; what was there before stays in force.
    Failed,
}

impl Attempt {
    const ALL: [Self; 2] = [Self::Succeeded, Self::Failed];

    const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

/// What came of asking an issuer about a token (RFC 7662).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Introspection {
    /// The token is active.
    Active,
    /// It is not.
    Inactive,
    /// There was no answer, or none that is understood.
    Failed,
}

impl Introspection {
    const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
        }
    }
}

/// What becomes of the decision log's records.
#[derive(Debug, Clone)]
pub struct DecisionLogMetrics {
    /// Records written out.
    pub written: Counter,
    /// Records dropped because the queue was full: the writer is slower than the traffic.
    pub dropped_queue_full: Counter,
    /// Records dropped because the output could not be written.
    pub dropped_write_failed: Counter,
    /// Records dropped because the writer had ended.
    pub dropped_closed: Counter,
}

/// Counts one connection as open until it is dropped.
#[derive(Debug)]
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RevisionLabel {
    revision: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IssuerLabel {
    issuer: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct IssuerOutcomeLabel {
    issuer: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabel {
    cause: &'static str,
}

impl Metrics {
    /// All metrics, at zero.
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix(PREFIX);
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The running version", build);
        let workers = Arc::new(Workers::default());
        registry.register_collector(Box::new(Arc::clone(&workers)));
        let metrics = Self {
            workers,
            policy_loaded: Gauge::default(),
            policy_revision: Family::default(),
            reloads: Family::default(),
            keys_fetched: Family::default(),
            keys_refreshes: Family::default(),
            introspections: Family::default(),
            decision_log: decision_log(&mut registry),
            trust: TrustMetrics::new(&mut registry),
            connections: Gauge::default(),
            ready: Gauge::default(),
            registry,
        };
        Arc::new(metrics.registered())
    }

    fn registered(mut self) -> Self {
        let Self { registry, policy_loaded, policy_revision, reloads, .. } = &mut self;
        let help = "When the policy in force was loaded, in seconds since the epoch; 0 before the first";
        registry.register_with_unit("policy_loaded_timestamp", help, Unit::Seconds, policy_loaded.clone());
        registry.register("policy_revision_info", "The policy in force: always 1", policy_revision.clone());
        registry.register("reloads", "Attempts to load a new revision", reloads.clone());
        for attempt in Attempt::ALL {
            // A counter is worth an alert only if it stands at zero before its first event.
            drop(reloads.get_or_create(&AttemptLabel { outcome: attempt.name() }));
        }
        let Self { registry, keys_fetched, keys_refreshes, introspections, connections, ready, .. } = &mut self;
        let help = "When an issuer's keys were last fetched, in seconds since the epoch";
        registry.register_with_unit("keys_fetched_timestamp", help, Unit::Seconds, keys_fetched.clone());
        registry.register("keys_refreshes", "Attempts to fetch an issuer's keys", keys_refreshes.clone());
        registry.register("introspections", "Questions to an issuer about a token", introspections.clone());
        registry.register("connections", "Open connections from proxies", connections.clone());
        let help = "1 while checks are answered, 0 before the first revision and while draining";
        registry.register("ready", help, ready.clone());
        self
    }

    /// Counters of a new worker. Each worker has its own, so that no request contends for one.
    pub fn worker(&self) -> WorkerMetrics {
        self.workers.add()
    }

    /// A policy is in force from now on; its revision replaces the one before.
    pub fn policy_loaded(&self, revision: &str, now: UnixTime) {
        self.policy_revision.clear();
        self.policy_revision.get_or_create(&RevisionLabel { revision: revision.to_owned() }).set(1);
        self.policy_loaded.set(now.seconds());
    }

    /// A revision was built and taken into force, or was not.
    pub fn reloaded(&self, attempt: Attempt) {
        self.reloads.get_or_create(&AttemptLabel { outcome: attempt.name() }).inc();
    }

    /// An attempt to fetch the keys of `issuer`, one of the configured ones, ended at `now`.
    pub fn keys_refreshed(&self, issuer: &str, attempt: Attempt, now: UnixTime) {
        let label = IssuerOutcomeLabel { issuer: issuer.to_owned(), outcome: attempt.name() };
        self.keys_refreshes.get_or_create(&label).inc();
        if attempt == Attempt::Succeeded {
            self.keys_fetched.get_or_create(&IssuerLabel { issuer: issuer.to_owned() }).set(now.seconds());
        }
    }

    /// `issuer`, one of the configured ones, was asked about a token.
    pub fn introspected(&self, issuer: &str, outcome: Introspection) {
        let label = IssuerOutcomeLabel { issuer: issuer.to_owned(), outcome: outcome.name() };
        self.introspections.get_or_create(&label).inc();
    }

    /// Handles for the decision log.
    pub fn decision_log(&self) -> DecisionLogMetrics {
        self.decision_log.clone()
    }

    /// Own identity and trust.
    pub const fn trust(&self) -> &TrustMetrics {
        &self.trust
    }

    /// A connection was opened; it counts until the value is dropped.
    pub fn connection(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// Whether checks are answered.
    pub fn set_ready(&self, ready: bool) {
        self.ready.set(i64::from(ready));
    }

    /// Everything as text of the type [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let _infallible = text::encode(&mut text, &self.registry);
        text
    }
}

fn decision_log(registry: &mut Registry) -> DecisionLogMetrics {
    let written = Counter::default();
    let dropped = Family::<CauseLabel, Counter>::default();
    registry.register("decision_log_written", "Decision records written", written.clone());
    registry.register("decision_log_dropped", "Decision records lost, by cause", dropped.clone());
    let cause = |cause| dropped.get_or_create_owned(&CauseLabel { cause });
    DecisionLogMetrics {
        written,
        dropped_queue_full: cause("queue_full"),
        dropped_write_failed: cause("write_failed"),
        dropped_closed: cause("closed"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::trust::BundleFigures;
    use super::*;
    use crate::decision::Reason;
    use crate::telemetry::Answer;
    use crate::telemetry::Stage;
    use crate::telemetry::Timings;

    /// Every metric touched once.
    fn busy() -> Arc<Metrics> {
        let metrics = Metrics::new();
        let mut timings = Timings::default();
        timings.add(Stage::Policy, Duration::from_micros(30));
        timings.set_total(Duration::from_micros(70));
        for _ in 0..2 {
            let worker = metrics.worker();
            worker.observe(Answer::Allow, &timings);
            worker.observe(Answer::Deny(Reason::TokenExpired), &timings);
        }
        metrics.worker().observe(Answer::Cancelled, &timings);
        metrics.policy_loaded("old", UnixTime::from_seconds(1));
        metrics.policy_loaded("new", UnixTime::from_seconds(2));
        metrics.keys_refreshed("https://idp.example/\"\n", Attempt::Succeeded, UnixTime::from_seconds(3));
        metrics.keys_refreshed("https://idp.example/\"\n", Attempt::Failed, UnixTime::from_seconds(4));
        metrics.introspected("https://idp.example", Introspection::Inactive);
        metrics.reloaded(Attempt::Failed);
        metrics.trust().svid_expires(Some(UnixTime::from_seconds(5)));
        metrics.trust().workload_api_connected(Some(true));
        let figures = BundleFigures { updated: UnixTime::from_seconds(6), x509: 1, jwt: 1, wit: 1, sequence: Some(1) };
        metrics.trust().bundles([("prod.example".to_owned(), figures)].into());
        metrics.trust().refreshed("prod.example", Attempt::Succeeded);
        metrics.trust().rolled_back("prod.example");
        metrics.set_ready(true);
        metrics.decision_log().dropped_queue_full.inc();
        metrics
    }

    fn value(text: &str, series: &str) -> Option<f64> {
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    #[test]
    fn counts_are_summed_over_workers() {
        let text = busy().encode();
        for (series, expected) in [
            ("countersign_checks_total{decision=\"allow\",reason=\"policy_allowed\"}", 2.0),
            ("countersign_checks_total{decision=\"deny\",reason=\"token_expired\"}", 2.0),
            ("countersign_checks_total{decision=\"deny\",reason=\"token_audience\"}", 0.0),
            ("countersign_checks_total{decision=\"none\",reason=\"cancelled\"}", 1.0),
            ("countersign_check_duration_seconds_count", 5.0),
            ("countersign_check_duration_seconds_bucket{le=\"0.00005\"}", 0.0),
            ("countersign_check_duration_seconds_bucket{le=\"0.0001\"}", 5.0),
            ("countersign_check_duration_seconds_sum", 0.00035),
            ("countersign_stage_duration_seconds_count{stage=\"policy\"}", 5.0),
            ("countersign_stage_duration_seconds_count{stage=\"token\"}", 0.0),
            ("countersign_policy_revision_info{revision=\"new\"}", 1.0),
            ("countersign_policy_loaded_timestamp_seconds", 2.0),
            ("countersign_keys_fetched_timestamp_seconds{issuer=\"https://idp.example/\\\"\\n\"}", 3.0),
            ("countersign_reloads_total{outcome=\"failed\"}", 1.0),
            ("countersign_reloads_total{outcome=\"succeeded\"}", 0.0),
            ("countersign_decision_log_dropped_total{cause=\"queue_full\"}", 1.0),
            ("countersign_decision_log_dropped_total{cause=\"closed\"}", 0.0),
            ("countersign_ready", 1.0),
        ] {
            assert_eq!(value(&text, series), Some(expected), "{series}\n{text}");
        }
        assert!(!text.contains("\"old\""), "{text}");
    }

    #[test]
    fn a_connection_counts_while_it_is_open() {
        let metrics = Metrics::new();
        let open = metrics.connection();
        assert_eq!(value(&metrics.encode(), "countersign_connections"), Some(1.0));
        drop(open);
        assert_eq!(value(&metrics.encode(), "countersign_connections"), Some(0.0));
    }

    #[test]
    fn the_text_parses() {
        let text = busy().encode();
        assert!(text.ends_with("# EOF\n"));
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let name = series.split('{').next().unwrap();
            assert!(name.starts_with("countersign_"), "{line}");
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
            assert_eq!(series.contains('{'), series.ends_with('}'), "{line}");
        }
    }

    #[test]
    fn every_metric_is_described() {
        let text = busy().encode();
        let described = include_str!("../../docs/metrics.md");
        let names: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        assert_eq!(names.len(), 22);
        for line in names {
            let (name, kind) = line.split_once(' ').unwrap();
            let suffix = match kind {
                "counter" => "_total",
                "info" => "_info",
                _ => "",
            };
            assert!(described.contains(&format!("`{name}{suffix}`")), "{name}{suffix} is not in docs/metrics.md");
        }
    }

    #[test]
    fn k7_a_request_cannot_make_series() {
        let series = |metrics: &Metrics| metrics.encode().lines().count();
        let metrics = Metrics::new();
        let worker = metrics.worker();
        let before = series(&metrics);
        for reason in Reason::ALL {
            worker.observe(Answer::Deny(*reason), &Timings::default());
        }
        worker.observe(Answer::Allow, &Timings::default());
        worker.observe(Answer::Cancelled, &Timings::default());
        assert_eq!(series(&metrics), before);
    }
}
