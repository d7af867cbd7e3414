//! One trust domain's bundle: what its authorities' signatures are verified with.

mod authority;
mod parse;

#[cfg(test)]
mod tests;

use std::time::Duration;

use thiserror::Error;

use crate::jose::Algorithm;
use crate::jose::KeySet;
use crate::jose::KeySetError;
use crate::jose::json::JsonError;
use crate::spiffe_id::TrustDomain;

pub use authority::Authority;
pub use authority::AuthorityError;
pub(super) use authority::check_authority;

/// What the authorities of one trust domain verify with. Equal bundles verify the same.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// For X509-SVIDs.
    x509: Vec<Authority>,
    /// For JWT-SVIDs.
    jwt: KeySet,
    /// For WIT-SVIDs.
    wit: KeySet,
    /// `spiffe_sequence`, where the document has one.
    pub sequence: Option<u64>,
    /// `spiffe_refresh_hint`, where the document has one: as it stands there, be it zero or for ever.
    pub refresh_hint: Option<Duration>,
    warnings: Vec<String>,
}

/// Why a document is no bundle.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BundleError {
    /// Neither PEM nor JSON.
    #[error("the bundle is neither PEM certificates nor a JSON object")]
    Form,
    /// PEM that cannot be read.
    #[error("the bundle's PEM has no certificates, or one that cannot be read")]
    Pem,
    /// Not a JSON object, one with a repeated member name, or one too large.
    #[error("the bundle {0}")]
    Json(JsonError),
    /// A member with a wrong type.
    #[error("the bundle's `{0}` has the wrong type or range")]
    Member(&'static str),
    /// No `keys`, or not a list of objects, or too long a list.
    #[error(transparent)]
    Keys(#[from] KeySetError),
    /// More authorities than are looked at.
    #[error("the bundle has more than {MAX_AUTHORITIES} X.509 authorities")]
    TooManyAuthorities,
    /// A map of JWT bundles that has none for the trust domain.
    #[error("the file has no bundle of the trust domain")]
    OtherDomain,
}

/// Rotating authorities leave their predecessors behind: SPIRE has some ten at a time. More than this is a mistake.
const MAX_AUTHORITIES: usize = 256;
/// What keys without `alg` are for: bundles name no algorithm, and SPIRE signs with RSA keys like this.
const RSA: Option<Algorithm> = Some(Algorithm::Rs256);
const JWT_SVID: &str = "jwt-svid";
const WIT_SVID: &str = "wit-svid";
const X509_SVID: &str = "x509-svid";

impl Bundle {
    /// No authorities: every SVID of the trust domain is untrusted.
    pub const fn empty() -> Self {
        Self {
            x509: Vec::new(),
            jwt: KeySet::empty(),
            wit: KeySet::empty(),
            sequence: None,
            refresh_hint: None,
            warnings: Vec::new(),
        }
    }

    /// For X509-SVIDs.
    pub fn x509_authorities(&self) -> &[Authority] {
        &self.x509
    }

    /// For JWT-SVIDs.
    pub const fn jwt_authorities(&self) -> &KeySet {
        &self.jwt
    }

    /// For WIT-SVIDs.
    pub const fn wit_authorities(&self) -> &KeySet {
        &self.wit
    }

    /// What was left out, and why; for the log.
    pub fn warnings(&self) -> impl Iterator<Item = &String> {
        // Both sets are read from one list, and a key that is of no use at all is noticed twice.
        let of_wit = self.wit.warnings().iter().filter(|warning| !self.jwt.warnings().contains(warning));
        self.warnings.iter().chain(self.jwt.warnings()).chain(of_wit)
    }

    /// Whether it verifies nothing at all.
    pub fn is_empty(&self) -> bool {
        self.x509.is_empty() && self.jwt.usable() == 0 && self.wit.usable() == 0
    }

    /// This bundle's X.509 authorities with the JWT authorities of another part of the same trust domain's bundle, or the
    /// other way round: a part that has none of a kind leaves the other's.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        let mut x509 = self.x509;
        x509.extend(other.x509);
        settle(&mut x509);
        Self {
            x509,
            jwt: if other.jwt.usable() > 0 { other.jwt } else { self.jwt },
            wit: if other.wit.usable() > 0 { other.wit } else { self.wit },
            sequence: other.sequence.or(self.sequence),
            refresh_hint: other.refresh_hint.or(self.refresh_hint),
            warnings: self.warnings.into_iter().chain(other.warnings).collect(),
        }
    }

    /// Takes in certificates, each with its place in the document.
    fn add_authorities(&mut self, domain: &TrustDomain, found: Vec<(usize, Vec<u8>)>) -> Result<(), BundleError> {
        if self.x509.len().saturating_add(found.len()) > MAX_AUTHORITIES {
            return Err(BundleError::TooManyAuthorities);
        }
        for (place, der) in found {
            match Authority::read(&der, domain) {
                Ok(authority) => {
                    if authority.has_uri_constraints() {
                        self.warn_of(place, "constrains URIs, which cannot be checked: what it signs is not trusted");
                    }
                    self.x509.push(authority);
                }
                Err(error) => self.warn_of(place, &format!("{error}: it is not used")),
            }
        }
        settle(&mut self.x509);
        Ok(())
    }

    fn warn_of(&mut self, place: usize, what: &str) {
        self.warnings.push(format!("X.509 authority {place} {what}"));
    }
}

/// The order of authorities means nothing, so it must not make two bundles differ; nor may one that stands twice.
fn settle(authorities: &mut Vec<Authority>) {
    authorities.sort_by_key(|authority| authority.sha256);
    authorities.dedup_by_key(|authority| authority.sha256);
}

impl PartialEq for Bundle {
    fn eq(&self, other: &Self) -> bool {
        let Self { x509, jwt, wit, sequence, refresh_hint, warnings: _ } = self;
        *x509 == other.x509
            && *jwt == other.jwt
            && *wit == other.wit
            && *sequence == other.sequence
            && *refresh_hint == other.refresh_hint
    }
}
