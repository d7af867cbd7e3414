//! One trust domain's bundle: what its authorities' signatures are verified with.

mod parse;

#[cfg(test)]
mod tests;

use std::time::Duration;

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::TrustAnchor;
use thiserror::Error;
use webpki::anchor_from_trusted_cert;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

use crate::clock::UnixTime;
use crate::jose::Algorithm;
use crate::jose::KeySet;
use crate::jose::KeySetError;
use crate::jose::json::JsonError;
use crate::spiffe_id::TrustDomain;

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
    /// `spiffe_refresh_hint`, where the document has one.
    pub refresh_hint: Option<Duration>,
    warnings: Vec<String>,
}

/// One X.509 authority: a trust anchor, and when it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    pub(super) anchor: TrustAnchor<'static>,
    pub(super) not_before: UnixTime,
    pub(super) not_after: UnixTime,
    sha256: [u8; 32],
}

/// Why a document is no bundle.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BundleError {
    /// Neither PEM nor JSON.
    #[error("the bundle is neither PEM certificates nor a JSON object")]
    Form,
    /// PEM that cannot be read.
    #[error("the bundle's PEM cannot be read")]
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

/// Why a certificate is no authority of a trust domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuthorityError {
    /// No certificate, or something behind it.
    #[error("is no DER certificate")]
    Der,
    /// X509-SVID §4.1 and §4.3: an authority has the CA flag, and signs certificates.
    #[error("lacks the CA flag or keyCertSign")]
    NotAuthority,
    /// X509-SVID §3.1: an authority's own SPIFFE ID, where it has one, is its trust domain's.
    #[error("names another trust domain in its URI SAN")]
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
        self.warnings.iter().chain(self.jwt.warnings()).chain(self.wit.warnings())
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

    fn add_authorities(&mut self, domain: &TrustDomain, certificates: &[Vec<u8>]) -> Result<(), BundleError> {
        if self.x509.len().saturating_add(certificates.len()) > MAX_AUTHORITIES {
            return Err(BundleError::TooManyAuthorities);
        }
        for (position, der) in certificates.iter().enumerate() {
            match Authority::read(der, domain) {
                Ok(authority) => self.x509.push(authority),
                Err(error) => self.warnings.push(format!("X.509 authority {position} {error}: it is not used")),
            }
        }
        settle(&mut self.x509);
        Ok(())
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

impl Authority {
    /// Reads an authority of `domain`.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn read(der: &[u8], domain: &TrustDomain) -> Result<Self, AuthorityError> {
        let Ok(([], certificate)) = X509Certificate::from_der(der) else { return Err(AuthorityError::Der) };
        check_authority(&certificate, domain.as_str())?;
        let owned = CertificateDer::from(der);
        let anchor = anchor_from_trusted_cert(&owned).map_err(|_unreadable| AuthorityError::Der)?.to_owned();
        let mut sha256 = [0; 32];
        sha256.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
        let validity = certificate.validity();
        Ok(Self {
            anchor,
            not_before: UnixTime::from_seconds(validity.not_before.timestamp()),
            not_after: UnixTime::from_seconds(validity.not_after.timestamp()),
            sha256,
        })
    }

    /// When it ends.
    pub const fn not_after(&self) -> UnixTime {
        self.not_after
    }

    /// Whether `now` lies within its validity.
    pub fn is_valid_at(&self, now: UnixTime) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

/// X509-SVID §4.1 and §4.3, of an authority or an intermediate: it is a CA, signs certificates, and names, where it names
/// any, its own trust domain (§3.1).
pub(super) fn check_authority(certificate: &X509Certificate<'_>, domain: &str) -> Result<(), AuthorityError> {
    let constraints = certificate.basic_constraints().map_err(|_repeated| AuthorityError::Der)?;
    let usage = certificate.key_usage().map_err(|_repeated| AuthorityError::Der)?;
    let is_ca = constraints.is_some_and(|constraints| constraints.value.ca);
    if !is_ca || usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(AuthorityError::NotAuthority);
    }
    let names = certificate.subject_alternative_name().map_err(|_repeated| AuthorityError::Der)?;
    let names = names.as_ref().map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let is_foreign = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) => {
            uri.strip_prefix("spiffe://").is_some_and(|rest| rest.split('/').next() != Some(domain))
        }
        _ => false,
    };
    if names.iter().any(is_foreign) { Err(AuthorityError::OtherDomain) } else { Ok(()) }
}
