//! C1–C7: what a JWT-SVID must be.

use serde_json::Value as Json;
use serde_json::json;

use crate::decision::Reason;
use crate::facts::Attributes;
use crate::facts::Proof;
use crate::identity::Resolver;
use crate::identity::fixtures::Domain;
use crate::identity::fixtures::JWT_SVID;
use crate::identity::fixtures::OURS;
use crate::identity::fixtures::SECONDS;
use crate::identity::fixtures::awaited;
use crate::identity::fixtures::bundles;
use crate::identity::fixtures::by_principal;
use crate::identity::fixtures::tokens;
use crate::identity::fixtures::with_headers;
use crate::identity::fixtures::with_raw_headers;
use crate::jose::fixtures::SigningKey;
use crate::jose::fixtures::changed;
use crate::trust::Bundles;
use crate::trust::fixtures::NOW;

use super::NOBODY;

const AGENT: &str = "spiffe://td/agent";

/// A worker that believes in `td`.
struct World {
    td: Domain,
    bundles: Bundles,
    resolver: Resolver,
}

impl World {
    fn new() -> Self {
        let td = Domain::new("td");
        Self { bundles: bundles([("td", td.bundle())]), td, resolver: Resolver::new(tokens()) }
    }

    /// The caller's ID and proof, [`NOBODY`], or the name of the denial's reason.
    fn ask_at(&mut self, attributes: &Attributes, seconds: i64) -> String {
        match self.resolver.resolve(attributes, &self.bundles, NOW.plus_seconds(seconds)) {
            Ok(Some(caller)) => format!("{} {}", caller.spiffe_id, caller.proof.name()),
            Ok(None) => NOBODY.to_owned(),
            Err(denial) => {
                assert!(denial.detail.len() < 200, "{}", denial.detail);
                denial.reason.name().to_owned()
            }
        }
    }

    fn ask(&mut self, token: &str) -> String {
        self.ask_at(&with_headers(&[(JWT_SVID, token)]), 0)
    }

    fn claims(&mut self, changes: Json) -> String {
        let token = self.td.jwt_svid(changes);
        self.ask(&token)
    }

    fn header(&mut self, changes: Json) -> String {
        let header = changed(self.td.svid_header(), changes);
        let token = self.td.jwt.sign(&header, &self.td.svid_claims(json!({})));
        self.ask(&token)
    }

    fn known(&self) -> usize {
        self.resolver.jwt_svids.as_ref().unwrap().known().0
    }
}

fn accepted() -> String {
    format!("{AGENT} jwt_svid")
}

#[test]
fn a_jwt_svid_names_its_workload() {
    let mut world = World::new();
    assert_eq!(world.claims(json!({})), accepted());
    assert_eq!(world.claims(json!({"aud": OURS, "iat": null, "nbf": SECONDS, "extra": [1]})), accepted());
    assert_eq!(world.ask_at(&with_headers(&[]), 0), NOBODY);
    let caller = world.resolver.resolve(
        &with_headers(&[("X-SPIFFE-JWT-SVID", &world.td.jwt_svid(json!({})))]),
        &world.bundles,
        NOW,
    );
    let caller = caller.unwrap().unwrap();
    assert_eq!((caller.proof, caller.certificate), (Proof::JwtSvid, None));
    // Off, it is ignored.
    let mut off = Resolver::new(crate::identity::Config { jwt_svid: None, ..tokens() });
    assert_eq!(off.resolve(&with_headers(&[(JWT_SVID, "rubbish")]), &world.bundles, NOW).unwrap(), None);
}

#[test]
fn c1_only_rsa_and_ecdsa_sign_svids() {
    let mut world = World::new();
    for alg in ["none", "noNE", "None", "HS256", "HS512", "ES512", "es256", "EdDSA", "Ed25519", "ES384", "RS256"] {
        assert_eq!(world.header(json!({"alg": alg})), Reason::CallerJwtSvidAlgorithm.name(), "{alg}");
    }
    assert_eq!(world.header(json!({"alg": null})), Reason::CallerJwtSvidMalformed.name());
    let signed = world.td.jwt_svid(json!({}));
    let unsigned = signed.rsplit_once('.').unwrap().0;
    assert_eq!(world.ask(&format!("{unsigned}.")), Reason::CallerJwtSvidSignature.name());
}

