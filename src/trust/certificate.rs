//! The X509-SVID profile of a leaf, and the form in which proxies forward certificates (URL-encoded PEM).
//!
//! That a trusted authority has signed it is not proven here: that is [`super::chain`]'s.

#[cfg(test)]
mod tests;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::extensions;
use super::extensions::Fault;
use crate::clock::UnixTime;
use crate::decision::Reason;
use crate::facts::CertificateFacts;
use crate::hex;
use crate::spiffe_id::SpiffeId;
use crate::spiffe_id::SpiffeIdError;

/// The longest text looked at. Encoded SVIDs have 1 to 6 KiB; TLS stacks refuse chains of some 100 KiB.
const MAX_TEXT_BYTES: usize = 32 * 1024;
/// A leaf and its intermediates: nested SPIRE servers make three or four.
pub const MAX_CHAIN: usize = 8;
/// RFC 5280 §4.1.2.2: at most 20 octets, and one more for the sign.
const MAX_SERIAL_BYTES: usize = 21;
const PEM_BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----\n";
const PEM_END: &[u8] = b"-----END CERTIFICATE-----";

/// A certificate that is an X509-SVID leaf. Whether it is valid depends on when: ask [`Leaf::check_validity`] each time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The workload that it is for.
    pub spiffe_id: SpiffeId,
    /// What policies may see of it.
    pub facts: CertificateFacts,
    /// Beginning of validity.
    pub not_before: UnixTime,
}

/// Why a certificate does not prove a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CertificateError {
    /// The text is longer than any leaf.
    #[error("the certificate's text has more than 32 KiB")]
    TooLong,
    /// A chain of more than [`MAX_CHAIN`] certificates.
    #[error("the chain has more than {MAX_CHAIN} certificates")]
    ChainTooLong,
    /// A `%` without two digits, or a byte that URL encoding never leaves.
    #[error("the certificate's text is not URL-encoded")]
    UrlEncoding,
    /// Not exactly one PEM block, or something around it.
    #[error("the certificate's text is not exactly one PEM block")]
    Pem,
    /// The block's content is no X.509 certificate, or has bytes after it.
    #[error("the PEM block is not exactly one DER certificate")]
    Der,
    /// An extension occurs twice or cannot be read.
    #[error("an extension of the certificate is repeated or malformed")]
    Extension,
    /// RFC 5280 §4.2: a critical extension that is not understood here.
    #[error("the certificate has a critical extension that is not known")]
    CriticalExtension,
    /// The serial number is longer than RFC 5280 allows.
    #[error("the certificate's serial number has more than 20 octets")]
    Serial,
    /// X509-SVID §2: exactly one URI SAN.
    #[error("the certificate has no URI SAN")]
    UriMissing,
    /// X509-SVID §2: exactly one URI SAN.
    #[error("the certificate has several URI SANs")]
    UriRepeated,
    /// The URI SAN is no SPIFFE ID of a workload.
    #[error("the certificate's URI SAN {0}")]
    Uri(#[from] SpiffeIdError),
    /// X509-SVID §4.1: a leaf has no CA flag.
    #[error("the certificate is an authority's")]
    Authority,
    /// X509-SVID §4.3: key usage is set.
    #[error("the certificate has no key usage")]
    KeyUsageMissing,
    /// X509-SVID §4.3: key usage is critical.
    #[error("the certificate's key usage is not critical")]
    KeyUsageNotCritical,
    /// X509-SVID §4.3: a leaf signs.
    #[error("the certificate's key usage lacks digitalSignature")]
    DigitalSignatureMissing,
    /// X509-SVID §4.3: a leaf signs no certificates and no revocation lists.
    #[error("the certificate's key usage has keyCertSign or cRLSign")]
    SigningUsage,
    /// X509-SVID §4.4: where there is an extended key usage, it includes client authentication.
    #[error("the certificate's extended key usage lacks clientAuth")]
    ClientAuthMissing,
    /// After the end of validity.
    #[error("the certificate expired at {0}")]
    Expired(UnixTime),
    /// Before the beginning of validity.
    #[error("the certificate is not valid before {0}")]
    NotYetValid(UnixTime),
}

impl CertificateError {
    /// The reason that the denial gets.
    pub const fn reason(self) -> Reason {
        match self {
            Self::TooLong
            | Self::ChainTooLong
            | Self::UrlEncoding
            | Self::Pem
            | Self::Der
            | Self::Extension
            | Self::Serial => Reason::CallerCertificateMalformed,
            Self::UriMissing
            | Self::UriRepeated
            | Self::Uri(_)
            | Self::Authority
            | Self::KeyUsageMissing
            | Self::KeyUsageNotCritical
            | Self::DigitalSignatureMissing
            | Self::SigningUsage
            | Self::ClientAuthMissing
            | Self::CriticalExtension => Reason::CallerCertificateProfile,
            Self::Expired(_) => Reason::CallerCertificateExpired,
            Self::NotYetValid(_) => Reason::CallerCertificateNotYetValid,
        }
    }
}

impl Leaf {
    /// Reads URL-encoded PEM and holds it to the X509-SVID profile of a leaf.
    ///
    /// # Errors
    /// [`CertificateError`], never one of validity.
    pub fn read(text: &str) -> Result<Self, CertificateError> {
        Self::from_der(&forwarded(text)?)
    }

