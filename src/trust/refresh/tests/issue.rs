//! A trust domain's authority, and what it issues. All is valid for centuries, since sockets live in the present.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::KeyUsagePurpose;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use serde_json::Value as Json;
use serde_json::json;

use crate::spiffe_id::TrustDomain;
use crate::trust::fixtures::uri;

/// An authority of a trust domain.
pub(super) struct Authority {
    pub(super) domain: TrustDomain,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate with its key.
pub(super) struct Issued {
    pub(super) der: CertificateDer<'static>,
    pub(super) pem: String,
    pub(super) key: KeyPair,
}

impl Authority {
    pub(super) fn new(domain: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { domain: TrustDomain::parse(domain).unwrap(), issuer }
    }

    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(super) fn der(&self) -> &[u8] {
        self.issuer.der()
    }

    /// An SVID of its own trust domain.
    pub(super) fn svid(&self, path: &str) -> Issued {
        let id = format!("spiffe://{}{path}", self.domain);
        self.issue(|params| params.subject_alt_names = vec![uri(&id)])
    }

    /// A leaf with what `change` writes into it.
    pub(super) fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued { der: certificate.der().clone(), pem: certificate.pem(), key }
    }
}

impl Issued {
    pub(super) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    pub(super) fn certified(&self) -> Arc<CertifiedKey> {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        Arc::new(CertifiedKey::from_der(vec![self.der.clone()], key, &aws_lc_rs::default_provider()).unwrap())
    }

    /// For a server that presents it.
    pub(super) fn server_config(&self) -> ServerConfig {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        ServerConfig::builder().with_no_client_auth().with_single_cert(vec![self.der.clone()], key).unwrap()
    }
}

/// A bundle document with these authorities and `members`.
pub(super) fn document(authorities: &[&Authority], members: Json) -> Vec<u8> {
    let keys: Vec<Json> = authorities
        .iter()
        .map(|authority| json!({"use": "x509-svid", "kty": "EC", "x5c": [STANDARD.encode(authority.der())]}))
        .collect();
    let mut document = members;
    document["keys"] = keys.into();
    document.to_string().into_bytes()
}

/// A key for JWT-SVIDs, as the Workload API and SPIRE have it.
pub(super) fn jwk(kid: &str) -> Json {
    let key = KeyPair::generate().unwrap();
    let (x, y) = key.public_key_raw()[1..].split_at(32);
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    json!({"kty": "EC", "crv": "P-256", "kid": kid, "x": text(x), "y": text(y)})
}

/// spiffe-helper's file of JWT bundles.
pub(super) fn jwt_bundles(domain: &TrustDomain, keys: &[Json]) -> String {
    json!({domain.as_str(): STANDARD.encode(json!({"keys": keys}).to_string())}).to_string()
}
