//! Everything held and trusted at one moment.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Bundles;
use super::Config;
use super::Svid;
use crate::clock::UnixTime;
use crate::spiffe_id::TrustDomain;

/// What the program holds, and what it trusts: replaced whole.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// The own certificate; `None` before the first.
    pub svid: Option<Arc<Svid>>,
    /// The trust domains' bundles.
    pub bundles: Arc<Bundles>,
}

impl Material {
    /// Nothing yet of what `config` promises.
    pub fn empty(config: &Config) -> Self {
        Self { svid: None, bundles: Arc::new(Bundles::empty(config)) }
    }

    /// What `config` begins with, where `previous` is in force by the configuration `known`: bundles that come from the
    /// same places, so that a reload does not wait for what is known already, and the own certificate.
    #[must_use]
    pub fn carried_over(config: &Config, previous: &Self, known: &Config) -> Self {
        let mut bundles = Bundles::empty(config);
        bundles.carry_over(&previous.bundles, config, known);
        // One from another place serves until the new one comes: without any no handshake succeeds.
        let svid = previous.svid.clone().filter(|_| config.has_svid());
        Self { svid, bundles: Arc::new(bundles) }
    }

    /// What of `config` readiness still waits for at `now`, in words. With a certificate that has ended no proxy could
    /// connect.
    pub fn waited_for(&self, config: &Config, now: UnixTime) -> BTreeSet<String> {
        let svid = match &self.svid {
            _ if !config.has_svid() => None,
            None => Some("own certificate".to_owned()),
            Some(svid) => (!svid.is_valid_at(now)).then(|| "own certificate that is valid".to_owned()),
        };
        let workload_api = self.bundles.awaits_workload_api().then(|| "bundles of the Workload API".to_owned());
        let optional = |domain: &TrustDomain| {
            config.bundles.iter().any(|bundle| bundle.optional && bundle.trust_domain == *domain)
        };
        let awaited = self.bundles.awaited().filter(|domain| !optional(domain));
        svid.into_iter().chain(workload_api).chain(awaited.map(|domain| format!("bundle of {domain}"))).collect()
    }
}

#[cfg(test)]
mod tests;
