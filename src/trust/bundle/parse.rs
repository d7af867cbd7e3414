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
use crate::jose::JwkError;
use crate::jose::KeySet;
use crate::jose::KeyUse;
use crate::jose::VerificationKey;
use crate::jose::json;
use crate::jose::json::Limits;
use crate::spiffe_id::TrustDomain;

/// An object with a list of flat objects, in which certificates are listed.
const BUNDLE_LIMITS: Limits = Limits { depth: 8, values: 16_384 };
/// How PEM begins; text may stand before it.
const PEM_BEGIN: &[u8] = b"-----BEGIN ";
const PEM_CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";
const PEM_PRIVATE_KEY: &[u8] = b"PRIVATE KEY-----";

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
        bundle.add_authorities(domain, x509.iter().cloned().enumerate().collect())?;
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
        if count(document, PEM_CERTIFICATE) > certificates.len() {
            bundle.warnings.push("PEM that does not begin a line is not read".to_owned());
        }
        if count(document, PEM_PRIVATE_KEY) > 0 {
            bundle.warnings.push("there is a private key in the bundle's file, where nobody needs one".to_owned());
        }
        bundle.add_authorities(domain, certificates.into_iter().enumerate().collect())?;
        Ok(bundle)
    }

    fn from_json(document: &[u8], domain: &TrustDomain) -> Result<Self, BundleError> {
        let members = json::read_object(document, BUNDLE_LIMITS).map_err(BundleError::Json)?;
        // A trust domain may have the name `keys`; a JWT bundle is a text.
        if members.get("keys").is_some_and(|keys| !keys.is_string()) {
            return Self::from_members(&members, domain);
        }
        // spiffe-helper writes the name, SPIRE's agent prints the ID.
        let jwt_bundle = members.get(domain.as_str()).or_else(|| members.get(&format!("spiffe://{domain}")));
        let text = jwt_bundle.and_then(Json::as_str).ok_or(BundleError::OtherDomain)?;
        let inner = STANDARD.decode(text).map_err(|_which_byte| BundleError::Member("JWT bundle"))?;
        let members = json::read_object(&inner, BUNDLE_LIMITS).map_err(BundleError::Json)?;
        Self::from_workload_api(domain, &[], list(&members, "keys")?)
    }

    fn from_members(members: &Map<String, Json>, domain: &TrustDomain) -> Result<Self, BundleError> {
        let keys = list(members, "keys")?;
        let mut bundle = Self::empty();
        let mut certificates = Vec::new();
        for (place, key) in keys.iter().enumerate().filter_map(|(place, key)| Some((place, key.as_object()?))) {
            match key.get("use") {
                None => bundle.warnings.push(format!("key {place} has no `use`: it is not used")),
                Some(stated) if stated == X509_SVID => match certificate(key) {
                    Ok(der) => certificates.push((place, der)),
                    Err(why) => bundle.warn_of(place, &format!("{why}: it is not used")),
                },
                Some(_) => {}
            }
        }
        bundle.add_authorities(domain, certificates)?;
        bundle.jwt = KeySet::from_keys(keys, KeyUse::Svid(JWT_SVID), RSA)?;
        bundle.wit = KeySet::from_keys(keys, KeyUse::Svid(WIT_SVID), RSA)?;
        bundle.sequence = whole(members, "spiffe_sequence")?;
        bundle.refresh_hint = whole(members, "spiffe_refresh_hint")?.map(Duration::from_secs);
        Ok(bundle)
    }
}

/// The certificate of an X.509 authority's JWK: the first of `x5c` (X509-SVID §6.2, RFC 7517 §4.7).
fn certificate(key: &Map<String, Json>) -> Result<Vec<u8>, &'static str> {
    match VerificationKey::from_jwk(key, KeyUse::Svid(X509_SVID), RSA) {
        // SPIFFE Trust Domain and Bundle §4.2.1.
        Err(JwkError::KeyType) => return Err("has an unknown `kty`"),
        Err(JwkError::Private | JwkError::Symmetric) => return Err("has its private part in it"),
        // The key itself is the certificate's affair: it may be of a kind that tokens are not signed with.
        Ok(_) | Err(_) => {}
    }
    let first = key.get("x5c").and_then(Json::as_array).and_then(|list| list.first()).and_then(Json::as_str);
    let text = first.ok_or("has no `x5c`")?;
    STANDARD.decode(text).map_err(|_which_byte| "has an `x5c` that is no base64")
}

fn count(document: &[u8], wanted: &[u8]) -> usize {
    document.windows(wanted.len()).filter(|window| *window == wanted).count()
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
