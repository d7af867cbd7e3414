//! JWT-SVIDs: as they stand, which none may be accepted of, and with header and claims that the trust domain has signed,
//! which only those may be accepted of that keep the rules.
#![no_main]

use std::cell::RefCell;

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
use countersign::identity::JwtSvidConfig;
use countersign::identity::Resolver;
use countersign::spiffe_id::TrustDomain;
use countersign::trust::Bundle;
use countersign::trust::Bundles;
use countersign::trust::Origin;
use libfuzzer_sys::fuzz_target;
use serde_json::Value as Json;

const HEADER: &str = "x-spiffe-jwt-svid";
const AUDIENCE: &str = "orders";
const NOW: i64 = 1_800_000_000;
const CLOCK_SKEW: i64 = 30;

struct World {
    key: EcdsaKeyPair,
    bundles: Bundles,
    resolver: Resolver,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(world());
}

fuzz_target!(|data: &[u8]| {
    WORLD.with_borrow_mut(|world| {
        assert!(resolve(world, data).is_none(), "nobody signed this");
        let mut lines = data.splitn(2, |byte| *byte == b'\n');
        if let (Some(header), Some(claims)) = (lines.next(), lines.next()) {
            let token = sign(world, header, claims);
            // Twice: the second time from the cache, where it is there now.
            for _ in 0..2 {
                if let Some(id) = resolve(world, token.as_bytes()) {
                    check(&id, header, claims);
                }
            }
        }
    });
});

fn check(id: &str, header: &[u8], claims: &[u8]) {
    let header: Json = serde_json::from_slice(header).expect("a header that was read");
    let claims: Json = serde_json::from_slice(claims).expect("claims that were read");
    assert_eq!(header["alg"], "ES256");
    assert_eq!(header["kid"], "k");
    assert_eq!(claims["sub"], id);
    assert!(id.starts_with("spiffe://td/"));
    let audience = &claims["aud"];
    assert!(audience == AUDIENCE || audience.as_array().expect("a list").iter().any(|one| one == AUDIENCE));
    assert!(claims["exp"].as_f64().expect("a number") > NOW as f64);
    for begin in ["nbf", "iat"] {
        assert!(claims[begin].as_f64().is_none_or(|begin| begin < (NOW + CLOCK_SKEW + 1) as f64));
    }
}

fn resolve(world: &mut World, token: &[u8]) -> Option<String> {
    let header = RawHeader { key: HEADER.to_owned(), raw_value: token.to_vec(), ..RawHeader::default() };
    let http = Http { header_map: Some(vec![header]), ..Http::default() };
    let request = Request { http: Some(http), ..Request::default() };
    let attributes = Attributes { request: Some(request), ..Attributes::default() };
    let caller = world.resolver.resolve(&attributes, &world.bundles, UnixTime::from_seconds(NOW)).ok()??;
    assert_eq!(caller.proof, Proof::JwtSvid);
    Some(caller.spiffe_id.to_string())
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
    let document =
        format!(r#"{{"keys":[{{"use":"jwt-svid","kty":"EC","crv":"P-256","kid":"k","x":"{x}","y":"{y}"}}]}}"#);
    let domain = TrustDomain::parse("td").expect("a trust domain");
    let bundle = Bundle::parse(document.as_bytes(), &domain).expect("a bundle");
    let mut bundles = Bundles::default();
    bundles.insert(domain, bundle, Origin::Files, UnixTime::from_seconds(NOW));
    let jwt_svid = Some(JwtSvidConfig { header: HEADER.to_owned(), audiences: vec![AUDIENCE.to_owned()] });
    World { key, bundles, resolver: Resolver::new(Config { jwt_svid, ..Config::default() }) }
}
