//! Everything held and trusted at one moment.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Bundles;
use super::Config;
use super::Svid;

/// What the program holds, and what it trusts: replaced whole.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// The own certificate; `None` before the first.
    pub svid: Option<Arc<Svid>>,
    /// The trust domains' bundles.
    pub bundles: Arc<Bundles>,
}

impl Material {
    /// What of this serves another configuration too, so that a reload need not wait for what is known already.
    #[must_use]
    pub fn carried_over(&self, config: &Config, known: &Config) -> Self {
        let mut bundles = Bundles::empty(config);
        bundles.carry_over(&self.bundles, config, known);
        let own = |config: &Config| (config.svid.clone(), config.svid_id.clone(), config.workload_api.clone());
        let svid = self.svid.clone().filter(|_| own(config) == own(known));
        Self { svid, bundles: Arc::new(bundles) }
    }

    /// What of `config` readiness still waits for, in words.
    pub fn waited_for(&self, config: &Config) -> BTreeSet<String> {
        let svid = (config.has_svid() && self.svid.is_none()).then(|| "own certificate".to_owned());
        let workload_api = self.bundles.awaits_workload_api().then(|| "bundles of the Workload API".to_owned());
        let optional = |domain: &str| {
            config.bundles.iter().any(|bundle| bundle.optional && bundle.trust_domain.as_str() == domain)
        };
        let awaited = self.bundles.awaited().filter(|domain| !optional(domain.as_str()));
        svid.into_iter().chain(workload_api).chain(awaited.map(|domain| format!("bundle of {domain}"))).collect()
    }
}
