//! X.509 path validation (RFC 5280 §6) from a leaf to an authority of its own trust domain (X509-SVID §5).

#[cfg(test)]
mod tests;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::TrustAnchor;
use rustls::pki_types::UnixTime as PkiTime;
use thiserror::Error;
use webpki::EndEntityCert;
use webpki::KeyUsage;
use x509_parser::certificate::X509Certificate;
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

/// Why a leaf does not chain to a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChainError {
    /// More than [`MAX_CHAIN`] certificates.
    #[error("the chain has more than {MAX_CHAIN} certificates")]
    TooLong,
    /// A certificate behind the leaf is no authority of the trust domain.
    #[error("an intermediate certificate {0}")]
    Intermediate(AuthorityError),
    /// No path to an authority that is valid now.
    #[error("the certificate does not chain to the bundle of its trust domain: {0}")]
    NoPath(String),
}

/// Proves that an authority in `bundle`, which is that of the leaf's own trust domain, has signed `leaf`, through
/// `intermediates` if need be. Gives the end of what was proven: the first end of validity on the path.
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
    let mut until = leaf.facts.not_after;
    for intermediate in intermediates {
        until = until.min(end_of_intermediate(intermediate, leaf.spiffe_id.trust_domain())?);
    }
    // An authority whose time is over signs no more, though SPIRE leaves it in the bundle for long.
    let valid: Vec<&Authority> = bundle.x509_authorities().iter().filter(|one| one.is_valid_at(now)).collect();
    let anchors: Vec<TrustAnchor<'_>> = valid.iter().map(|authority| authority.anchor.clone()).collect();
    let intermediates: Vec<CertificateDer<'_>> = intermediates.iter().map(|der| der.as_slice().into()).collect();
    let end_entity = CertificateDer::from(der);
    let end_entity = EndEntityCert::try_from(&end_entity).map_err(|error| no_path(&error))?;
    let usage = match side {
        Side::Client => KeyUsage::client_auth(),
        Side::Server => KeyUsage::server_auth(),
    };
    let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms.all;
    let path = end_entity
        .verify_for_usage(algorithms, &anchors, &intermediates, pki_time(now), usage, None, None)
        .map_err(|error| no_path(&error))?;
    let end = valid.iter().filter(|authority| authority.anchor == *path.anchor()).map(|one| one.not_after()).min();
    Ok(end.map_or(until, |end| until.min(end)))
}

fn end_of_intermediate(der: &[u8], domain: &str) -> Result<UnixTime, ChainError> {
    let Ok(([], certificate)) = X509Certificate::from_der(der) else {
        return Err(ChainError::Intermediate(AuthorityError::Der));
    };
    check_authority(&certificate, domain).map_err(ChainError::Intermediate)?;
    Ok(UnixTime::from_seconds(certificate.validity().not_after.timestamp()))
}

fn no_path(error: &webpki::Error) -> ChainError {
    ChainError::NoPath(error.to_string())
}

fn pki_time(now: UnixTime) -> PkiTime {
    PkiTime::since_unix_epoch(now.since(UnixTime::default()))
}
