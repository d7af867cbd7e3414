//! Whom to believe about workloads: SPIFFE trust domains, their bundles, and this program's own SVID.
//!
//! A [`Bundle`] is what one trust domain's authorities verify with, [`Bundles`] all of them at one moment, immutable and
//! replaced whole. INVARIANT: trust domains never share roots. Whatever is verified is verified with the bundle of the
//! trust domain that it names, and with nothing else (SPIFFE Federation §7.3).
//!
//! [`certificate`] and [`chain`] are how an X509-SVID is proven, [`tls`] how a connection is, and [`refresh`] keeps all
//! material fresh in the background, which [`report`] describes. Proving takes time as a value and does no I/O.

pub mod bundle;
mod bundles;
pub mod certificate;
pub mod chain;
mod extensions;
mod material;
pub mod refresh;
pub mod report;
mod svid;
pub mod tls;

#[cfg(test)]
pub(crate) mod fixtures;

pub use bundle::Bundle;
pub use bundles::Bundles;
pub use bundles::Held;
pub use bundles::NoBundle;
pub use bundles::Origin;
pub use material::Material;
pub use svid::Svid;
pub use svid::SvidError;

use std::path::PathBuf;

use crate::spiffe_id::SpiffeId;
use crate::spiffe_id::TrustDomain;

/// Where own identity and trust come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The Workload API's socket, as `unix:///PATH`: own SVID, and the bundles of the own and the federated domains.
    pub workload_api: Option<String>,
    /// Which SVID is the own one, where the Workload API gives several; `None`: the first.
    pub svid_id: Option<SpiffeId>,
    /// The own certificate from files, instead of the Workload API's.
    pub svid: Option<CertificateFiles>,
    /// Trust domains whose bundle comes from elsewhere; each named once. They win over the Workload API's.
    pub bundles: Vec<BundleConfig>,
}

/// A certificate with its key, in PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The leaf first, then its intermediates.
    pub certificate: PathBuf,
    /// PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// One trust domain, and where its bundle comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleConfig {
    /// The trust domain.
    pub trust_domain: TrustDomain,
    /// The bundle, or its parts; with an endpoint what to begin with.
    pub files: Vec<PathBuf>,
    /// Where newer ones are fetched.
    pub endpoint: Option<Endpoint>,
    /// Whether readiness does without it.
    pub optional: bool,
}

/// A SPIFFE bundle endpoint (SPIFFE Federation §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its `https` URL.
    pub url: String,
    /// How its server is authenticated.
    pub profile: Profile,
    /// Whether a bundle with a lower sequence number than the one held is refused.
    pub refuse_rollback: bool,
}

/// How a bundle endpoint's server is authenticated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// By the web's authorities, or those in `ca_file` alone (§5.2.1).
    HttpsWeb {
        /// PEM certificates.
        ca_file: Option<PathBuf>,
    },
    /// By its X509-SVID, which has exactly this ID (§5.2.2).
    HttpsSpiffe {
        /// The server's ID.
        id: SpiffeId,
    },
}

impl Config {
    /// Whether there is anything to hold or trust.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an own certificate is expected.
    pub const fn has_svid(&self) -> bool {
        self.svid.is_some() || self.workload_api.is_some()
    }
}
