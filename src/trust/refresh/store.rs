//! The newest material, and how it comes into force.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::status::Recorder;
use crate::clock::UnixTime;
use crate::spiffe_id::TrustDomain;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::trust::BundleFigures;
use crate::trust::Bundles;
use crate::trust::Held;
use crate::trust::Material;

/// What every source writes to, one at a time.
pub(super) struct Store<P> {
    state: Mutex<State>,
    publish: P,
    metrics: Arc<Metrics>,
    pub(super) status: Recorder,
}

struct State {
    newest: Material,
    /// The bundles as they were published. The newest may differ in the times when they were seen, and in nothing else.
    published: Arc<Bundles>,
}

/// In what two materials differ.
#[derive(Debug, Default)]
struct Changes {
    svid: bool,
    /// Trust domains with another bundle than before.
    taken: Vec<TrustDomain>,
    /// Trust domains without a bundle now.
    gone: Vec<TrustDomain>,
    /// What is still waited for.
    awaited: bool,
}

impl<P, F> Store<P>
where
    P: Fn(Material) -> F,
    F: Future<Output = ()>,
{
    pub(super) fn new(material: Material, publish: P, metrics: Arc<Metrics>, status: Recorder) -> Self {
        show(&material, &metrics);
        let published = Arc::clone(&material.bundles);
        Self { state: Mutex::new(State { newest: material, published }), publish, metrics, status }
    }

    /// Edits the material, and puts it in force where it then differs. Where its bundles do not, they are published as the
    /// same value as before. What there is to `tell` is told before, so that whoever is published to finds the status to
    /// agree with the material.
    pub(super) async fn change(&self, edit: impl FnOnce(&mut Material), tell: impl FnOnce(&Recorder)) {
        // Held to the end, so that materials come into force in the order they were made in.
        let mut state = self.state.lock().await;
        let before = state.newest.clone();
        edit(&mut state.newest);
        show(&state.newest, &self.metrics);
        tell(&self.status);
        let changes = Changes::between(&before, &state.newest);
        if changes.are_in_bundles() {
            state.published = Arc::clone(&state.newest.bundles);
        }
        if changes.are_some() {
            let bundles = Arc::clone(&state.published);
            (self.publish)(Material { svid: state.newest.svid.clone(), bundles }).await;
            changes.log(&state.newest);
        }
    }

    /// The newest material.
    pub(super) async fn newest(&self) -> Material {
        self.state.lock().await.newest.clone()
    }

    /// The bundles as they are now.
    pub(super) async fn bundles(&self) -> Arc<Bundles> {
        Arc::clone(&self.state.lock().await.newest.bundles)
    }

    /// A trust domain's bundle had a lower sequence number than the one held.
    pub(super) fn count_rollback(&self, domain: &TrustDomain) {
        self.metrics.trust().rolled_back(domain.as_str());
    }
}

impl Changes {
    fn between(before: &Material, after: &Material) -> Self {
        let differs = |domain: &TrustDomain, held: &Held| {
            before.bundles.get(domain.as_str()).map_or(true, |old| old.epoch() != held.epoch())
        };
        let taken = after.bundles.iter().filter(|(domain, held)| differs(domain, held));
        let gone = before.bundles.iter().filter(|(domain, _)| after.bundles.get(domain.as_str()).is_err());
        Self {
            svid: before.svid != after.svid,
            taken: taken.map(|(domain, _)| domain.clone()).collect(),
            gone: gone.map(|(domain, _)| domain.clone()).collect(),
            awaited: before.bundles.awaits_workload_api() != after.bundles.awaits_workload_api()
                || !before.bundles.awaited().eq(after.bundles.awaited()),
        }
    }

    const fn are_some(&self) -> bool {
        self.svid || self.are_in_bundles()
    }

    const fn are_in_bundles(&self) -> bool {
        let Self { svid: _, taken, gone, awaited } = self;
        !taken.is_empty() || !gone.is_empty() || *awaited
    }

    fn log(&self, now: &Material) {
        if let Some(svid) = now.svid.as_ref().filter(|_| self.svid) {
            let spiffe_id = svid.spiffe_id.as_ref().map(tracing::field::display);
            tracing::info!(spiffe_id, not_after = %svid.not_after, "a new certificate is in force");
            if !svid.is_valid_at(UnixTime::now()) {
                let (not_before, not_after) = (svid.not_before, svid.not_after);
                tracing::warn!(%not_before, %not_after, "the own certificate is not valid now: who connects refuses it");
            }
        }
        for trust_domain in &self.taken {
            if let Ok(held) = now.bundles.get(trust_domain.as_str()) {
                log_bundle(trust_domain, held);
            }
        }
        for trust_domain in &self.gone {
            tracing::warn!(%trust_domain, "a trust domain has no bundle any more: its workloads are no longer trusted");
        }
    }
}

fn log_bundle(trust_domain: &TrustDomain, held: &Held) {
    let bundle = &held.bundle;
    let (x509, jwt, wit) = authorities(held);
    let (origin, sequence) = (held.origin.name(), bundle.sequence);
    tracing::info!(%trust_domain, origin, x509, jwt, wit, sequence, "a new bundle is in force");
    for warning in bundle.warnings() {
        tracing::warn!(%trust_domain, warning, "a part of a bundle is not used");
    }
    if bundle.is_empty() {
        tracing::warn!(%trust_domain, "a bundle has no authorities: no workload of its trust domain is trusted");
    }
}

/// How many authorities there are for X.509-SVIDs, JWT-SVIDs and WIT-SVIDs.
fn authorities(held: &Held) -> (usize, usize, usize) {
    let bundle = &held.bundle;
    (bundle.x509_authorities().len(), bundle.jwt_authorities().usable(), bundle.wit_authorities().usable())
}

fn show(material: &Material, metrics: &Metrics) {
    let figures = |(domain, held): (&TrustDomain, &Held)| {
        let (x509, jwt, wit) = authorities(held);
        let figures = BundleFigures { updated: held.at, x509, jwt, wit, sequence: held.bundle.sequence };
        (domain.to_string(), figures)
    };
    metrics.trust().bundles(material.bundles.iter().map(figures).collect());
    metrics.trust().svid_expires(material.svid.as_ref().map(|svid| svid.not_after));
}
