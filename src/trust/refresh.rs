//! Keeps own identity and trust fresh, off the check path.

use std::future::Future;
use std::sync::Arc;

use super::Config;
use super::Material;
use crate::problem::Problem;
use crate::telemetry::Metrics;

/// How the refreshing fares.
#[derive(Debug, Clone)]
pub struct StatusHandle;

/// How the refreshing fares, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Status;

impl StatusHandle {
    /// Now.
    pub fn status(&self) -> Status {
        Status
    }
}

/// What is wrong with the files that a configuration names. Nothing is fetched.
pub async fn check_files(_config: &Config) -> Vec<Problem> {
    Vec::new()
}

/// Keeps `material` fresh.
pub fn keep_fresh<P, F>(
    _config: Arc<Config>,
    _material: Material,
    _metrics: &Arc<Metrics>,
    _publish: P,
) -> (StatusHandle, impl Future<Output = ()> + Send + use<P, F>)
where
    P: Fn(Material) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    (StatusHandle, std::future::pending())
}

/// Gets everything once, for a command that looks and ends.
pub async fn load_once(config: &Config) -> (Material, Vec<Problem>) {
    (Material { svid: None, bundles: Arc::new(super::Bundles::empty(config)) }, Vec::new())
}
