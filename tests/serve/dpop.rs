//! A client with a DPoP key (RFC 9449).

use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::clock::UnixTime;
use jsonwebtoken::Algorithm;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::jwk::ThumbprintHash;
use serde_json::json;

use crate::issuer::Issuer;

/// A client with a key, and a token that is bound to it.
pub(crate) struct Client {
    key: EncodingKey,
    jwk: Jwk,
    pub(crate) token: String,
    proofs: usize,
}

impl Client {
    /// A new key, and a token of this issuer for it.
    pub(crate) fn new(issuer: &Issuer) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let key = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        let token = issuer.token_with(json!({"cnf": {"jkt": jwk.thumbprint(ThumbprintHash::SHA256).unwrap()}}));
        jwk.common.key_algorithm = None;
        Self { key, jwk, token, proofs: 0 }
    }

    /// A proof for `GET https://orders.example/a`, now.
    pub(crate) fn proof(&mut self, nonce: Option<&str>) -> String {
        self.proofs = self.proofs.saturating_add(1);
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("dpop+jwt".to_owned());
        header.jwk = Some(self.jwk.clone());
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.token.as_bytes());
        let mut claims = json!({
            "jti": self.proofs.to_string(), "htm": "GET", "htu": "https://orders.example/a",
            "iat": UnixTime::now().seconds(), "ath": URL_SAFE_NO_PAD.encode(hash),
        });
        if let Some(nonce) = nonce {
            claims["nonce"] = json!(nonce);
        }
        jsonwebtoken::encode(&header, &claims, &self.key).unwrap()
    }
}
