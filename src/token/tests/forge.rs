//! Keys, tokens and a small world to verify them in.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;

use crate::clock::UnixTime;
use crate::decision::Reason;
use crate::decision::Scheme;
use crate::facts::Caller;
use crate::facts::CertificateFacts;
use crate::facts::Http;
use crate::facts::Proof;
use crate::facts::User;
use crate::jose::Algorithm;
use crate::jose::KeySet;
pub(super) use crate::jose::fixtures::SigningKey;
pub(super) use crate::jose::fixtures::changed;
pub(super) use crate::jose::fixtures::encode;
use crate::route::Possession;
use crate::spiffe_id::SpiffeId;
use crate::token::ActorRule;
use crate::token::ClaimPaths;
use crate::token::Config;
use crate::token::Credential;
use crate::token::DpopConfig;
use crate::token::IssuerConfig;
use crate::token::KeySets;
use crate::token::KeySource;
use crate::token::Presented;
use crate::token::Proofs;
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
        introspection: None,
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
        proof_of_possession: Possession::Optional,
        actor: ActorRule::Any,
    }
}

/// How proofs are judged.
pub(super) fn dpop() -> DpopConfig {
    let targets = vec!["https://orders.example".to_owned(), "http://billing.example:8080/v1".to_owned()];
    DpopConfig { targets, max_age: Duration::from_mins(1), nonce: false, nonce_secret_file: None, nonce_secret: None }
}

/// A workload with this SPIFFE ID, and a certificate of this SHA-256 where one is given.
pub(super) fn caller(id: &str, certificate: Option<[u8; 32]>) -> Caller {
    let certificate = certificate.map(|sha256| CertificateFacts {
        sha256,
        serial: "01".to_owned(),
        not_after: now().plus_seconds(60),
    });
    Caller { spiffe_id: SpiffeId::parse(id).unwrap(), proof: Proof::Principal, certificate }
}

/// A bearer token, from nobody who is proven, judged by `verifier`.
pub(super) fn verify(
    verifier: &mut Verifier,
    token: &str,
    keys: &KeySets,
    now: UnixTime,
) -> Result<Arc<User>, Refusal> {
    let credential = Credential { scheme: Scheme::Bearer, token };
    let (http, proofs) = (Http::default(), Proofs::new());
    let presented = Presented {
        credential,
        http: &http,
        caller: None,
        proof: Possession::Optional,
        issuers: None,
        proofs: &proofs,
        answer: None,
    };
    verifier.verify(&presented, keys, now)
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
    pub(super) proofs: Proofs,
}

impl World {
    /// One issuer with these keys.
    pub(super) fn with_keys(keys: &[&Json]) -> Self {
        Self::of(vec![(issuer(ISSUER), key_set(keys))])
    }

    pub(super) fn of(issuers: Vec<(IssuerConfig, KeySet)>) -> Self {
        let (issuers, sets): (Vec<_>, Vec<_>) = issuers.into_iter().unzip();
        let config = Arc::new(Config { issuers, dpop: Some(dpop()) });
        let mut keys = KeySets::empty(Arc::clone(&config));
        for (issuer, set) in config.issuers.iter().zip(sets) {
            keys = keys.with(config.index_of(&issuer.issuer).unwrap(), set, now());
        }
        Self { verifier: Verifier::new(Arc::clone(&config)), config, keys, proofs: Proofs::new() }
    }

    pub(super) fn verify(&mut self, token: &str) -> Result<Arc<User>, Refusal> {
        self.verify_at(token, NOW)
    }

    pub(super) fn verify_at(&mut self, token: &str, seconds: i64) -> Result<Arc<User>, Refusal> {
        self.verify_from(token, None, seconds)
    }

    /// A bearer token, from this caller.
    pub(super) fn verify_from(
        &mut self,
        token: &str,
        caller: Option<&Caller>,
        seconds: i64,
    ) -> Result<Arc<User>, Refusal> {
        let credential = Credential { scheme: Scheme::Bearer, token };
        self.present(credential, &Http::default(), caller, Possession::Optional, seconds)
    }

    pub(super) fn present(
        &mut self,
        credential: Credential<'_>,
        http: &Http,
        caller: Option<&Caller>,
        proof: Possession,
        seconds: i64,
    ) -> Result<Arc<User>, Refusal> {
        let presented =
            Presented { credential, http, caller, proof, issuers: None, proofs: &self.proofs, answer: None };
        self.verifier.verify(&presented, &self.keys, UnixTime::from_seconds(seconds))
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
