//! A client's own key, and the proofs that it makes with it (RFC 9449 §4.2).

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::clock::UnixTime;
use jsonwebtoken::Algorithm;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::jwk::ThumbprintHash;
use rcgen::KeyPair;
use serde_json::Value as Json;
use serde_json::json;
use uuid::Uuid;

use super::merged;

/// A key that access tokens can be bound to.
pub(crate) struct ProofKey {
    private: EncodingKey,
    public: Jwk,
}

impl ProofKey {
    /// A new key.
    pub(crate) fn new() -> Self {
        let private = EncodingKey::from_ec_pem(KeyPair::generate().unwrap().serialize_pem().as_bytes()).unwrap();
        let public = Jwk::from_encoding_key(&private, Algorithm::ES256).unwrap();
        Self { private, public }
    }

    /// What a token that is bound to it has as `jkt` (RFC 7638).
    pub(crate) fn thumbprint(&self) -> String {
        self.public.thumbprint(ThumbprintHash::SHA256).unwrap()
    }

    /// A proof, made now and never before, with these claims.
    pub(crate) fn proof(&self, claims: &Json) -> String {
        let header = Header {
            typ: Some("dpop+jwt".to_owned()),
            jwk: Some(self.public.clone()),
            ..Header::new(Algorithm::ES256)
        };
        let ordinary = json!({"jti": Uuid::new_v4().to_string(), "iat": UnixTime::now().seconds()});
        jsonwebtoken::encode(&header, &merged(ordinary, claims), &self.private).unwrap()
    }
}

/// A token's hash, as the proof of a request with it has it in `ath`.
pub(crate) fn token_hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, token.as_bytes()))
}
