//! One X.509 authority of a trust domain, and what it may sign.

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::Der;
use rustls::pki_types::TrustAnchor;
use thiserror::Error;
use webpki::anchor_from_trusted_cert;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer as _;

use crate::clock::UnixTime;
use crate::spiffe_id::TrustDomain;
use crate::trust::chain::Side;
use crate::trust::extensions;
use crate::trust::extensions::Fault;

/// One X.509 authority: a trust anchor, when it is one, and for what.
///
/// RFC 5280 §6.1.1 takes of a trust anchor its name and key alone. The constraints in its certificate are its maker's
/// wish all the same, and held here, as Go's verifier does, which SPIRE's own workloads use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    anchor: TrustAnchor<'static>,
    key_id: Option<Vec<u8>>,
    not_before: UnixTime,
    not_after: UnixTime,
    /// `pathLenConstraint`: how many intermediates may stand below it.
    max_intermediates: Option<usize>,
    signs_clients: bool,
    signs_servers: bool,
    has_uri_constraints: bool,
    pub(super) sha256: [u8; 32],
}

/// Why a certificate is no authority of a trust domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuthorityError {
    /// No certificate, or something behind it.
    #[error("is no DER certificate")]
    Der,
    /// An extension occurs twice or cannot be read.
    #[error("has an extension that is repeated or malformed")]
    Extension,
    /// RFC 5280 §4.2: a critical extension that is not understood here.
    #[error("has a critical extension that is not known")]
    CriticalExtension,
    /// X509-SVID §3.2: an authority has the CA flag, and signs certificates.
    #[error("lacks the CA flag or keyCertSign")]
    NotAuthority,
    /// X509-SVID §3.2: an authority's own SPIFFE ID, where it has one, is its trust domain's, without a path. That it may
    /// be another trust domain's is left out on purpose: trust domains share nothing here.
    #[error("has a SPIFFE ID that is not its trust domain's")]
    OtherDomain,
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
        let constraints = certificate.basic_constraints().ok().flatten();
        let max_intermediates = constraints.and_then(|constraints| constraints.value.path_len_constraint);
        let purposes = certificate.extended_key_usage().ok().flatten().map(|usage| usage.value);
        Ok(Self {
            anchor,
            key_id: key_id(&certificate),
            not_before: UnixTime::from_seconds(validity.not_before.timestamp()),
            not_after: UnixTime::from_seconds(validity.not_after.timestamp()),
            max_intermediates: max_intermediates.map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
            signs_clients: purposes.is_none_or(|usage| usage.client_auth),
            signs_servers: purposes.is_none_or(|usage| usage.server_auth),
            has_uri_constraints: has_uri_constraints(&certificate),
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

    /// Whether it may have signed for `side`: its extended key usage, where it has one, limits all below it.
    pub(in crate::trust) const fn signs(&self, side: Side) -> bool {
        match side {
            Side::Client => self.signs_clients,
            Side::Server => self.signs_servers,
        }
    }

    /// Whether a path with so many intermediates may end at it.
    pub(in crate::trust) fn allows(&self, intermediates: usize) -> bool {
        self.max_intermediates.is_none_or(|max| intermediates <= max)
    }

    /// Whether it calls its key by one of `ids`.
    pub(in crate::trust) fn has_key_id(&self, ids: &[&[u8]]) -> bool {
        self.key_id.as_ref().is_some_and(|own| ids.contains(&own.as_slice()))
    }

    /// Whether it limits URIs. No such constraint can be checked here, so nothing that it signed verifies (X509-SVID §4.2
    /// expects that of verifiers).
    pub(super) const fn has_uri_constraints(&self) -> bool {
        self.has_uri_constraints
    }

    /// The anchor, borrowed.
    pub(in crate::trust) fn anchor(&self) -> TrustAnchor<'_> {
        let TrustAnchor { subject, subject_public_key_info, name_constraints } = &self.anchor;
        TrustAnchor {
            subject: Der::from_slice(subject),
            subject_public_key_info: Der::from_slice(subject_public_key_info),
            name_constraints: name_constraints.as_ref().map(|constraints| Der::from_slice(constraints)),
        }
    }
}

/// X509-SVID §3.2 and §4, of an authority or an intermediate: it is a CA, may sign certificates, and names, where it
/// names any, its own trust domain.
pub(in crate::trust) fn check_authority(certificate: &X509Certificate<'_>, domain: &str) -> Result<(), AuthorityError> {
    extensions::check(certificate, extensions::OF_AUTHORITY)?;
    let constraints = certificate.basic_constraints().map_err(|_repeated| AuthorityError::Extension)?;
    let usage = certificate.key_usage().map_err(|_repeated| AuthorityError::Extension)?;
    let is_ca = constraints.is_some_and(|constraints| constraints.value.ca);
    // Authorities made with OpenSSL's defaults have no key usage. RFC 5280 §6.1.4 (n) asks where there is one.
    if !is_ca || usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(AuthorityError::NotAuthority);
    }
    let names = extensions::uri_names(certificate)?;
    if names.iter().all(|name| may_name(name, domain)) { Ok(()) } else { Err(AuthorityError::OtherDomain) }
}

/// Whether an authority of `domain` may have this URI: another scheme's says nothing here.
fn may_name(uri: &str, domain: &str) -> bool {
    match uri.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("spiffe") => {
            scheme == "spiffe" && rest.strip_prefix("//") == Some(domain)
        }
        Some(_) | None => true,
    }
}

/// RFC 5280 §4.2.1.2: what certificates call the key that signed them.
fn key_id(certificate: &X509Certificate<'_>) -> Option<Vec<u8>> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    })
}

fn has_uri_constraints(certificate: &X509Certificate<'_>) -> bool {
    let constraints = certificate.name_constraints().ok().flatten().map(|extension| extension.value);
    let trees = constraints.map(|constraints| [&constraints.permitted_subtrees, &constraints.excluded_subtrees]);
    let mut trees = trees.into_iter().flatten().flatten().flatten();
    trees.any(|tree| matches!(tree.base, GeneralName::URI(_)))
}

impl From<Fault> for AuthorityError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Malformed => Self::Extension,
            Fault::Critical => Self::CriticalExtension,
        }
    }
}
