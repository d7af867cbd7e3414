//! Everything held and trusted at one moment.

use std::sync::Arc;

use super::Bundles;
use super::Svid;

/// What the program holds, and what it trusts: replaced whole.
#[derive(Debug, Clone, Default)]
pub struct Material {
    /// The own certificate; `None` before the first.
    pub svid: Option<Arc<Svid>>,
    /// The trust domains' bundles.
    pub bundles: Arc<Bundles>,
}