    /// As [`Leaf::read`], from DER.
    ///
    /// # Errors
    /// [`CertificateError`], never one of validity.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        match X509Certificate::from_der(der) {
            Ok(([], certificate)) => Self::from_certificate(&certificate),
            Ok(_) | Err(_) => Err(CertificateError::Der),
        }
    }

    fn from_certificate(certificate: &X509Certificate<'_>) -> Result<Self, CertificateError> {
        extensions::check(certificate, extensions::OF_LEAF)?;
        let serial = certificate.raw_serial();
        if serial.len() > MAX_SERIAL_BYTES {
            return Err(CertificateError::Serial);
        }
        let spiffe_id = uri_san(certificate)?;
        check_usage(certificate)?;
        let validity = certificate.validity();
        let facts = CertificateFacts {
            sha256: sha256(certificate.as_raw()),
            serial: hex::lower(serial),
            not_after: UnixTime::from_seconds(validity.not_after.timestamp()),
        };
        Ok(Self { spiffe_id, facts, not_before: UnixTime::from_seconds(validity.not_before.timestamp()) })
    }

    /// Whether `now` lies within the certificate's validity, both ends included (RFC 5280 §4.1.2.5).
    ///
    /// # Errors
    /// [`CertificateError::Expired`] or [`CertificateError::NotYetValid`].
    pub fn check_validity(&self, now: UnixTime) -> Result<(), CertificateError> {
        if now > self.facts.not_after {
            return Err(CertificateError::Expired(self.facts.not_after));
        }
        if now < self.not_before {
            return Err(CertificateError::NotYetValid(self.not_before));
        }
        Ok(())
    }
}

impl From<Fault> for CertificateError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Malformed => Self::Extension,
            Fault::Critical => Self::CriticalExtension,
        }
    }
}

/// The DER of one forwarded certificate.
///
/// # Errors
/// [`CertificateError`] where the text is not exactly one URL-encoded PEM block.
pub fn forwarded(text: &str) -> Result<Vec<u8>, CertificateError> {
    pem_decode(&decoded(text)?).ok_or(CertificateError::Pem)
}

/// The DER of every certificate of a forwarded chain, in its order.
///
/// # Errors
/// As [`forwarded`], for a list of blocks, of which there are at most [`MAX_CHAIN`].
pub fn forwarded_chain(text: &str) -> Result<Vec<Vec<u8>>, CertificateError> {
    let pem = decoded(text)?;
    let mut rest = pem.as_slice();
    let mut chain = Vec::new();
    while !rest.is_empty() {
        if chain.len() == MAX_CHAIN {
            return Err(CertificateError::ChainTooLong);
        }
        let end = position(rest, PEM_END).ok_or(CertificateError::Pem)?.saturating_add(PEM_END.len());
        let (block, after) = rest.split_at_checked(end).ok_or(CertificateError::Pem)?;
        chain.push(pem_decode(block).ok_or(CertificateError::Pem)?);
        rest = after.strip_prefix(b"\n").unwrap_or(after);
    }
    Ok(chain)
}

fn decoded(text: &str) -> Result<Vec<u8>, CertificateError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(CertificateError::TooLong);
    }
    url_decode(text).ok_or(CertificateError::UrlEncoding)
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn uri_san(certificate: &X509Certificate<'_>) -> Result<SpiffeId, CertificateError> {
    match extensions::uri_names(certificate)?.as_slice() {
        [] => Err(CertificateError::UriMissing),
        [text] => Ok(SpiffeId::parse(text)?),
        _ => Err(CertificateError::UriRepeated),
    }
}

/// X509-SVID §4: what the key of a leaf may and may not be used for.
fn check_usage(certificate: &X509Certificate<'_>) -> Result<(), CertificateError> {
    let constraints = certificate.basic_constraints().map_err(|_repeated| CertificateError::Extension)?;
    if constraints.is_some_and(|constraints| constraints.value.ca) {
        return Err(CertificateError::Authority);
    }
    let usage = certificate.key_usage().map_err(|_repeated| CertificateError::Extension)?;
    let usage = usage.ok_or(CertificateError::KeyUsageMissing)?;
    if !usage.critical {
        return Err(CertificateError::KeyUsageNotCritical);
    }
    if !usage.value.digital_signature() {
        return Err(CertificateError::DigitalSignatureMissing);
    }
    if usage.value.key_cert_sign() || usage.value.crl_sign() {
        return Err(CertificateError::SigningUsage);
    }
    let extended = certificate.extended_key_usage().map_err(|_repeated| CertificateError::Extension)?;
    if extended.is_some_and(|extended| !extended.value.client_auth) {
        return Err(CertificateError::ClientAuthMissing);
    }
    Ok(())
}

/// Strict, as the `percent-encoding` crate is not: a `%` without two digits, a space or a control character is an error.
fn url_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => decoded.push(hex::byte(bytes.next()?, bytes.next()?)?),
            b'!'..=b'~' => decoded.push(byte),
            _ => return None,
        }
    }
    Some(decoded)
}

/// The content of a text that is one PEM block (RFC 7468 §3, as generators write it) and nothing else.
fn pem_decode(pem: &[u8]) -> Option<Vec<u8>> {
    let pem = pem.strip_suffix(b"\n").unwrap_or(pem);
    let mut base64 = pem.strip_prefix(PEM_BEGIN)?.strip_suffix(PEM_END)?.to_vec();
    base64.retain(|byte| *byte != b'\n');
    STANDARD.decode(base64).ok()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    sum
}
