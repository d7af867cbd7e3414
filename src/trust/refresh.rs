//! Keeps own identity and trust fresh, off the check path.

use std::future::Future;
use std::sync::Arc;

use super::Config;
use super::Material;
use crate::problem::Problem;
use crate::telemetry::Metrics;

/// Keeps `material` fresh from the places that `config` names: the work, to be spawned, which ends never. `publish` is
/// called with each new material, one at a time, and must have put it in force when its future ends.
pub fn keep_fresh<P, F>(
    _config: Arc<Config>,
    _material: Material,
    _metrics: &Arc<Metrics>,
    _publish: P,
) -> impl Future<Output = ()> + Send + use<P, F>
where
    P: Fn(Material) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    std::future::pending()
}

/// Gets everything once, for a command that looks and ends.
pub async fn load_once(config: &Config) -> (Material, Vec<Problem>) {
    (Material { svid: None, bundles: Arc::new(super::Bundles::empty(config)) }, Vec::new())
}
