//! The forms that bundles come in: PEM, the SPIFFE bundle format, JWT bundles, and what the Workload API hands out.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Map;
use serde_json::Value as Json;

use super::Bundle;
use super::BundleError;
use super::JWT_SVID;
use super::RSA;
use super::WIT_SVID;
use super::X509_SVID;
use crate::jose::KeySet;
use crate::jose::KeyUse;
use crate::jose::json;
use crate::jose::json::Limits;
use crate::spiffe_id::TrustDomain;

/// An object with a list of flat objects, in which certificates are listed.
const BUNDLE_LIMITS: Limits = Limits { depth: 8, values: 16_384 };
/// How PEM begins; text may stand before it.
const PEM_BEGIN: &[u8] = b"-----BEGIN ";

impl Bundle {
    /// Reads a bundle, or a part of one, in whichever form it has: PEM certificates, the SPIFFE bundle format (SPIFFE
    /// Trust Domain and Bundle §4), or spiffe-helper's map of JWT bundles.
    ///
    /// # Errors
    /// [`BundleError`] where the document as a whole is none. Single authorities that cannot be used are left out, each
    /// with a warning.
    pub fn parse(document: &[u8], domain: &TrustDomain) -> Result<Self, BundleError> {
        if document.trim_ascii_start().starts_with(b"{") {
            return Self::from_json(document, domain);
        }
        if document.windows(PEM_BEGIN.len()).any(|window| window == PEM_BEGIN) {
            return Self::from_pem(document, domain);
        }
        Err(BundleError::Form)
    }

    /// Reads the SPIFFE bundle format alone, as bundle endpoints serve it.
    ///
    /// # Errors
    /// As [`Bundle::parse`].
    pub fn parse_document(document: &[u8], domain: &TrustDomain) -> Result<Self, BundleError> {
        let members = json::read_object(document, BUNDLE_LIMITS).map_err(BundleError::Json)?;
        Self::from_members(&members, domain)
    }

    /// X.509 authorities alone, in DER, and JWT authorities alone, as a list of JWKs: as the Workload API hands them out.
    /// The keys are already chosen by use there, and need not name it.
    ///
    /// # Errors
    /// [`BundleError`] where there are too many.
    pub fn from_workload_api(domain: &TrustDomain, x509: &[Vec<u8>], jwt: &[Json]) -> Result<Self, BundleError> {
        let mut bundle = Self::empty();
        bundle.add_authorities(domain, x509)?;
        let named: Vec<Json> = jwt.iter().map(with_use).collect();
        bundle.jwt = KeySet::from_keys(&named, KeyUse::Svid(JWT_SVID), RSA)?;
        Ok(bundle)
    }

    fn from_pem(document: &[u8], domain: &TrustDomain) -> Result<Self, BundleError> {
        let certificates: Result<Vec<_>, _> =
            CertificateDer::pem_slice_iter(document).map(|found| found.map(|der| der.to_vec())).collect();
        let certificates = certificates.map_err(|_malformed| BundleError::Pem)?;
        if certificates.is_empty() {
            return Err(BundleError::Pem);
        }
        let mut bundle = Self::empty();
        bundle.add_authorities(domain, &certificates)?;
        Ok(bundle)
    }

    fn from_json(document: &[u8], domain: &TrustDomain) -> Result<Self, BundleError> {
        let members = json::read_object(document, BUNDLE_LIMITS).map_err(BundleError::Json)?;
        if members.contains_key("keys") {
            return Self::from_members(&members, domain);
        }
        let jwt_bundle = members.get(domain.as_str()).or_else(|| members.get(&format!("spiffe://{domain}")));
        let text = jwt_bundle.and_then(Json::as_str).ok_or(BundleError::OtherDomain)?;
        let inner = STANDARD.decode(text).map_err(|_which_byte| BundleError::Member("JWT bundle"))?;
        let members = json::read_object(&inner, BUNDLE_LIMITS).map_err(BundleError::Json)?;
        let keys = list(&members, "keys")?;
        Self::from_workload_api(domain, &[], keys)
    }

    fn from_members(members: &Map<String, Json>, domain: &TrustDomain) -> Result<Self, BundleError> {
        let keys = list(members, "keys")?;
        let mut bundle = Self::empty();
        let certificates = keys.iter().filter(|key| key.get("use").is_some_and(|stated| stated == X509_SVID));
        let mut ders = Vec::new();
        for (position, key) in certificates.enumerate() {
            match certificate(key) {
                Some(der) => ders.push(der),
                None => bundle
                    .warnings
                    .push(format!("X.509 authority {position} has not exactly one `x5c`: it is not used")),
            }
        }
        bundle.add_authorities(domain, &ders)?;
        bundle.jwt = KeySet::from_keys(keys, KeyUse::Svid(JWT_SVID), RSA)?;
        bundle.wit = KeySet::from_keys(keys, KeyUse::Svid(WIT_SVID), RSA)?;
        bundle.sequence = whole(members, "spiffe_sequence")?;
        bundle.refresh_hint = whole(members, "spiffe_refresh_hint")?.map(Duration::from_secs);
        Ok(bundle)
    }
}

/// The one certificate of an X.509 authority's JWK (SPIFFE Trust Domain and Bundle §4.2, RFC 7517 §4.7).
fn certificate(key: &Json) -> Option<Vec<u8>> {
    match key.get("x5c").and_then(Json::as_array).map(Vec::as_slice) {
        Some([Json::String(text)]) => STANDARD.decode(text).ok(),
        _ => None,
    }
}

fn with_use(key: &Json) -> Json {
    let mut key = key.clone();
    if let Some(members) = key.as_object_mut() {
        members.entry("use").or_insert_with(|| JWT_SVID.into());
    }
    key
}

fn list<'m>(members: &'m Map<String, Json>, name: &'static str) -> Result<&'m [Json], BundleError> {
    members.get(name).and_then(Json::as_array).map(Vec::as_slice).ok_or(BundleError::Member(name))
}

fn whole(members: &Map<String, Json>, name: &'static str) -> Result<Option<u64>, BundleError> {
    members.get(name).map(|value| value.as_u64().ok_or(BundleError::Member(name))).transpose()
}
