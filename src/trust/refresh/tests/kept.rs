//! Material being kept fresh, with everything quicker than it is.

use std::future::ready;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio::time::sleep;

use crate::fetch::Backoff;
use crate::fetch::FetchLimits;
use crate::spiffe_id::TrustDomain;
use crate::telemetry::Metrics;
use crate::trust::BundleConfig;
use crate::trust::CertificateFiles;
use crate::trust::Config;
use crate::trust::Held;
use crate::trust::Material;
use crate::trust::refresh::AgentTuning;
use crate::trust::refresh::SourceStatus;
use crate::trust::refresh::Status;
use crate::trust::refresh::StatusHandle;
use crate::trust::refresh::Tuning;
use crate::trust::refresh::keep_fresh_tuned;

pub(super) const QUICK: Tuning = Tuning {
    fetch: FetchLimits { time: Duration::from_millis(500), bytes: 64 * 1024 },
    poll: Duration::from_millis(20),
    interval: Duration::from_millis(50),
    shortest_interval: Duration::from_millis(20),
    longest_interval: Duration::from_millis(100),
    first_retry: Duration::from_millis(10),
    agent: AgentTuning {
        answer: Duration::from_millis(500),
        backoff: Backoff { first: Duration::from_millis(10), longest: Duration::from_millis(40) },
        refused: Duration::from_hours(1),
        ping: Duration::from_millis(100),
        pong: Duration::from_millis(100),
    },
};

/// Longer than anything takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// A configuration's material, kept fresh, and what is in force.
pub(super) struct Kept {
    pub(super) metrics: Arc<Metrics>,
    status: StatusHandle,
    /// Each material, and what the status was when it was published.
    published: Arc<Mutex<Vec<(Material, Status)>>>,
    _work: JoinSet<()>,
}

impl Kept {
    pub(super) fn start(config: Config) -> Self {
        let material = Material::empty(&config);
        Self::start_tuned(config, material, QUICK)
    }

    pub(super) fn start_tuned(config: Config, material: Material, tuning: Tuning) -> Self {
        let published = Arc::new(Mutex::new(vec![(material.clone(), Status::default())]));
        let (place, asked) = (Arc::clone(&published), Arc::new(OnceLock::<StatusHandle>::new()));
        let handle = Arc::clone(&asked);
        let publish = move |material: Material| {
            place.lock().unwrap().push((material, asked.get().unwrap().status()));
            ready(())
        };
        let metrics = Metrics::new();
        let (status, working) = keep_fresh_tuned(Arc::new(config), material, &metrics, publish, tuning);
        handle.set(status.clone()).unwrap();
        let mut work = JoinSet::new();
        work.spawn(working);
        Self { metrics, status, published, _work: work }
    }

    pub(super) fn status(&self) -> Status {
        self.status.status()
    }

    /// The first source: the own certificate's files, or the first bundle.
    pub(super) fn source(&self) -> SourceStatus {
        self.status().sources.remove(0)
    }

    /// What is wrong with the first source; empty where nothing is.
    pub(super) fn error(&self) -> String {
        self.source().last_error.unwrap_or_default()
    }

    pub(super) fn material(&self) -> Material {
        self.published.lock().unwrap().last().unwrap().0.clone()
    }

    /// What the status was when it was published.
    pub(super) fn status_at_publication(&self) -> Status {
        self.published.lock().unwrap().last().unwrap().1.clone()
    }

    /// How often something was published.
    pub(super) fn publications(&self) -> usize {
        self.published.lock().unwrap().len().saturating_sub(1)
    }

    /// A trust domain's bundle in force.
    pub(super) fn held(&self, domain: &TrustDomain) -> Option<Held> {
        self.material().bundles.get(domain.as_str()).ok().cloned()
    }

    /// Waits until something holds, and says what never did.
    pub(super) async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < PATIENCE, "never: {what}\n{:?}\n{:?}", self.status(), self.material());
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Waits until the first source has succeeded `times` more.
    pub(super) async fn looked_again(&self, times: usize) {
        for _ in 0..times {
            let before = self.source().last_success;
            self.until("another look", |kept| kept.source().last_success > before).await;
        }
    }

    /// Waits until the first source has failed once more, for a reason that says `text`.
    pub(super) async fn fails(&self, text: &str) {
        let before = self.source().failures;
        let failed = |kept: &Self| kept.source().failures > before && kept.error().contains(text);
        self.until(&format!("a failure: {text}"), failed).await;
    }

    /// Whether the metrics have this line.
    pub(super) fn shows(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|shown| shown == line)
    }
}

/// A folder, and files by their names in it.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Replaces a file whole, as those that rotate certificates do.
    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let new = self.0.path().join(format!("{name}.new"));
        std::fs::write(&new, content).unwrap();
        std::fs::rename(new, self.0.path().join(name)).unwrap();
    }

    pub(super) fn svid(&self) -> Config {
        let [certificate, key] = ["svid.pem", "svid_key.pem"].map(|name| self.0.path().join(name));
        Config { svid: Some(CertificateFiles { certificate, key }), ..Config::default() }
    }

    pub(super) fn bundle(&self, domain: &TrustDomain, names: &[&str]) -> Config {
        Config { bundles: vec![self.bundle_config(domain, names)], ..Config::default() }
    }

    pub(super) fn bundle_config(&self, domain: &TrustDomain, names: &[&str]) -> BundleConfig {
        let files = names.iter().map(|name| self.0.path().join(name)).collect();
        BundleConfig { trust_domain: domain.clone(), files, endpoint: None, optional: false }
    }
}
