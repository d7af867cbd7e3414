//! X.509 path validation (RFC 5280 §6) from a leaf to an authority of its own trust domain (X509-SVID §5).
//!
//! webpki finds the path and checks signatures, names, validity, the CA flag, path lengths and extended key usages of
//! intermediates, name constraints, and that no critical extension is unknown. What it leaves out is checked here and in
//! [`super::bundle`]: key usages and SPIFFE IDs of authorities, and an authority's own validity, path length and extended
//! key usage. Name constraints on URIs and on directory names are beyond webpki: whatever they bind is refused.
//!
//! The work is bounded, whatever a stranger sends: at most [`MAX_CHAIN`] certificates, of which six may be intermediates
//! of one path, 100 signatures, and 250 000 comparisons of constrained names (webpki's budgets). Its 200 000 steps of path
//! building would be too many; they come from certificates of one name, which are tried in every order, and so a name may
//! stand for one key only.

#[cfg(test)]
mod tests;

use std::ptr;

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::SignatureVerificationAlgorithm;
use rustls::pki_types::TrustAnchor;
use rustls::pki_types::UnixTime as PkiTime;
use thiserror::Error;
use webpki::EndEntityCert;
use webpki::Error as PathError;
use webpki::KeyUsage;
use webpki::VerifiedPath;
use webpki::aws_lc_rs as algorithms;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer as _;

use super::Bundle;
use super::bundle::Authority;
use super::bundle::AuthorityError;
use super::bundle::check_authority;
use super::certificate::Leaf;
use super::certificate::MAX_CHAIN;
use crate::clock::UnixTime;

/// For which side of a connection a leaf must be good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that calls.
    Client,
    /// The one that is called.
    Server,
}

/// Why a leaf does not chain to a bundle. Says nothing that a stranger has written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChainError {
    /// More than [`MAX_CHAIN`] certificates.
    #[error("the chain has more than {MAX_CHAIN} certificates")]
    TooLong,
    /// The leaf was read from other bytes.
    #[error("the certificate is not the one that was read")]
    OtherLeaf,
    /// A certificate behind the leaf is no authority of the trust domain.
    #[error("an intermediate certificate {0}")]
    Intermediate(AuthorityError),
    /// Two certificates behind the leaf have one name and different keys.
    #[error("two intermediate certificates have one name and different keys")]
    NameShared,
    /// No path to an authority that is valid now.
    #[error("the certificate does not chain to the bundle of its trust domain: {0}")]
    NoPath(&'static str),
}

/// What certificates may be signed with: no SHA-1, and no RSA key below 2048 or above 8192 bits.
static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    algorithms::ECDSA_P256_SHA256,
    algorithms::ECDSA_P256_SHA384,
    algorithms::ECDSA_P256_SHA512,
    algorithms::ECDSA_P384_SHA256,
    algorithms::ECDSA_P384_SHA384,
    algorithms::ECDSA_P384_SHA512,
    algorithms::ECDSA_P521_SHA256,
    algorithms::ECDSA_P521_SHA384,
    algorithms::ECDSA_P521_SHA512,
    algorithms::ED25519,
    algorithms::RSA_PKCS1_2048_8192_SHA256,
    algorithms::RSA_PKCS1_2048_8192_SHA384,
    algorithms::RSA_PKCS1_2048_8192_SHA512,
    algorithms::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
    algorithms::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
];

/// Proves that an authority in `bundle`, which is that of the leaf's own trust domain, has signed `leaf`, which was read
/// from `der`, through `intermediates` if need be. Gives the end of what was proven: the first end of validity on the path.
///
/// # Errors
/// [`ChainError`].
pub fn verify(
    leaf: &Leaf,
    der: &[u8],
    intermediates: &[Vec<u8>],
    bundle: &Bundle,
    side: Side,
    now: UnixTime,
) -> Result<UnixTime, ChainError> {
    if intermediates.len() >= MAX_CHAIN {
        return Err(ChainError::TooLong);
    }
    // Who the leaf is was read elsewhere; a proof for other bytes would be a proof for somebody else.
    if digest::digest(&digest::SHA256, der).as_ref() != leaf.facts.sha256 {
        return Err(ChainError::OtherLeaf);
    }
    let links: Vec<Link<'_>> =
        intermediates.iter().map(|der| Link::read(der, leaf.spiffe_id.trust_domain())).collect::<Result<_, _>>()?;
    check_names(&links)?;
    let authorities = candidates(bundle, &signers(der, &links), side, now);
    let anchors = Anchors::of(&authorities);

    let intermediates: Vec<CertificateDer<'_>> = links.iter().map(|link| link.der.into()).collect();
    let end_entity = CertificateDer::from(der);
    let end_entity = EndEntityCert::try_from(&end_entity).map_err(|error| no_path(&error))?;
    let (now, usage) = (pki_time(now), side.usage());
    let length = |path: &VerifiedPath<'_>| anchors.check_length(path);
    let path = end_entity
        .verify_for_usage(ALGORITHMS, &anchors.anchors, &intermediates, now, usage, None, Some(&length))
        .map_err(|error| no_path(&error))?;
    let on_path = |link: &&Link<'_>| path.intermediate_certificates().any(|used| *used.der() == *link.der);
    let ends = links.iter().filter(on_path).map(Link::not_after);
    Ok(ends.chain(anchors.of_path(&path).map(Authority::not_after)).fold(leaf.facts.not_after, UnixTime::min))
}

