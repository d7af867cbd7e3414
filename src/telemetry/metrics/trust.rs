//! Own identity and trust in others: what there is, and how its refreshing goes.
//!
//! Trust domains come from the configuration and from the Workload API, never from a request; their number is bounded
//! where they are taken in.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::MetricEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use prometheus_client::registry::Unit;

use super::Attempt;
use crate::clock::UnixTime;

/// The metrics of own identity and trust.
#[derive(Debug)]
pub struct TrustMetrics {
    gauges: Arc<Mutex<Gauges>>,
    refreshes: Family<RefreshLabel, Counter>,
    rollbacks: Family<DomainLabel, Counter>,
    handshakes: Family<HandshakeLabel, Counter>,
}

/// One trust domain's bundle, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BundleFigures {
    /// When it was last obtained.
    pub updated: UnixTime,
    /// Authorities for X509-SVIDs, expired ones included.
    pub x509: usize,
    /// Authorities for JWT-SVIDs.
    pub jwt: usize,
    /// Authorities for WIT-SVIDs.
    pub wit: usize,
    /// `spiffe_sequence`, where the bundle has one.
    pub sequence: Option<u64>,
}

/// How a TLS handshake of an own listener ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// The connection stands.
    Completed,
    /// Refused, by either side.
    Failed,
    /// It took too long.
    TimedOut,
}

impl Handshake {
    const ALL: [Self; 3] = [Self::Completed, Self::Failed, Self::TimedOut];

    const fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
        }
    }
}

/// What there is now: one value, so that a scrape sees one moment.
#[derive(Debug, Default)]
struct Gauges {
    svid_expiry: Option<UnixTime>,
    connected: Option<bool>,
    bundles: BTreeMap<String, BundleFigures>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefreshLabel {
    source: String,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DomainLabel {
    trust_domain: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandshakeLabel {
    outcome: &'static str,
}

impl TrustMetrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            gauges: Arc::default(),
            refreshes: Family::default(),
            rollbacks: Family::default(),
            handshakes: Family::default(),
        };
        let Self { gauges, refreshes, rollbacks, handshakes } = &metrics;
        registry.register_collector(Box::new(Shown(Arc::clone(gauges))));
        registry.register("trust_refreshes", "Attempts to renew own identity and trust", refreshes.clone());
        let help = "Bundles with a lower sequence number than the one held";
        registry.register("trust_rollbacks", help, rollbacks.clone());
        registry.register("tls_handshakes", "TLS handshakes of own listeners", handshakes.clone());
        for outcome in Handshake::ALL {
            drop(handshakes.get_or_create(&HandshakeLabel { outcome: outcome.name() }));
        }
        metrics
    }

    /// When the own certificate ends; `None` where there is none.
    pub fn svid_expires(&self, at: Option<UnixTime>) {
        locked(&self.gauges).svid_expiry = at;
    }

    /// Whether the Workload API is connected; `None` where none is configured.
    pub fn workload_api_connected(&self, connected: Option<bool>) {
        locked(&self.gauges).connected = connected;
    }

    /// All bundles that are held, by trust domain: these and no others from now on.
    pub fn bundles(&self, held: BTreeMap<String, BundleFigures>) {
        locked(&self.gauges).bundles = held;
    }

    /// A source is configured. A counter is worth an alert only if it stands at zero before its first event.
    pub fn expect_source(&self, source: &str) {
        for attempt in Attempt::ALL {
            drop(self.refreshes.get_or_create(&refresh_label(source, attempt)));
        }
    }

    /// A trust domain's bundle comes from an endpoint, which may go back.
    pub fn expect_endpoint(&self, trust_domain: &str) {
        drop(self.rollbacks.get_or_create(&DomainLabel { trust_domain: trust_domain.to_owned() }));
    }

    /// An attempt to renew what comes from `source` has ended: `workload_api`, `svid_files` or a trust domain.
    pub fn refreshed(&self, source: &str, attempt: Attempt) {
        self.refreshes.get_or_create(&refresh_label(source, attempt)).inc();
    }

    /// A bundle with a lower sequence number came, whatever became of it.
    pub fn rolled_back(&self, trust_domain: &str) {
        self.rollbacks.get_or_create(&DomainLabel { trust_domain: trust_domain.to_owned() }).inc();
    }

    /// A TLS handshake of an own listener has ended.
    pub fn handshake(&self, outcome: Handshake) {
        self.handshakes.get_or_create(&HandshakeLabel { outcome: outcome.name() }).inc();
    }
}

fn refresh_label(source: &str, attempt: Attempt) -> RefreshLabel {
    RefreshLabel { source: source.to_owned(), outcome: attempt.name() }
}

fn locked(gauges: &Mutex<Gauges>) -> MutexGuard<'_, Gauges> {
    gauges.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The gauges as a scrape shows them.