#[test]
fn c1_every_allowed_algorithm_verifies_and_eddsa_never_does() {
    use jsonwebtoken::Algorithm as A;
    let rsa = [A::RS256, A::RS384, A::RS512, A::PS256, A::PS384, A::PS512];
    let mut keys: Vec<_> = rsa.into_iter().map(|algorithm| SigningKey::rsa("jwt-1", algorithm)).collect();
    keys.extend([SigningKey::es256("jwt-1"), SigningKey::es384("jwt-1"), SigningKey::ed25519("jwt-1")]);
    for key in keys {
        let mut world = World::new();
        let is_eddsa = key.jwk["alg"] == "EdDSA";
        world.bundles = bundles([("td", world.td.bundle_of(&[("jwt-svid", &key)]))]);
        world.td.jwt = key;
        let wanted = if is_eddsa { Reason::CallerJwtSvidAlgorithm.name().to_owned() } else { accepted() };
        assert_eq!(world.claims(json!({})), wanted, "{}", world.td.jwt.jwk);
    }
}

#[test]
fn c2_a_token_of_another_type_is_none() {
    let mut world = World::new();
    for allowed in [json!("JWT"), json!("JOSE"), json!("application/jwt"), json!(null)] {
        assert_eq!(world.header(json!({"typ": allowed})), accepted(), "{allowed}");
    }
    for refused in ["at+jwt", "wit+jwt", "wpt+jwt", "txntoken+jwt", "dpop+jwt", "JWT-SVID", "x", ""] {
        assert_eq!(world.header(json!({"typ": refused})), Reason::CallerJwtSvidType.name(), "{refused}");
    }
    assert_eq!(world.header(json!({"typ": 1})), Reason::CallerJwtSvidMalformed.name());
    // A Workload-Identity-Token stands for nothing without its proof.
    let wit = world.td.wit(&SigningKey::es256("k"), json!({}));
    assert_eq!(world.ask(&wit), Reason::CallerJwtSvidType.name());
}

#[test]
fn c3_audience_and_end_are_required_and_ours() {
    let mut world = World::new();
    let audience = Reason::CallerJwtSvidAudience.name();
    let claims = Reason::CallerJwtSvidClaims.name();
    for (changes, answer) in [
        (json!({"aud": ["a", OURS]}), accepted()),
        (json!({"aud": null}), audience.to_owned()),
        (json!({"aud": []}), audience.to_owned()),
        (json!({"aud": ""}), audience.to_owned()),
        (json!({"aud": ["a", "b"]}), audience.to_owned()),
        (json!({"aud": format!("{OURS}/x")}), audience.to_owned()),
        (json!({"aud": "spiffe://td/order"}), audience.to_owned()),
        (json!({"aud": "SPIFFE://td/orders"}), audience.to_owned()),
        (json!({"aud": [OURS, 1]}), claims.to_owned()),
        (json!({"aud": [[OURS]]}), claims.to_owned()),
        (json!({"aud": {"a": OURS}}), claims.to_owned()),
        (json!({"aud": 1}), claims.to_owned()),
        (json!({"exp": null}), claims.to_owned()),
        (json!({"exp": (SECONDS + 60).to_string()}), claims.to_owned()),
        (json!({"exp": -1}), claims.to_owned()),
        (json!({"exp": 253_402_300_800_i64}), claims.to_owned()),
        (json!({"exp": [SECONDS]}), claims.to_owned()),
        (json!({"exp": SECONDS}), Reason::CallerJwtSvidExpired.name().to_owned()),
        (json!({"exp": 0}), Reason::CallerJwtSvidExpired.name().to_owned()),
        (json!({"exp": SECONDS + 1}), accepted()),
        (json!({"nbf": SECONDS + 30}), accepted()),
        (json!({"nbf": SECONDS + 31}), Reason::CallerJwtSvidNotYetValid.name().to_owned()),
        (json!({"nbf": "0"}), claims.to_owned()),
        (json!({"iat": SECONDS + 30}), accepted()),
        (json!({"iat": SECONDS + 31}), Reason::CallerJwtSvidNotYetValid.name().to_owned()),
        (json!({"iat": true}), claims.to_owned()),
    ] {
        assert_eq!(world.claims(changes.clone()), answer, "{changes}");
    }
}

