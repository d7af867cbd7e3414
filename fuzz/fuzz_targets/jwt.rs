//! Tokens: as they stand, which none may be accepted of, and with header and claims that the issuer has signed, which
//! only those may be accepted of that keep the rules.
#![no_main]

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::clock::UnixTime;
use countersign::decision::Scheme;
use countersign::facts::Http;
use countersign::jose::Algorithm;
use countersign::jose::KeySet;
use countersign::route::Possession;
use countersign::token::ActorRule;
use countersign::token::ClaimPaths;
use countersign::token::Config;
use countersign::token::Credential;
use countersign::token::IssuerConfig;
use countersign::token::KeySets;
use countersign::token::KeySource;
use countersign::token::Presented;
use countersign::token::Proofs;
use countersign::token::Verifier;
use libfuzzer_sys::fuzz_target;

const ISSUER: &str = "https://idp.example";
const AUDIENCE: &str = "orders-api";
const NOW: i64 = 1_800_000_000;
const LEEWAY: i64 = 30;

struct World {
    key: EcdsaKeyPair,
    keys: KeySets,
    verifier: Verifier,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(world());
}

fuzz_target!(|data: &[u8]| {
    WORLD.with_borrow_mut(|world| {
        if let Ok(token) = std::str::from_utf8(data) {
            assert!(verify(world, token).is_none(), "nobody signed this");
        }
        let mut lines = data.splitn(2, |byte| *byte == b'\n');
        if let (Some(header), Some(claims)) = (lines.next(), lines.next()) {
            let token = sign(world, header, claims);
            check(verify(world, &token));
            // And from the cache, where it is there now.
            check(verify(world, &token));
        }
    });
});

fn check(user: Option<Arc<countersign::facts::User>>) {
    let Some(user) = user else { return };
    assert_eq!(user.issuer, ISSUER);
    assert!(!user.subject.is_empty() && !user.subject.starts_with("spiffe://"));
    assert!(user.audience.iter().any(|audience| audience == AUDIENCE));
    assert!(user.expires_at + LEEWAY > NOW);
    assert!(user.issued_at.is_none_or(|issued| issued <= NOW + LEEWAY));
    assert!(!user.claims.contains_key("cnf"), "no certificate was shown");
    assert!(
        user.delegation
            .as_ref()
            .is_none_or(|chain| { chain.actors.len() <= 8 && (!chain.actors.is_empty() || chain.may_act.is_some()) })
    );
}

fn verify(world: &mut World, token: &str) -> Option<Arc<countersign::facts::User>> {
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
    world.verifier.verify(&presented, &world.keys, UnixTime::from_seconds(NOW)).ok()
}

fn sign(world: &World, header: &[u8], claims: &[u8]) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = world.key.sign(&SystemRandom::new(), input.as_bytes()).expect("signing works");
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn world() -> World {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let point = key.public_key().as_ref();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
    let jwks = format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"k","x":"{x}","y":"{y}"}}]}}"#);
    let issuer = IssuerConfig {
        issuer: ISSUER.to_owned(),
        keys: KeySource::File(PathBuf::new()),
        introspection: None,
        algorithms: vec![Algorithm::Es256],
        audiences: vec![AUDIENCE.to_owned()],
        required_claims: Vec::new(),
        claims: ClaimPaths::default(),
        token_types: Vec::new(),
        leeway: Duration::from_secs(LEEWAY.unsigned_abs()),
        refresh_interval: Duration::MAX,
        refresh_cooldown: Duration::MAX,
        max_stale: Duration::MAX,
        optional: false,
        workload_subjects: false,
        proof_of_possession: Possession::Optional,
        actor: ActorRule::Any,
    };
    let config = Arc::new(Config { issuers: vec![issuer], dpop: None });
    let index = config.index_of(ISSUER).expect("configured");
    let set = KeySet::parse(jwks.as_bytes(), &[Algorithm::Es256]).expect("a key set");
    let keys = KeySets::empty(Arc::clone(&config)).with(index, set, UnixTime::from_seconds(NOW));
    World { key, keys, verifier: Verifier::new(config) }
}
