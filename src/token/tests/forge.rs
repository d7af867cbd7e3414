//! Keys, tokens and a small world to verify them in.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;

use crate::clock::UnixTime;
use crate::decision::Reason;
use crate::facts::User;
use crate::jose::Algorithm;
use crate::jose::KeySet;
pub(super) use crate::jose::fixtures::SigningKey;
pub(super) use crate::jose::fixtures::changed;
pub(super) use crate::jose::fixtures::encode;
use crate::token::ClaimPaths;
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

impl SigningKey {
    /// The header that this key's tokens have.
    pub(super) fn header(&self) -> Json {
        self.typed("at+jwt")
    }

    /// A token with this key's header and the usual claims, some of them replaced; null removes.
    pub(super) fn token(&self, changes: Json) -> String {
        self.sign(&self.header(), &claims(changes))
    }
}

/// Claims that are accepted, some of them replaced; null removes.
pub(super) fn claims(changes: Json) -> Json {
    let base = json!({"iss": ISSUER, "sub": "alice", "aud": AUDIENCE, "exp": NOW + 300, "iat": NOW - 10});
    changed(base, changes)
}

pub(super) fn issuer(name: &str) -> IssuerConfig {
    IssuerConfig {
        issuer: name.to_owned(),
        keys: KeySource::File(PathBuf::from("jwks.json")),
        algorithms: Algorithm::ALL.to_vec(),
        audiences: vec![AUDIENCE.to_owned()],
        required_claims: Vec::new(),
        claims: ClaimPaths::default(),
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