#[test]
fn c4_the_subject_is_a_workload_of_a_known_trust_domain() {
    let mut world = World::new();
    for subject in [
        json!(null),
        json!(""),
        json!(1),
        json!("alice"),
        json!("spiffe://td"),
        json!("spiffe://td/"),
        json!("spiffe://td/a/../b"),
        json!("SPIFFE://td/agent"),
        json!("https://td/agent"),
        json!(["spiffe://td/agent"]),
    ] {
        assert_eq!(world.claims(json!({"sub": subject})), Reason::CallerJwtSvidClaims.name(), "{subject}");
    }
    for stranger in ["spiffe://other/agent", "spiffe://td.evil/agent", "spiffe://t/agent"] {
        assert_eq!(world.claims(json!({"sub": stranger})), Reason::CallerTrustDomainUnknown.name(), "{stranger}");
    }
    world.bundles = bundles([("td", world.td.bundle_of(&[]))]);
    assert_eq!(world.claims(json!({})), Reason::CallerJwtSvidKeyUnknown.name());
    world.bundles = awaited();
    assert_eq!(world.claims(json!({})), Reason::CallerTrustUnavailable.name());
}

#[test]
fn c5_only_keys_for_jwt_svids_sign_them() {
    let mut world = World::new();
    let jwk = world.td.jwt.jwk.clone();
    for stated in [json!("x509-svid"), json!("wit-svid"), json!("sig"), json!("JWT-SVID"), json!(null), json!(1)] {
        let keys = json!([changed(jwk.clone(), json!({"use": stated}))]);
        world.bundles = bundles([("td", world.td.bundle_with(&keys))]);
        assert_eq!(world.claims(json!({})), Reason::CallerJwtSvidKeyUnknown.name(), "{stated}");
    }
    world.bundles = bundles([("td", world.td.bundle())]);
    for kid in [json!(null), json!("jwt-2"), json!("wit-1"), json!("")] {
        assert_eq!(world.header(json!({"kid": kid})), Reason::CallerJwtSvidKeyUnknown.name(), "{kid}");
    }
    for kid in [json!(1), json!("k".repeat(257)), json!("a\u{0}b")] {
        assert_eq!(world.header(json!({"kid": kid})), Reason::CallerJwtSvidMalformed.name(), "{kid}");
    }
    // Two keys with one name: neither is used.
    let twins = json!([
        changed(jwk, json!({"use": "jwt-svid"})),
        changed(SigningKey::es256("jwt-1").jwk, json!({"use": "jwt-svid"}))
    ]);
    world.bundles = bundles([("td", world.td.bundle_with(&twins))]);
    assert_eq!(world.claims(json!({})), Reason::CallerJwtSvidKeyUnknown.name());
}

#[test]
fn c6_a_key_speaks_for_its_own_trust_domain_alone() {
    let mut world = World::new();
    let other = Domain::new("other");
    world.bundles = bundles([("td", world.td.bundle()), ("other", other.bundle())]);
    let theirs = other.jwt_svid(json!({}));
    assert_eq!(world.ask(&theirs), "spiffe://other/agent jwt_svid");
    // The same key name in both, so that only the key itself tells them apart.
    let crossed = other.jwt_svid(json!({"sub": AGENT}));
    assert_eq!(world.ask(&crossed), Reason::CallerJwtSvidSignature.name());
    let mut renamed = Domain::new("other");
    renamed.jwt = SigningKey::es256("jwt-9");
    world.bundles = bundles([("td", world.td.bundle()), ("other", renamed.bundle())]);
    let crossed = renamed.jwt_svid(json!({"sub": AGENT}));
    assert_eq!(world.ask(&crossed), Reason::CallerJwtSvidKeyUnknown.name());
    // Whatever else the token says of its issuer.
    let crossed = renamed.jwt_svid(json!({"sub": AGENT, "iss": "https://other.example"}));
    assert_eq!(world.ask(&crossed), Reason::CallerJwtSvidKeyUnknown.name());
}

#[test]
fn c7_the_same_token_twice_is_the_same_caller_twice() {
    let mut world = World::new();
    let token = world.td.jwt_svid(json!({"jti": "once"}));
    for _ in 0..3 {
        assert_eq!(world.ask(&token), accepted());
    }
    assert_eq!(world.known(), 1);
}

