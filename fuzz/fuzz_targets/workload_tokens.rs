//! Workload-Identity-Tokens and their proofs: as they stand, which none may be accepted of, and with headers and claims
//! that trust domain and workload have signed, which only those may be accepted of that keep the rules.
//!
//! `@jwk` in the first token's claims stands for the workload's key, `@wth` in the second's for the first one's hash.
#![no_main]

use std::cell::RefCell;

use aws_lc_rs::digest::SHA256;
use aws_lc_rs::digest::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::clock::UnixTime;
use countersign::facts::Attributes;
use countersign::facts::Http;
use countersign::facts::Proof;
use countersign::facts::RawHeader;
use countersign::facts::Request;
use countersign::identity::Config;
use countersign::identity::Resolver;
use countersign::identity::WimseConfig;
use countersign::identity::wimse::IDENTITY_TOKEN;
use countersign::identity::wimse::PROOF_TOKEN;
use countersign::spiffe_id::TrustDomain;
use countersign::trust::Bundle;
use countersign::trust::Bundles;
use countersign::trust::Origin;
use libfuzzer_sys::fuzz_target;
use serde_json::Value as Json;

const PATH: &str = "/orders/42";
const TARGET: &str = "https://orders.example/orders/42";
const NOW: i64 = 1_800_000_000;
/// The longest life of a proof, and how far its signer's clock may be ahead.
const LATEST_END: i64 = NOW + 300 + 30;

struct World {
    authority: EcdsaKeyPair,
    workload: EcdsaKeyPair,
    bundles: Bundles,
    resolver: Resolver,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(world());
}

fuzz_target!(|data: &[u8]| {
    WORLD.with_borrow_mut(|world| {
        let lines: Vec<&[u8]> = data.splitn(4, |byte| *byte == b'\n').collect();
        if let [identity, proof, ..] = lines[..] {
            assert!(resolve(world, identity, proof).is_none(), "nobody signed this");
        }
        let [identity_header, identity_claims, proof_header, proof_claims] = lines[..] else { return };
        let identity_claims = replaced(identity_claims, "@jwk", &jwk(&world.workload, ""));
        let identity = sign(&world.authority, identity_header, &identity_claims);
        let hash = URL_SAFE_NO_PAD.encode(digest(&SHA256, identity.as_bytes()));
        let proof_claims = replaced(proof_claims, "@wth", &hash);
        let proof = sign(&world.workload, proof_header, &proof_claims);
        // Twice: the second time the identity token is known, where it is good.
        for _ in 0..2 {
            if let Some(id) = resolve(world, identity.as_bytes(), proof.as_bytes()) {
                check(&id, &identity_claims, &proof_claims, &hash);
            }
        }
        let by_authority = sign(&world.authority, proof_header, &proof_claims);
        assert!(resolve(world, identity.as_bytes(), by_authority.as_bytes()).is_none(), "not the workload's proof");
    });
});

fn check(id: &str, identity: &[u8], proof: &[u8], hash: &str) {
    let identity: Json = serde_json::from_slice(identity).expect("claims that were read");
    let proof: Json = serde_json::from_slice(proof).expect("claims that were read");
    assert_eq!(identity["sub"], id);
    assert!(id.starts_with("spiffe://td/"));
    assert!(identity.get("aud").is_none());
    assert_eq!(identity["cnf"]["jwk"]["alg"], "ES256");
    assert!(identity["exp"].as_f64().expect("a number") > NOW as f64);
    assert_eq!(proof["wth"], hash);
    assert!(proof["aud"] == TARGET || proof["aud"][0] == TARGET);
    let end = proof["exp"].as_f64().expect("a number");
    assert!(end > NOW as f64 && end < (LATEST_END + 1) as f64);
    assert!(proof["jti"].as_str().is_some_and(|id| !id.is_empty()));
    for binding in ["ath", "tth"] {
        assert!(proof.get(binding).is_none(), "there is no such token");
    }
}

fn resolve(world: &mut World, identity: &[u8], proof: &[u8]) -> Option<String> {
    let header =
        |key: &str, value: &[u8]| RawHeader { key: key.to_owned(), raw_value: value.to_vec(), ..RawHeader::default() };
    let headers = vec![header(IDENTITY_TOKEN, identity), header(PROOF_TOKEN, proof)];
    let http = Http { path: PATH.to_owned(), header_map: Some(headers), ..Http::default() };
    let request = Request { http: Some(http), ..Request::default() };
    let attributes = Attributes { request: Some(request), ..Attributes::default() };
    let caller = world.resolver.resolve(&attributes, &world.bundles, UnixTime::from_seconds(NOW)).ok()??;
    assert_eq!(caller.proof, Proof::WorkloadProof);
    Some(caller.spiffe_id.to_string())
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
    format!(r#"{{{members}"kty":"EC","crv":"P-256","alg":"ES256","x":"{x}","y":"{y}"}}"#)
}

fn world() -> World {
    let [authority, workload] =
        [(); 2].map(|()| EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"));
    let document = format!(r#"{{"keys":[{}]}}"#, jwk(&authority, r#""use":"wit-svid","kid":"k","#));
    let domain = TrustDomain::parse("td").expect("a trust domain");
    let bundle = Bundle::parse(document.as_bytes(), &domain).expect("a bundle");
    let mut bundles = Bundles::default();
    bundles.insert(domain, bundle, Origin::Files, UnixTime::from_seconds(NOW));
    let wimse = Some(WimseConfig { audiences: vec!["https://orders.example".to_owned()] });
    World { authority, workload, bundles, resolver: Resolver::new(Config { wimse, ..Config::default() }) }
}
