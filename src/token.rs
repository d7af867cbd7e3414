//! The user: a token whose signature and claims are proven against its issuer's keys.
//!
//! [`credential()`] finds the token in the request, a [`Verifier`] proves it against an immutable snapshot of every issuer's
//! keys ([`KeySets`]), and [`refresh`] keeps that snapshot fresh in the background. Verifying does no I/O: a token whose
//! key is not in the snapshot, or that its issuer must be asked about, is answered with [`Refusal::Needs`], and the edge
//! waits for a refresh or for [`introspection`] instead. A token that is bound to a key is good only with a proof of it.
//!
//! Header and claim rules are this module's own (RFC 8725, RFC 9068), with time as a value; signatures are aws-lc's.

mod admission;
mod cache;
mod claims;
mod credential;
mod delegation;
mod dpop;
pub mod introspection;
mod key_sets;
mod mapped;
mod pointer;
mod possession;
pub mod refresh;
pub mod revoked;
mod verifier;

#[cfg(test)]
mod tests;

pub use credential::Credential;
pub use credential::credential;
pub use dpop::DpopConfig;
pub use dpop::NonceSecret;
pub use dpop::PROOF_HEADER;
pub use dpop::Proofs;
pub use introspection::AskedTokens;
pub use introspection::Introspected;
pub use introspection::IntrospectionConfig;
pub use introspection::IntrospectionHandle;
pub use introspection::Question;
pub use key_sets::IssuerKeys;
pub use key_sets::KeySets;
pub use mapped::ClaimPaths;
pub use pointer::ClaimPointer;
pub use pointer::PointerError;
pub use revoked::Revoked;
pub use verifier::Presented;
pub use verifier::Verifier;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value as Json;

use crate::decision::Denial;
use crate::decision::Reason;
use crate::jose::Algorithm;
use crate::jose::Fault;
use crate::jose::JoseError;
use crate::route::Possession;

/// Whose tokens are believed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// The issuers, each named once.
    pub issuers: Vec<IssuerConfig>,
    /// How DPoP proofs are judged; `None`: tokens that need one are refused.
    pub dpop: Option<DpopConfig>,
}

/// One issuer, its keys, and what its tokens must be.
#[derive(Debug, Clone, PartialEq)]
pub struct IssuerConfig {
    /// `iss`, byte for byte.
    pub issuer: String,
    /// Where its keys come from.
    pub keys: KeySource,
    /// How it is asked about tokens; `None`: it is not.
    pub introspection: Option<IntrospectionConfig>,
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
    /// Whether its tokens must be bound to a key.
    pub proof_of_possession: Possession,
    /// Who may act by its tokens.
    pub actor: ActorRule,
}

/// Who may act by an issuer's tokens (RFC 8693 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ActorRule {
    /// Whoever presents one; what `act` says is the policy's.
    #[default]
    Any,
    /// The caller alone: the outermost `act` names it by its SPIFFE ID, or, without `act`, `may_act` names nobody else.
    Caller,
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
    /// Nowhere: it is asked about each of its tokens, whatever they look like.
    Nowhere,
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
    /// It cannot be judged yet.
    Needs(Need),
}

/// What a token cannot be judged without, and what only its issuer can give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// It names a key that its issuer did not have when the keys were last fetched.
    Keys(IssuerIndex),
    /// It must be asked about.
    Answer(Question),
}

/// What was waited for, each at most once for a check.
#[derive(Debug, Clone, Default)]
pub struct Waited {
    /// Newer keys: how to refuse a token whose key is not among them.
    pub keys: Option<Reason>,
    /// The issuer's answer about the token.
    pub answer: Option<Introspected>,
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