#[test]
fn the_header_holds_one_token_and_nothing_else() {
    let mut world = World::new();
    let token = world.td.jwt_svid(json!({}));
    let malformed = Reason::CallerJwtSvidMalformed.name();
    let bearer = format!("Bearer {token}");
    let joined = format!("{token},{token}");
    let padded = format!(" {token}");
    let long = format!("{token}{}", "A".repeat(16 * 1024));
    for value in ["", " ", ".", "..", "...", "a.b", "a.b.c", &bearer, &joined, &padded, &long, &format!("{token}=")] {
        assert_eq!(world.ask(value), malformed, "{value:.40}");
    }
    let denied = world.resolver.resolve(&with_headers(&[(JWT_SVID, &bearer)]), &world.bundles, NOW);
    assert!(denied.is_err_and(|denial| denial.detail.contains("not even `Bearer`")), "what to leave out is told");
    assert_eq!(world.ask_at(&with_headers(&[(JWT_SVID, &token), (JWT_SVID, &token)]), 0), malformed);
    assert_eq!(world.ask_at(&with_headers(&[(JWT_SVID, &token), ("X-Spiffe-Jwt-Svid", "")]), 0), malformed);
    assert_eq!(world.ask_at(&with_raw_headers(&[(JWT_SVID, b"\xff")]), 0), malformed);
    for member in ["jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"] {
        assert_eq!(world.header(json!({member: "x"})), malformed, "{member}");
    }
    let twice = world.td.jwt.sign_bytes(
        world.td.svid_header().to_string().as_bytes(),
        format!(
            "{{\"sub\":\"spiffe://td/admin\",{}",
            world.td.svid_claims(json!({})).to_string().trim_start_matches('{')
        )
        .as_bytes(),
    );
    assert_eq!(world.ask(&twice), malformed);
}

#[test]
fn a12_a_token_agrees_with_the_proxy_or_is_refused() {
    let mut world = World::new();
    let token = world.td.jwt_svid(json!({}));
    let attributes = with_headers(&[(JWT_SVID, &token)]);
    let agreeing = by_principal(attributes.clone(), AGENT);
    assert_eq!(world.ask_at(&agreeing, 0), format!("{AGENT} principal"));
    let conflict = by_principal(attributes, "spiffe://td/gateway");
    assert_eq!(world.ask_at(&conflict, 0), Reason::CallerConflict.name());
    // Bad evidence is refused, whatever stands beside it.
    let bad = by_principal(with_headers(&[(JWT_SVID, "a.b.c")]), AGENT);
    assert_eq!(world.ask_at(&bad, 0), Reason::CallerJwtSvidMalformed.name());
}

#[test]
fn k1_a_kept_verification_is_judged_anew() {
    let mut world = World::new();
    let token = world.td.jwt_svid(json!({"exp": SECONDS + 10, "nbf": SECONDS}));
    let attributes = with_headers(&[(JWT_SVID, &token)]);
    assert_eq!(world.ask_at(&attributes, 9), accepted());
    assert_eq!(world.known(), 1);
    assert_eq!(world.ask_at(&attributes, -31), Reason::CallerJwtSvidNotYetValid.name());
    assert_eq!(world.ask_at(&attributes, 9), accepted());
    assert_eq!(world.ask_at(&attributes, 10), Reason::CallerJwtSvidExpired.name());
    assert_eq!(world.known(), 0);
}

#[test]
fn k2_a_verification_ends_with_its_bundle() {
    let mut world = World::new();
    let token = world.td.jwt_svid(json!({}));
    assert_eq!(world.ask(&token), accepted());
    let rotated = Domain::new("td");
    let before = std::mem::replace(&mut world.bundles, bundles([("td", rotated.bundle())]));
    assert_eq!(world.ask(&token), Reason::CallerJwtSvidSignature.name());
    assert_eq!(world.known(), 0);
    world.bundles = before;
    assert_eq!(world.ask(&token), accepted());
    world.bundles = Bundles::default();
    assert_eq!(world.ask(&token), Reason::CallerTrustDomainUnknown.name());
}

#[test]
fn k1_what_is_kept_is_bounded_and_was_signed() {
    let mut world = World::new();
    let pad = "p".repeat(2048);
    for number in 0..1200 {
        assert_eq!(world.claims(json!({"jti": number, "pad": pad})), accepted());
    }
    let (entries, bytes) = world.resolver.jwt_svids.as_ref().unwrap().known();
    assert!(bytes <= 4 << 20 && entries > 300 && entries < 800, "{entries} entries, {bytes} bytes");
    let mut fresh = World::new();
    let stranger = Domain::new("td").jwt_svid(json!({}));
    assert_eq!(fresh.ask(&stranger), Reason::CallerJwtSvidSignature.name());
    assert_eq!(fresh.claims(json!({"exp": 1})), Reason::CallerJwtSvidExpired.name());
    assert_eq!(fresh.known(), 0);
}
