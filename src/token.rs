//! The user: a bearer token whose signature and claims are proven against its issuer's keys.
//!
//! [`bearer()`] finds the token in the request, a [`Verifier`] proves it against an immutable snapshot of every issuer's
//! keys ([`KeySets`]), and [`refresh`] keeps that snapshot fresh in the background. Verifying does no I/O: a token whose
//! key is not in the snapshot is answered with [`Refusal::NeedsKeys`], and the edge waits for a refresh instead.
//!
//! Header and claim rules are this module's own (RFC 8725, RFC 9068), with time as a value; signatures are aws-lc's.

mod admission;
mod bearer;
mod cache;
mod claims;
mod key_sets;
mod mapped;
mod pointer;
pub mod refresh;
pub mod revoked;
mod verifier;

#[cfg(test)]
mod tests;

pub use bearer::bearer;
pub use key_sets::IssuerKeys;
pub use key_sets::KeySets;
pub use mapped::ClaimPaths;
pub use pointer::ClaimPointer;
pub use pointer::PointerError;
pub use revoked::Revoked;
pub use verifier::Verifier;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value as Json;

use crate::decision::Denial;
use crate::decision::Reason;
use crate::jose::Algorithm;
use crate::jose::Fault;
use crate::jose::JoseError;

/// Whose tokens are believed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// The issuers, each named once.
    pub issuers: Vec<IssuerConfig>,
}

/// One issuer, its keys, and what its tokens must be.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuerConfig {
    /// `iss`, byte for byte.
    pub issuer: String,
    /// Where its keys come from.
    pub keys: KeySource,
    /// The algorithms its tokens may use.
    pub algorithms: Vec<Algorithm>,
    /// A token's `aud` must name one of these exactly; with none, no token is accepted.
    pub audiences: Vec<String>,
    /// Claims a token must have: with this value, or with any value but null where none is given.
    pub required_claims: Vec<(String, Option<Json>)>,
    /// Where its tokens have roles, groups and tenant.
    pub claims: ClaimPaths,
    /// Allowed `typ` headers, one of which a token must then have; empty: `JWT`, `at+jwt` or no `typ`.
    pub token_types: Vec<String>,
    /// How far clocks may disagree, in whole seconds.
    pub leeway: Duration,
    /// How often the keys are fetched.
    pub refresh_interval: Duration,
    /// At most one fetch on demand in this time.
    pub refresh_cooldown: Duration,
    /// How long keys serve after they were last fetched.
    pub max_stale: Duration,
    /// Whether readiness does without this issuer's keys.
    pub optional: bool,
    /// Whether its tokens may have a workload's SPIFFE ID as their subject.
    pub workload_subjects: bool,
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A JWKS in a file, read again at every refresh.
    File(PathBuf),
    /// A JWKS at an `https` URL.
    Url {
        /// The URL.
        url: String,
        /// PEM certificates that are the only trusted roots; `None`: the system's.
        ca_file: Option<PathBuf>,
    },
    /// `jwks_uri` of the issuer's OIDC discovery document.
    Discovery {
        /// As in [`KeySource::Url`].
        ca_file: Option<PathBuf>,
    },
    /// `jwks_uri` of the issuer's authorization server metadata (RFC 8414).
    OauthMetadata {
        /// As in [`KeySource::Url`].
        ca_file: Option<PathBuf>,
    },
}

/// Which of [`Config::issuers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IssuerIndex(usize);

impl Config {
    /// Where `issuer` stands, compared byte for byte.
    pub fn index_of(&self, issuer: &str) -> Option<IssuerIndex> {
        self.issuers.iter().position(|known| known.issuer == issuer).map(IssuerIndex)
    }

    /// The issuer at `index`.
    pub fn issuer(&self, index: IssuerIndex) -> Option<&IssuerConfig> {
        self.issuers.get(index.0)
    }
}

/// Why a token gives no user.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// It is refused.
    Denied(Denial),
    /// It names a key that its issuer did not have when the keys were last fetched.
    NeedsKeys(IssuerIndex),
}

/// A user's token that cannot be read, or has no key.
fn refused(error: JoseError) -> Denial {
    let reason = match error.fault {
        Fault::TooLarge => Reason::TokenTooLarge,
        Fault::Malformed => Reason::TokenMalformed,
        Fault::Forbidden => Reason::TokenHeaderForbidden,
        Fault::Algorithm => Reason::TokenAlgorithm,
        Fault::KeyUnknown => Reason::TokenKeyUnknown,
    };
    Denial::new(reason, error.detail)
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}