#[derive(Debug)]
struct Shown(Arc<Mutex<Gauges>>);

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let gauges = locked(&self.0);
        if let Some(expiry) = gauges.svid_expiry {
            let help = "When the own certificate ends, in seconds since the epoch";
            let seconds = Some(&Unit::Seconds);
            let mut gauge = encoder.encode_descriptor("svid_expiry_timestamp", help, seconds, MetricType::Gauge)?;
            gauge.encode_gauge(&expiry.seconds())?;
        }
        if let Some(connected) = gauges.connected {
            let help = "1 while the Workload API's streams are open and have answered";
            let mut gauge = encoder.encode_descriptor("workload_api_connected", help, None, MetricType::Gauge)?;
            gauge.encode_gauge(&i64::from(connected))?;
        }
        if gauges.bundles.is_empty() { Ok(()) } else { encode_bundles(&gauges.bundles, encoder) }
    }
}

fn encode_bundles(
    bundles: &BTreeMap<String, BundleFigures>,
    mut encoder: DescriptorEncoder<'_>,
) -> Result<(), fmt::Error> {
    let help = "When a trust domain's bundle was last obtained, in seconds since the epoch";
    let (name, unit) = ("trust_bundle_updated_timestamp", Some(&Unit::Seconds));
    let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
    for (domain, figures) in bundles {
        gauge(&mut family, &[("trust_domain", domain)], figures.updated.seconds())?;
    }
    let help = "Authorities in a trust domain's bundle, by what they sign";
    let mut family = encoder.encode_descriptor("trust_bundle_authorities", help, None, MetricType::Gauge)?;
    for (domain, figures) in bundles {
        for (kind, count) in [("x509", figures.x509), ("jwt", figures.jwt), ("wit", figures.wit)] {
            let labels = [("trust_domain", domain.as_str()), ("kind", kind)];
            gauge(&mut family, &labels, i64::try_from(count).unwrap_or(i64::MAX))?;
        }
    }
    let help = "Sequence number of a trust domain's bundle, where it has one";
    let mut family = encoder.encode_descriptor("trust_bundle_sequence", help, None, MetricType::Gauge)?;
    for (domain, figures) in bundles {
        if let Some(sequence) = figures.sequence {
            gauge(&mut family, &[("trust_domain", domain)], i64::try_from(sequence).unwrap_or(i64::MAX))?;
        }
    }
    Ok(())
}

fn gauge(family: &mut MetricEncoder<'_>, labels: &[(&str, &str)], value: i64) -> Result<(), fmt::Error> {
    family.encode_family(&labels)?.encode_gauge(&value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    const FIGURES: BundleFigures =
        BundleFigures { updated: UnixTime::from_seconds(7), x509: 3, jwt: 2, wit: 1, sequence: Some(9) };

    #[test]
    fn what_is_gone_is_no_longer_shown() {
        let metrics = Metrics::new();
        let has = |name: &str| metrics.encode().lines().any(|line| line.starts_with(name));
        assert!(
            !has("countersign_svid_expiry") && !has("countersign_workload_api") && !has("countersign_trust_bundle")
        );
        let trust = metrics.trust();
        trust.svid_expires(Some(UnixTime::from_seconds(5)));
        trust.workload_api_connected(Some(false));
        trust.bundles([("one.example".to_owned(), FIGURES), ("two.example".to_owned(), FIGURES)].into());
        for line in [
            "countersign_svid_expiry_timestamp_seconds 5",
            "countersign_workload_api_connected 0",
            "countersign_trust_bundle_updated_timestamp_seconds{trust_domain=\"one.example\"} 7",
            "countersign_trust_bundle_updated_timestamp_seconds{trust_domain=\"two.example\"} 7",
            "countersign_trust_bundle_authorities{trust_domain=\"one.example\",kind=\"x509\"} 3",
            "countersign_trust_bundle_authorities{trust_domain=\"one.example\",kind=\"jwt\"} 2",
            "countersign_trust_bundle_authorities{trust_domain=\"one.example\",kind=\"wit\"} 1",
            "countersign_trust_bundle_sequence{trust_domain=\"two.example\"} 9",
        ] {
            assert!(has(line), "{line}\n{}", metrics.encode());
        }
        trust.bundles([("two.example".to_owned(), BundleFigures { sequence: None, ..FIGURES })].into());
        trust.svid_expires(None);
        assert!(!metrics.encode().contains("one.example"));
        assert!(!has("countersign_trust_bundle_sequence{") && !has("countersign_svid_expiry"));
    }

    #[test]
    fn counters_stand_at_zero_before_their_first_event() {
        let metrics = Metrics::new();
        let trust = metrics.trust();
        trust.expect_source("svid_files");
        trust.expect_endpoint("one.example");
        trust.refreshed("svid_files", Attempt::Failed);
        trust.rolled_back("one.example");
        trust.handshake(Handshake::TimedOut);
        let text = metrics.encode();
        for line in [
            "countersign_trust_refreshes_total{source=\"svid_files\",outcome=\"succeeded\"} 0",
            "countersign_trust_refreshes_total{source=\"svid_files\",outcome=\"failed\"} 1",
            "countersign_trust_rollbacks_total{trust_domain=\"one.example\"} 1",
            "countersign_tls_handshakes_total{outcome=\"completed\"} 0",
            "countersign_tls_handshakes_total{outcome=\"failed\"} 0",
            "countersign_tls_handshakes_total{outcome=\"timed_out\"} 1",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}
