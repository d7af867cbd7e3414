//! Keys, tokens and a small world to verify them in.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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

use crate::clock::UnixTime;
use crate::decision::Reason;
use crate::facts::User;
use crate::jose::Algorithm;
use crate::jose::KeySet;
use crate::token::Config;
use crate::token::IssuerConfig;
use crate::token::KeySets;
use crate::token::KeySource;
use crate::token::Refusal;
use crate::token::Verifier;

pub(super) const ISSUER: &str = "https://idp.example";
pub(super) const AUDIENCE: &str = "orders-api";
/// Seconds since 1970, when every test takes place.
pub(super) const NOW: i64 = 1_800_000_000;
pub(super) const LEEWAY: i64 = 30;

/// A key that signs, and its public half.
pub(super) struct SigningKey {
    pub(super) jwk: Json,
    algorithm: jsonwebtoken::Algorithm,
    key: EncodingKey,
}

impl SigningKey {
    pub(super) fn es256(kid: &str) -> Self {
        Self::ec(kid, &ECDSA_P256_SHA256_FIXED_SIGNING, jsonwebtoken::Algorithm::ES256)
    }

    pub(super) fn es384(kid: &str) -> Self {
        Self::ec(kid, &ECDSA_P384_SHA384_FIXED_SIGNING, jsonwebtoken::Algorithm::ES384)
    }

    pub(super) fn ed25519(kid: &str) -> Self {
        let pair = Ed25519KeyPair::generate().unwrap();
        let key = EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref());
        Self::new(kid, jsonwebtoken::Algorithm::EdDSA, key)
    }

    pub(super) fn rsa(kid: &str, algorithm: jsonwebtoken::Algorithm) -> Self {
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

    /// The header that this key's tokens have.
    pub(super) fn header(&self) -> Json {
        json!({"alg": format!("{:?}", self.algorithm), "typ": "at+jwt", "kid": self.jwk["kid"]})
    }

    /// A token of header and claims, each taken as it prints.
    pub(super) fn sign(&self, header: &impl ToString, claims: &impl ToString) -> String {
        self.sign_bytes(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    pub(super) fn sign_bytes(&self, header: &[u8], claims: &[u8]) -> String {
        self.sign_parts(&encode(header), &encode(claims))
    }

    /// A token of parts that are encoded already, however badly.
    pub(super) fn sign_parts(&self, header: &str, claims: &str) -> String {
        let input = format!("{header}.{claims}");
        let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{input}.{signature}")
    }

    /// A token with this key's header and the usual claims, some of them replaced; null removes.
    pub(super) fn token(&self, changes: Json) -> String {
        self.sign(&self.header(), &claims(changes))
    }
}

pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Claims that are accepted, some of them replaced; null removes.
pub(super) fn claims(changes: Json) -> Json {
    let base = json!({"iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "exp": NOW + 300, "iat": NOW - 10});
    changed(base, changes)
}

/// `base` with members replaced, and those taken away that are null.
pub(super) fn changed(mut base: Json, changes: Json) -> Json {
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

pub(super) fn issuer(name: &str) -> IssuerConfig {
    IssuerConfig {
        issuer: name.to_owned(),
        keys: KeySource::File(PathBuf::from("jwks.json")),
        algorithms: Algorithm::ALL.to_vec(),
        audiences: vec![AUDIENCE.to_owned()],
        required_claims: Vec::new(),
        token_types: Vec::new(),
        leeway: Duration::from_secs(u64::try_from(LEEWAY).unwrap()),
        refresh_interval: Duration::from_mins(5),
        refresh_cooldown: Duration::from_secs(10),
        max_stale: Duration::from_hours(1),
        optional: false,
        workload_subjects: false,
    }
}

pub(super) fn jwks(keys: &[&Json]) -> Vec<u8> {
    json!({"keys": keys}).to_string().into_bytes()
}

pub(super) fn key_set(keys: &[&Json]) -> KeySet {
    KeySet::parse(&jwks(keys), &[Algorithm::Rs256]).unwrap()
}

pub(super) fn now() -> UnixTime {
    UnixTime::from_seconds(NOW)
}

/// Issuers, their keys, and a verifier.
pub(super) struct World {
    pub(super) config: Arc<Config>,
    pub(super) keys: KeySets,
    pub(super) verifier: Verifier,
}

impl World {
    /// One issuer with these keys.
    pub(super) fn with_keys(keys: &[&Json]) -> Self {
        Self::of(vec![(issuer(ISSUER), key_set(keys))])
    }

    pub(super) fn of(issuers: Vec<(IssuerConfig, KeySet)>) -> Self {
        let (issuers, sets): (Vec<_>, Vec<_>) = issuers.into_iter().unzip();
        let config = Arc::new(Config { issuers });
        let mut keys = KeySets::empty(Arc::clone(&config));
        for (issuer, set) in config.issuers.iter().zip(sets) {
            keys = keys.with(config.index_of(&issuer.issuer).unwrap(), set, now());
        }
        Self { verifier: Verifier::new(Arc::clone(&config)), config, keys }
    }

    pub(super) fn verify(&mut self, token: &str) -> Result<Arc<User>, Refusal> {
        self.verify_at(token, NOW)
    }

    pub(super) fn verify_at(&mut self, token: &str, seconds: i64) -> Result<Arc<User>, Refusal> {
        self.verifier.verify(token, &self.keys, None, UnixTime::from_seconds(seconds))
    }

    /// Why a token is denied.
    pub(super) fn denied(&mut self, token: &str) -> Reason {
        self.denied_at(token, NOW)
    }

    pub(super) fn denied_at(&mut self, token: &str, seconds: i64) -> Reason {
        reason(self.verify_at(token, seconds), token)
    }
}

pub(super) fn reason(result: Result<Arc<User>, Refusal>, what: &str) -> Reason {
    match result {
        Err(Refusal::Denied(denial)) => denial.reason,
        other => panic!("{other:?} for {what}"),
    }
}
