//! Every trust domain's bundle at one moment: immutable, shared by all workers, replaced whole.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use super::Bundle;
use super::BundleConfig;
use super::Config;
use super::Endpoint;
use crate::clock::UnixTime;
use crate::spiffe_id::TrustDomain;

/// The bundles that there are, and the trust domains of which one is still waited for.
#[derive(Debug, Clone, Default)]
pub struct Bundles {
    held: BTreeMap<TrustDomain, Held>,
    /// The trust domains whose bundle the configuration gives: the Workload API has no say in them.
    configured: Arc<BTreeSet<TrustDomain>>,
    awaited: BTreeSet<TrustDomain>,
    /// Whether the Workload API has still to say which trust domains there are.
    awaits_workload_api: bool,
}

/// A trust domain's bundle, and where it is from.
#[derive(Debug, Clone)]
pub struct Held {
    /// The bundle.
    pub bundle: Arc<Bundle>,
    /// Where it is from.
    pub origin: Origin,
    /// When it was last seen there.
    pub at: UnixTime,
    epoch: u64,
}

/// Where a bundle is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// SPIRE's agent.
    WorkloadApi,
    /// A file.
    Files,
    /// A bundle endpoint.
    Endpoint,
}

/// Why there is no bundle of a trust domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoBundle {
    /// Nothing is known of the trust domain.
    Unknown,
    /// It is to come, and has not come yet.
    Awaited,
}

impl Origin {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WorkloadApi => "workload_api",
            Self::Files => "files",
            Self::Endpoint => "endpoint",
        }
    }
}

impl Held {
    /// Differs between any two bundles that differ, within a process, so that what was verified with one can be
    /// remembered under it.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl Bundles {
    /// No bundle yet, of those that `config` promises.
    pub fn empty(config: &Config) -> Self {
        let configured: BTreeSet<_> = config.bundles.iter().map(|bundle| bundle.trust_domain.clone()).collect();
        Self {
            held: BTreeMap::new(),
            awaited: configured.clone(),
            configured: Arc::new(configured),
            awaits_workload_api: config.workload_api.is_some(),
        }
    }

    /// The bundle of a trust domain.
    ///
    /// # Errors
    /// [`NoBundle`].
    pub fn get(&self, domain: &str) -> Result<&Held, NoBundle> {
        self.held.get(domain).ok_or_else(|| {
            if self.awaits_workload_api || self.awaited.contains(domain) {
                NoBundle::Awaited
            } else {
                NoBundle::Unknown
            }
        })
    }

    /// Every trust domain of which there is a bundle, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&TrustDomain, &Held)> {
        self.held.iter()
    }

    /// The trust domains of which a bundle is waited for.
    pub fn awaited(&self) -> impl Iterator<Item = &TrustDomain> {
        self.awaited.iter()
    }

    /// Whether the Workload API has still to say which trust domains there are.
    pub const fn awaits_workload_api(&self) -> bool {
        self.awaits_workload_api
    }

    /// Takes in a trust domain's bundle as it was seen at `at`. Returns whether it differs from the one before. What the
    /// Workload API says of a configured trust domain is left out: an agent federates with whom its server likes.
    pub fn insert(&mut self, domain: TrustDomain, bundle: Bundle, origin: Origin, at: UnixTime) -> bool {
        if origin == Origin::WorkloadApi && self.configured.contains(&domain) {
            return false;
        }
        self.awaited.remove(&domain);
        let before = self.held.get(&domain).filter(|held| *held.bundle == bundle);
        let same = before.map(|held| (Arc::clone(&held.bundle), held.epoch));
        let changed = same.is_none();
        let (bundle, epoch) = same.unwrap_or_else(|| (Arc::new(bundle), next_epoch()));
        self.held.insert(domain, Held { bundle, origin, at, epoch });
        changed
    }

    /// A trust domain's bundle was seen again, as it was.
    pub fn seen(&mut self, domain: &str, at: UnixTime) {
        if let Some(held) = self.held.get_mut(domain) {
            held.at = at;
        }
    }

    /// The Workload API has spoken: of what came from it, only `named` stays. Returns whether something went.
    pub fn keep_from_workload_api(&mut self, named: &BTreeSet<TrustDomain>) -> bool {
        self.awaits_workload_api = false;
        let before = self.held.len();
        self.held.retain(|domain, held| held.origin != Origin::WorkloadApi || named.contains(domain));
        before != self.held.len()
    }

    /// Takes over what `previous` holds of `config`'s trust domains, so that a new configuration need not wait for what
    /// is known already.
    pub fn carry_over(&mut self, previous: &Self, config: &Config, known: &Config) {
        for (domain, held) in &previous.held {
            let (place, before) = (place_of(domain, config), place_of(domain, known));
            let stays = match held.origin {
                Origin::WorkloadApi => config.workload_api == known.workload_api && place.is_none(),
                Origin::Files | Origin::Endpoint => place.is_some() && place == before,
            };
            if stays {
                self.awaited.remove(domain);
                self.held.insert(domain.clone(), held.clone());
            }
        }
        if config.workload_api == known.workload_api {
            self.awaits_workload_api = previous.awaits_workload_api;
        }
    }
}

/// Where a configured trust domain's bundle comes from. Whether readiness waits for it, and what becomes of a rollback, is
/// no part of that: whoever changes these because a partner is away must not lose the bundle that is held.
fn place_of<'c>(domain: &TrustDomain, config: &'c Config) -> Option<impl PartialEq + use<'c>> {
    let BundleConfig { trust_domain: _, files, endpoint, optional: _ } =
        config.bundles.iter().find(|bundle| bundle.trust_domain == *domain)?;
    let endpoint = endpoint.as_ref().map(|Endpoint { url, profile, refuse_rollback: _ }| (url, profile));
    Some((files, endpoint))
}

/// One counter for the process, since a reload begins a new line of snapshots.
fn next_epoch() -> u64 {
    static EPOCH: AtomicU64 = AtomicU64::new(1);
    EPOCH.fetch_add(1, Ordering::Relaxed)
}
