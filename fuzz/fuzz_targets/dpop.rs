//! DPoP proofs: as they stand, which none may be accepted of, and with a header and claims that the client has signed, which
//! only those may be accepted of that keep the rules.
//!
//! `@jwk` in the header stands for the client's key, `@ath` in the claims for the access token's hash.
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
use countersign::facts::RawHeader;
use countersign::jose;
use countersign::jose::Algorithm;
use countersign::jose::KeySet;
use countersign::route::Possession;
use countersign::token::ActorRule;
use countersign::token::ClaimPaths;
use countersign::token::Config;
use countersign::token::Credential;
use countersign::token::DpopConfig;
use countersign::token::IssuerConfig;
use countersign::token::KeySets;
use countersign::token::KeySource;
use countersign::token::PROOF_HEADER;
use countersign::token::Presented;
use countersign::token::Proofs;
use countersign::token::Verifier;
use libfuzzer_sys::fuzz_target;
use serde_json::Value as Json;

const ISSUER: &str = "https://idp.example";
const AUDIENCE: &str = "orders-api";
const TARGET: &str = "https://orders.example";
const PATH: &str = "/orders/42";
const NOW: i64 = 1_800_000_000;
const MAX_AGE: i64 = 60;
/// How far a client's clock may be ahead.
const FUTURE: i64 = 10;

struct World {
    client: EcdsaKeyPair,
    token: String,
    keys: KeySets,
    verifier: Verifier,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(world());
}

fuzz_target!(|data: &[u8]| {
    WORLD.with_borrow_mut(|world| {
        assert!(!accepts(world, data, &Proofs::new()), "nobody signed this");
        let mut lines = data.splitn(2, |byte| *byte == b'\n');
        let (Some(header), Some(claims)) = (lines.next(), lines.next()) else { return };
        let header = replaced(header, "@jwk", &jwk(&world.client, ""));
        let claims = replaced(claims, "@ath", &jose::token_hash(world.token.as_bytes()));
        let proof = sign(&world.client, &header, &claims);
        let proofs = Proofs::new();
        if accepts(world, proof.as_bytes(), &proofs) {
            check(world, &claims);
            assert!(!accepts(world, proof.as_bytes(), &proofs), "a proof is good once");
        }
    });
});

fn check(world: &World, claims: &[u8]) {
    let claims: Json = serde_json::from_slice(claims).expect("claims that were read");
    assert_eq!(claims["htm"], "GET");
    let target = claims["htu"].as_str().expect("a target").to_ascii_lowercase();
    assert!(target.starts_with("https://orders.example"));
    assert_eq!(claims["ath"], jose::token_hash(world.token.as_bytes()));
    let issued = claims["iat"].as_f64().expect("a number");
    assert!(issued >= (NOW - MAX_AGE) as f64 && issued < (NOW + FUTURE + 1) as f64);
    assert!(claims["jti"].as_str().is_some_and(|id| (1..=256).contains(&id.len())));
}

fn accepts(world: &mut World, proof: &[u8], proofs: &Proofs) -> bool {
    let header = RawHeader { key: PROOF_HEADER.to_owned(), raw_value: proof.to_vec(), ..RawHeader::default() };
    let (method, path) = ("GET".to_owned(), PATH.to_owned());
    let http = Http { method, path, header_map: Some(vec![header]), ..Http::default() };
    let credential = Credential { scheme: Scheme::Dpop, token: &world.token };
    let presented = Presented {
        credential,
        http: &http,
        caller: None,
        proof: Possession::Dpop,
        issuers: None,
        proofs,
        answer: None,
    };
    world.verifier.verify(&presented, &world.keys, UnixTime::from_seconds(NOW)).is_ok()
}

/// `text` with the first `placeholder` in it replaced.
fn replaced(text: &[u8], placeholder: &str, value: &str) -> Vec<u8> {
    let place = text.windows(placeholder.len()).position(|window| window == placeholder.as_bytes());
    match place {
        Some(at) => [&text[..at], value.as_bytes(), &text[at + placeholder.len()..]].concat(),
        None => text.to_vec(),
    }
}

fn sign(key: &EcdsaKeyPair, header: &[u8], claims: &[u8]) -> String {
    let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = key.sign(&SystemRandom::new(), input.as_bytes()).expect("signing works");
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn jwk(key: &EcdsaKeyPair, members: &str) -> String {
    let point = key.public_key().as_ref();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
    format!(r#"{{{members}"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#)
}

fn world() -> World {
    let [issuer, client] = [(); 2].map(|()| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"));
    let rules = IssuerConfig {
        issuer: ISSUER.to_owned(),
        keys: KeySource::File(PathBuf::new()),
        introspection: None,
        algorithms: vec![Algorithm::Es256],
        audiences: vec![AUDIENCE.to_owned()],
        required_claims: Vec::new(),
        token_types: Vec::new(),
        claims: ClaimPaths::default(),
        leeway: Duration::ZERO,
        refresh_interval: Duration::MAX,
        refresh_cooldown: Duration::MAX,
        max_stale: Duration::MAX,
        optional: false,
        workload_subjects: false,
        proof_of_possession: Possession::Dpop,
        actor: ActorRule::Any,
    };
    let max_age = Duration::from_secs(MAX_AGE.unsigned_abs());
    let dpop = DpopConfig {
        targets: vec![TARGET.to_owned()],
        max_age,
        nonce: false,
        nonce_secret_file: None,
        nonce_secret: None,
    };
    let config = Arc::new(Config { issuers: vec![rules], dpop: Some(dpop) });
    let jwks = format!(r#"{{"keys":[{}]}}"#, jwk(&issuer, r#""kid":"k","#));
    let set = KeySet::parse(jwks.as_bytes(), &[Algorithm::Es256]).expect("a key set");
    let index = config.index_of(ISSUER).expect("configured");
    let keys = KeySets::empty(Arc::clone(&config)).with(index, set, UnixTime::from_seconds(NOW));
    let key: Json = serde_json::from_str(&jwk(&client, "")).expect("a key");
    let sum = jose::thumbprint(key.as_object().expect("an object")).expect("a thumbprint");
    let end = NOW + 300;
    let claims = format!(
        r#"{{"iss":"{ISSUER}","sub":"alice","aud":"{AUDIENCE}","exp":{end},"cnf":{{"jkt":"{}"}}}}"#,
        URL_SAFE_NO_PAD.encode(sum)
    );
    let token = sign(&issuer, br#"{"alg":"ES256","typ":"at+jwt","kid":"k"}"#, claims.as_bytes());
    World { client, token, keys, verifier: Verifier::new(config) }
}
