//! Keys that sign, for tests.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::EcdsaSigningAlgorithm;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::jwk::Jwk;
use rcgen::KeyPair as RcgenKeyPair;
use serde_json::Value as Json;
use serde_json::json;

/// A key that signs, and its public half.
pub(crate) struct SigningKey {
    pub(crate) jwk: Json,
    algorithm: jsonwebtoken::Algorithm,
    key: EncodingKey,
}

impl SigningKey {
    pub(crate) fn es256(kid: &str) -> Self {
        Self::ec(kid, &ECDSA_P256_SHA256_FIXED_SIGNING, jsonwebtoken::Algorithm::ES256)
    }

    pub(crate) fn es384(kid: &str) -> Self {
        Self::ec(kid, &ECDSA_P384_SHA384_FIXED_SIGNING, jsonwebtoken::Algorithm::ES384)
    }

    pub(crate) fn ed25519(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key = EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref());
        Self::new(kid, jsonwebtoken::Algorithm::EdDSA, key)
    }

    pub(crate) fn rsa(kid: &str, algorithm: jsonwebtoken::Algorithm) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        // rcgen knows how to take PKCS #8 apart into the PKCS #1 that jsonwebtoken wants.
        let pkcs8 = pair.as_der().unwrap();
        let pem = RcgenKeyPair::try_from(pkcs8.as_ref()).unwrap().serialize_pem();
        Self::new(kid, algorithm, EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap())
    }

    fn ec(kid: &str, curve: &'static EcdsaSigningAlgorithm, algorithm: jsonwebtoken::Algorithm) -> Self {
        let pair = EcdsaKeyPair::generate(curve).unwrap();
        Self::new(kid, algorithm, EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref()))
    }

    fn new(kid: &str, algorithm: jsonwebtoken::Algorithm, key: EncodingKey) -> Self {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap();
        jwk["kid"] = json!(kid);
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(format!("{algorithm:?}"));
        Self { jwk, algorithm, key }
    }

    /// The header of this key's tokens of a type.
    pub(crate) fn typed(&self, token_type: &str) -> Json {
        json!({"alg": format!("{:?}", self.algorithm), "typ": token_type, "kid": self.jwk["kid"]})
    }

    /// A token of header and claims, each taken as it prints.
    pub(crate) fn sign(&self, header: &impl ToString, claims: &impl ToString) -> String {
        self.sign_bytes(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    pub(crate) fn sign_bytes(&self, header: &[u8], claims: &[u8]) -> String {
        self.sign_parts(&encode(header), &encode(claims))
    }

    /// A token of parts that are encoded already, however badly.
    pub(crate) fn sign_parts(&self, header: &str, claims: &str) -> String {
        let input = format!("{header}.{claims}");
        let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{input}.{signature}")
    }
}

pub(crate) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `base` with members replaced, and those taken away that are null.
pub(crate) fn changed(mut base: Json, changes: Json) -> Json {
    let Json::Object(changes) = changes else { panic!("changes are an object") };
    let object = base.as_object_mut().unwrap();
    for (name, value) in changes {
        if value.is_null() {
            object.remove(&name);
        } else {
            object.insert(name, value);
        }
    }
    base
}
