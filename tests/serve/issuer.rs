//! Keys, their tokens, and an issuer whose keys are in a file.

use std::fs;

use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use countersign::clock::UnixTime;
use jsonwebtoken::Algorithm;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use jsonwebtoken::jwk::Jwk;
use serde_json::Value as Json;
use serde_json::json;

/// A key that signs, named by a number of its own.
pub(crate) struct Key {
    private: EncodingKey,
    kid: String,
}

/// A folder with the issuer's keys, and with what it revokes.
pub(crate) struct Issuer {
    folder: tempfile::TempDir,
    key: Key,
}

impl Key {
    pub(crate) fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let private = EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref());
        Self { private, kid: uuid::Uuid::new_v4().to_string() }
    }

    /// The public half, as a JWK Set has it.
    pub(crate) fn public(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.private, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(self.kid.clone());
        jwk
    }

    /// A token with these claims.
    pub(crate) fn sign(&self, claims: &Json) -> String {
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &self.private).unwrap()
    }
}

impl Issuer {
    /// A new key, in its file, and nothing revoked.
    pub(crate) fn new() -> Self {
        let (key, folder) = (Key::new(), tempfile::tempdir().unwrap());
        fs::write(folder.path().join("jwks.json"), json!({"keys": [key.public()]}).to_string()).unwrap();
        let issuer = Self { folder, key };
        issuer.revoke("[]");
        issuer
    }

    /// The configuration that believes it.
    pub(crate) fn config(&self) -> String {
        let at = |name: &str| self.folder.path().join(name).display().to_string();
        let keys = at("jwks.json");
        let revoked = at("revoked.json");
        format!(
            "issuers:\n- {{issuer: https://idp.example, keys: {{file: '{keys}'}}, algorithms: [ES256], audiences: [a]}}\n\
             revocations: ['{revoked}']\n"
        )
    }

    /// Replaces the file of what is revoked.
    pub(crate) fn revoke(&self, text: &str) {
        fs::write(self.folder.path().join("revoked.json"), text).unwrap();
    }

    /// Takes that file away.
    pub(crate) fn lose_revocations(&self) {
        fs::remove_file(self.folder.path().join("revoked.json")).unwrap();
    }

    /// Writes a file beside them, and says where.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A token with this `jti`, good for an hour.
    pub(crate) fn token(&self, jti: &str) -> String {
        self.token_with(json!({"jti": jti}))
    }

    /// A token with these claims more, good for an hour.
    pub(crate) fn token_with(&self, more: Json) -> String {
        let exp = UnixTime::now().plus_seconds(3600).seconds();
        let mut claims = json!({"iss": "https://idp.example", "sub": "alice", "aud": "a", "exp": exp});
        claims.as_object_mut().unwrap().append(&mut serde_json::from_value(more).unwrap());
        self.key.sign(&claims)
    }

    /// A token by a key of this name, which the issuer does not have.
    pub(crate) fn token_named(&self, kid: &str) -> String {
        let exp = UnixTime::now().plus_seconds(3600).seconds();
        let claims = json!({"iss": "https://idp.example", "sub": "alice", "aud": "a", "exp": exp});
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &claims, &self.key.private).unwrap()
    }
}