impl Side {
    const fn usage(self) -> KeyUsage {
        match self {
            Self::Client => KeyUsage::client_auth(),
            Self::Server => KeyUsage::server_auth(),
        }
    }
}

/// Authorities in the library's form, and which is which.
struct Anchors<'b> {
    authorities: &'b [&'b Authority],
    anchors: Vec<TrustAnchor<'b>>,
}

impl<'b> Anchors<'b> {
    fn of(authorities: &'b [&'b Authority]) -> Self {
        Self { authorities, anchors: authorities.iter().map(|authority| authority.anchor()).collect() }
    }

    /// The authority that a path ends at: itself, and not one of the same name and key.
    fn of_path(&self, path: &VerifiedPath<'_>) -> Option<&'b Authority> {
        let mut pairs = self.authorities.iter().zip(&self.anchors);
        pairs.find(|(_, anchor)| ptr::eq(*anchor, path.anchor())).map(|(authority, _)| *authority)
    }

    fn check_length(&self, path: &VerifiedPath<'_>) -> Result<(), PathError> {
        let length = path.intermediate_certificates().count();
        let allowed = self.of_path(path).is_some_and(|authority| authority.allows(length));
        if allowed { Ok(()) } else { Err(PathError::PathLenConstraintViolated) }
    }
}

/// A certificate behind the leaf.
struct Link<'d> {
    der: &'d [u8],
    certificate: X509Certificate<'d>,
}

impl<'d> Link<'d> {
    fn read(der: &'d [u8], domain: &str) -> Result<Self, ChainError> {
        let Ok(([], certificate)) = X509Certificate::from_der(der) else {
            return Err(ChainError::Intermediate(AuthorityError::Der));
        };
        check_authority(&certificate, domain).map_err(ChainError::Intermediate)?;
        Ok(Self { der, certificate })
    }

    fn not_after(&self) -> UnixTime {
        UnixTime::from_seconds(self.certificate.validity().not_after.timestamp())
    }

    /// Cross-signed certificates share a name, and their key with it.
    fn clashes_with(&self, other: &Self) -> bool {
        let (own, other) = (&self.certificate, &other.certificate);
        own.subject().as_raw() == other.subject().as_raw() && own.public_key().raw != other.public_key().raw
    }
}

fn check_names(links: &[Link<'_>]) -> Result<(), ChainError> {
    let clashes = links.iter().any(|link| links.iter().any(|other| link.clashes_with(other)));
    if clashes { Err(ChainError::NameShared) } else { Ok(()) }
}

/// The ids of the keys that have signed the leaf and the certificates behind it, as far as they say (RFC 5280 §4.2.1.1).
fn signers(leaf: &[u8], links: &[Link<'_>]) -> Vec<Vec<u8>> {
    let leaf = X509Certificate::from_der(leaf).ok().map(|(_, leaf)| leaf);
    let certificates = links.iter().map(|link| &link.certificate).chain(&leaf);
    let ids =
        certificates.flat_map(|one| one.iter_extensions()).filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(identifier) => identifier.key_identifier.as_ref(),
            _ => None,
        });
    ids.map(|id| id.0.to_vec()).collect()
}

/// The authorities that may have signed. An authority whose time is over signs no more, though SPIRE leaves it in the
/// bundle for long. Authorities often share a name: those whose key the certificates name are tried first, so that the
/// budget of signatures is enough however many there are.
fn candidates<'b>(bundle: &'b Bundle, signers: &[Vec<u8>], side: Side, now: UnixTime) -> Vec<&'b Authority> {
    let signers: Vec<&[u8]> = signers.iter().map(Vec::as_slice).collect();
    let authorities = bundle.x509_authorities().iter();
    let mut found: Vec<&Authority> = authorities.filter(|one| one.is_valid_at(now) && one.signs(side)).collect();
    found.sort_by_key(|authority| !authority.has_key_id(&signers));
    found
}

/// The library's errors can carry lists of a stranger's making; the log gets a sentence.
const fn no_path(error: &PathError) -> ChainError {
    ChainError::NoPath(match error {
        PathError::UnknownIssuer => "no authority that is valid now has its issuer's name",
        PathError::InvalidSignatureForPublicKey => "a signature is not its issuer's",
        PathError::CertExpired { .. } => "a certificate has expired",
        PathError::CertNotValidYet { .. } => "a certificate is not valid yet",
        PathError::PathLenConstraintViolated | PathError::MaximumPathDepthExceeded => "the path is too long",
        PathError::NameConstraintViolation | PathError::MalformedNameConstraint => {
            "name constraints exclude it, or cannot be checked"
        }
        PathError::RequiredEkuNotFoundContext(_) | PathError::EmptyEkuExtension => "an extended key usage excludes it",
        PathError::UnsupportedSignatureAlgorithmContext(_)
        | PathError::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            "a signature's algorithm or key is not accepted"
        }
        PathError::MaximumSignatureChecksExceeded
        | PathError::MaximumPathBuildCallsExceeded
        | PathError::MaximumNameConstraintComparisonsExceeded => "finding out would cost too much",
        _ => "a certificate is malformed",
    })
}

fn pki_time(now: UnixTime) -> PkiTime {
    PkiTime::since_unix_epoch(now.since(UnixTime::default()))
}
