//! The program's own certificate and key.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use rustls::Error as TlsError;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::CertifiedKey;
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::certificate::Leaf;
use super::certificate::MAX_CHAIN;
use crate::clock::UnixTime;
use crate::spiffe_id::SpiffeId;

/// A certificate chain with its key, which match. It cannot print the key.
#[derive(Clone)]
pub struct Svid {
    /// Whose it is; `None` where the certificate is no X509-SVID.
    pub spiffe_id: Option<SpiffeId>,
    /// Beginning of validity.
    pub not_before: UnixTime,
    /// End of validity.
    pub not_after: UnixTime,
    pub(super) certified: Arc<CertifiedKey>,
}

/// Why certificate and key are of no use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SvidError {
    /// No PEM certificates, or something unreadable among them.
    #[error("the certificate file holds no readable PEM certificates")]
    Certificate,
    /// More than [`MAX_CHAIN`] certificates.
    #[error("the certificate file has more than {MAX_CHAIN} certificates")]
    TooLong,
    /// No private key.
    #[error("the key file holds no private key in PEM (PKCS#8, PKCS#1 or SEC1)")]
    Key,
    /// The key is another certificate's.
    #[error("certificate and key do not belong together")]
    Mismatch,
    /// The key is of no kind that TLS can sign with here.
    #[error("the key cannot be used: {0}")]
    UnusableKey(String),
}

impl Svid {
    /// Reads PEM: the leaf first, then its intermediates; and the leaf's key. Both may be one file (SPIFFE Filesystem
    /// Delivery §2.1).
    ///
    /// # Errors
    /// [`SvidError`].
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, SvidError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_none| SvidError::Key)?;
        Self::new(chain.map_err(|_malformed| SvidError::Certificate)?, key)
    }

    /// As [`Svid::from_pem`], from DER; the key is PKCS#8.
    ///
    /// # Errors
    /// [`SvidError`].
    pub fn from_der(chain: Vec<Vec<u8>>, key: &[u8]) -> Result<Self, SvidError> {
        let key = PrivateKeyDer::try_from(key.to_vec()).map_err(|_unknown| SvidError::Key)?;
        Self::new(chain.into_iter().map(CertificateDer::from).collect(), key)
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, SvidError> {
        if chain.len() > MAX_CHAIN {
            return Err(SvidError::TooLong);
        }
        // All of them, since a peer would stumble over what cannot be read.
        let read = chain.iter().map(validity).collect::<Result<Vec<_>, _>>()?;
        let ((not_before, not_after), leaf) = read.first().zip(chain.first()).ok_or(SvidError::Certificate)?;
        let (not_before, not_after) = (*not_before, *not_after);
        let spiffe_id = Leaf::from_der(leaf).ok().map(|leaf| leaf.spiffe_id);
        let certified = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(of_key)?;
        Ok(Self { spiffe_id, not_before, not_after, certified: Arc::new(certified) })
    }

    /// The certificates, leaf first, in DER.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.certified.cert.iter().map(AsRef::as_ref)
    }

    /// Whether `now` lies within its validity.
    pub fn is_valid_at(&self, now: UnixTime) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }
}

fn of_key(error: TlsError) -> SvidError {
    match error {
        TlsError::InconsistentKeys(_) => SvidError::Mismatch,
        error => SvidError::UnusableKey(error.to_string()),
    }
}

fn validity(der: &CertificateDer<'_>) -> Result<(UnixTime, UnixTime), SvidError> {
    let Ok(([], certificate)) = X509Certificate::from_der(der) else { return Err(SvidError::Certificate) };
    let validity = certificate.validity();
    let [not_before, not_after] = [validity.not_before, validity.not_after].map(|time| time.timestamp());
    Ok((UnixTime::from_seconds(not_before), UnixTime::from_seconds(not_after)))
}

/// Equal certificates have equal keys.
impl PartialEq for Svid {
    fn eq(&self, other: &Self) -> bool {
        self.certified.cert == other.certified.cert
    }
}

impl fmt::Debug for Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Svid")
            .field("spiffe_id", &self.spiffe_id)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}
