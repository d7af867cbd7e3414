//! C9 and C10: what a Workload-Identity-Token and its proof must be.

mod bindings;

use serde_json::Value as Json;
use serde_json::json;

use crate::decision::Reason;
use crate::facts::Attributes;
use crate::identity::Config;
use crate::identity::Resolver;
use crate::identity::WimseConfig;
use crate::identity::fixtures::Domain;
use crate::identity::fixtures::JWT_SVID;
use crate::identity::fixtures::PATH;
use crate::identity::fixtures::SECONDS;
use crate::identity::fixtures::TARGET;
use crate::identity::fixtures::awaited;
use crate::identity::fixtures::bundles;
use crate::identity::fixtures::by_principal;
use crate::identity::fixtures::hash;
use crate::identity::fixtures::tokens;
use crate::identity::fixtures::with_headers;
use crate::identity::fixtures::with_proof;
use crate::identity::fixtures::with_raw_headers;
use crate::identity::fixtures::wpt;
use crate::identity::fixtures::wpt_claims;
use crate::identity::wimse::IDENTITY_TOKEN;
use crate::identity::wimse::PROOF_TOKEN;
use crate::jose::fixtures::SigningKey;
use crate::jose::fixtures::changed;
use crate::jose::fixtures::encode;
use crate::trust::Bundles;
use crate::trust::fixtures::NOW;

use super::NOBODY;

const AGENT: &str = "spiffe://td/agent";

/// A worker that believes in `td`, and a workload's key.
struct World {
    td: Domain,
    key: SigningKey,
    bundles: Bundles,
    resolver: Resolver,
}

impl World {
    fn new() -> Self {
        Self::with(tokens())
    }

    fn with(config: Config) -> Self {
        let td = Domain::new("td");
        let key = SigningKey::es256("any");
        Self { bundles: bundles([("td", td.bundle())]), td, key, resolver: Resolver::new(config) }
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

    fn ask(&mut self, attributes: &Attributes) -> String {
        self.ask_at(attributes, 0)
    }

    /// The answer to a WIT with a proof that fits it.
    fn wit(&mut self, wit: &str) -> String {
        let proof = wpt(&self.key, wit, json!({}));
        self.ask(&with_proof(wit, &proof))
    }

    fn wit_claims(&mut self, changes: Json) -> String {
        let wit = self.td.wit(&self.key, changes);
        self.wit(&wit)
    }

    fn wit_header(&mut self, changes: Json) -> String {
        let header = changed(self.td.wit.typed("wit+jwt"), changes);
        let wit = self.td.wit.sign(&header, &self.td.wit_claims(&self.key, json!({})));
        self.wit(&wit)
    }

    /// The answer to a WIT that confirms this key.
    fn confirming(&mut self, jwk: &Json) -> String {
        self.wit_claims(json!({"cnf": {"jwk": jwk}}))
    }

    /// The answer to a good WIT with a changed proof.
    fn wpt_claims(&mut self, changes: Json) -> String {
        let wit = self.td.wit(&self.key, json!({}));
        let proof = wpt(&self.key, &wit, changes);
        self.ask(&with_proof(&wit, &proof))
    }

    fn wpt_header(&mut self, changes: Json) -> String {
        let wit = self.td.wit(&self.key, json!({}));
        let proof = self.key.sign(&changed(self.key.typed("wpt+jwt"), changes), &wpt_claims(&wit, json!({})));
        self.ask(&with_proof(&wit, &proof))
    }

    fn known(&self) -> usize {
        self.resolver.workload_tokens.as_ref().unwrap().known().0
    }
}

fn accepted() -> String {
    format!("{AGENT} workload_proof")
}

#[test]
fn a_token_and_its_proof_name_the_workload() {
    let mut world = World::new();
    assert_eq!(world.wit_claims(json!({})), accepted());
    assert_eq!(world.wit_claims(json!({"iss": "https://td.example", "extra": {"a": 1}})), accepted());
    assert_eq!(world.wpt_claims(json!({"extra": 1, "nbf": SECONDS, "iat": SECONDS})), accepted());
    assert_eq!(world.ask(&with_headers(&[])), NOBODY);
    let mut off = World::with(Config { wimse: None, ..tokens() });
    assert_eq!(off.ask(&with_proof("rubbish", "rubbish")), NOBODY);
}

#[test]
fn c9_a_token_without_its_proof_is_no_evidence_but_an_error() {
    let mut world = World::new();
    let wit = world.td.wit(&world.key, json!({}));
    let proof = wpt(&world.key, &wit, json!({}));
    let (malformed, missing) = (Reason::CallerWitMalformed.name(), Reason::CallerWptMissing.name());
    assert_eq!(world.ask(&with_headers(&[(IDENTITY_TOKEN, &wit)])), missing);
    assert_eq!(world.ask(&with_headers(&[(PROOF_TOKEN, &proof)])), malformed);
    assert_eq!(world.ask(&with_headers(&[(IDENTITY_TOKEN, ""), (PROOF_TOKEN, &proof)])), malformed);
    // Beside a principal that would do without, too.
    let beside = by_principal(with_headers(&[(IDENTITY_TOKEN, &wit)]), AGENT);
    assert_eq!(world.ask(&beside), missing);
    assert_eq!(world.ask(&with_headers(&[(JWT_SVID, &wit)])), Reason::CallerJwtSvidType.name());
    for reason in Reason::ALL
        .iter()
        .filter(|reason| ["caller_wit_", "caller_wpt_"].iter().any(|prefix| reason.name().starts_with(prefix)))
    {
        assert_eq!(reason.http_status(), 400, "{reason}");
    }
}

#[test]
fn c9_the_tokens_header_is_that_of_a_wit() {
    let mut world = World::new();
    let (malformed, untrusted) = (Reason::CallerWitMalformed.name(), Reason::CallerWitUntrusted.name());
    assert_eq!(world.wit_header(json!({"typ": "application/wit+jwt"})), accepted());
    for (changes, answer) in [
        (json!({"typ": "JWT"}), malformed),
        (json!({"typ": null}), malformed),
        (json!({"typ": "wpt+jwt"}), malformed),
        (json!({"kid": 1}), malformed),
        (json!({"jwk": {}}), malformed),
        (json!({"crit": ["exp"]}), malformed),
        (json!({"kid": null}), untrusted),
        (json!({"kid": "jwt-1"}), untrusted),
        (json!({"alg": "none"}), untrusted),
        (json!({"alg": "HS256"}), untrusted),
        (json!({"alg": "EdDSA"}), untrusted),
        (json!({"alg": "ES384"}), untrusted),
    ] {
        assert_eq!(world.wit_header(changes.clone()), answer, "{changes}");
    }
}

#[test]
fn c9_the_tokens_claims_are_those_of_a_wit() {
    let mut world = World::new();
    let (malformed, expired) = (Reason::CallerWitMalformed.name(), Reason::CallerWitExpired.name());
    for (changes, answer) in [
        (json!({"aud": "https://orders.example"}), malformed),
        (json!({"aud": []}), malformed),
        (json!({"sub": null}), malformed),
        (json!({"sub": "spiffe://td"}), malformed),
        (json!({"sub": "wimse://td/agent"}), malformed),
        (json!({"sub": "spiffe://other/agent"}), Reason::CallerTrustDomainUnknown.name()),
        (json!({"exp": null}), malformed),
        (json!({"exp": "soon"}), malformed),
        (json!({"exp": SECONDS}), expired),
        (json!({"nbf": SECONDS + 31}), expired),
        (json!({"nbf": true}), malformed),
        (json!({"cnf": null}), malformed),
        (json!({"cnf": {}}), malformed),
        (json!({"cnf": {"jkt": "x"}}), malformed),
        (json!({"cnf": {"jwk": "x"}}), malformed),
        (json!({"cnf": {"kid": "any", "jwk": world.key.jwk}}), malformed),
    ] {
        assert_eq!(world.wit_claims(changes.clone()), answer, "{changes}");
    }
    assert_eq!(world.wit_claims(json!({"nbf": SECONDS + 30, "iat": SECONDS + 1000})), accepted());
}

#[test]
fn c9_the_confirmed_key_is_public_asymmetric_and_says_its_algorithm() {
    let mut world = World::new();
    let bare = changed(world.key.jwk.clone(), json!({"use": null, "kid": null}));
    assert_eq!(world.confirming(&bare), accepted());
    for jwk in [
        changed(bare.clone(), json!({"alg": null})),
        changed(bare.clone(), json!({"alg": "ES384"})),
        changed(bare.clone(), json!({"alg": "none"})),
        changed(bare.clone(), json!({"alg": 1})),
        changed(bare.clone(), json!({"d": "AAAA"})),
        changed(bare.clone(), json!({"use": "enc"})),
        changed(bare.clone(), json!({"key_ops": ["sign"]})),
        changed(bare.clone(), json!({"x": "AAAA"})),
        changed(bare, json!({"kty": null})),
        json!({"kty": "oct", "k": encode(&[1; 32]), "alg": "HS256"}),
    ] {
        assert_eq!(world.confirming(&jwk), Reason::CallerWitMalformed.name(), "{jwk}");
    }
    let eddsa = SigningKey::ed25519("any");
    assert_eq!(world.confirming(&eddsa.jwk), Reason::CallerWitMalformed.name());
    for key in [SigningKey::es384("any"), SigningKey::rsa("any", jsonwebtoken::Algorithm::PS256)] {
        world.key = key;
        assert_eq!(world.wit_claims(json!({})), accepted(), "{}", world.key.jwk);
    }
}

#[test]
fn c9_only_keys_for_wits_of_its_own_trust_domain_sign_one() {
    let mut world = World::new();
    let other = Domain::new("other");
    world.bundles = bundles([("td", world.td.bundle()), ("other", other.bundle())]);
    let untrusted = Reason::CallerWitUntrusted.name();
    let crossed = other.wit(&world.key, json!({"sub": AGENT}));
    assert_eq!(world.wit(&crossed), untrusted);
    let by_jwt_key = world.td.jwt.sign(&world.td.jwt.typed("wit+jwt"), &world.td.wit_claims(&world.key, json!({})));
    assert_eq!(world.wit(&by_jwt_key), untrusted);
    let by_itself = world.key.sign(&world.td.wit.typed("wit+jwt"), &world.td.wit_claims(&world.key, json!({})));
    assert_eq!(world.wit(&by_itself), untrusted);
    world.bundles = bundles([("td", world.td.bundle_of(&[("jwt-svid", &world.td.wit)]))]);
    assert_eq!(world.wit_claims(json!({})), untrusted);
    world.bundles = awaited();
    assert_eq!(world.wit_claims(json!({})), Reason::CallerTrustUnavailable.name());
}

#[test]
fn c10_each_header_stands_once() {
    let mut world = World::new();
    let wit = world.td.wit(&world.key, json!({}));
    let proof = wpt(&world.key, &wit, json!({}));
    let (no_token, no_proof) = (Reason::CallerWitMalformed.name(), Reason::CallerWptMalformed.name());
    let twice = |name: &'static str, value: &str| {
        let others = [(IDENTITY_TOKEN, wit.as_str()), (PROOF_TOKEN, proof.as_str()), (name, value)];
        with_headers(&others)
    };
    let joined = |token: &str| format!("{token},{token}");
    for (attributes, answer) in [
        (twice(IDENTITY_TOKEN, &wit), no_token),
        (twice("Workload-Identity-Token", ""), no_token),
        (twice(PROOF_TOKEN, &proof), no_proof),
        (with_proof(&joined(&wit), &proof), no_token),
        (with_proof(&wit, &joined(&proof)), no_proof),
        (with_proof(&format!("Bearer {wit}"), &proof), no_token),
        (with_proof(&wit, ""), no_proof),
        (with_proof(&wit, &format!("{proof}{}", "A".repeat(16 * 1024))), no_proof),
        (with_raw_headers(&[(IDENTITY_TOKEN, b"\xff"), (PROOF_TOKEN, proof.as_bytes())]), no_token),
    ] {
        assert_eq!(world.ask(&attributes), answer);
    }
}

#[test]
fn c10_the_proofs_header_is_that_of_a_wpt() {
    let mut world = World::new();
    let (malformed, signature) = (Reason::CallerWptMalformed.name(), Reason::CallerWptSignature.name());
    assert_eq!(world.wpt_header(json!({"typ": "application/WPT+jwt", "kid": "whatever"})), accepted());
    for (changes, answer) in [
        (json!({"typ": null}), malformed),
        (json!({"typ": "JWT"}), malformed),
        (json!({"typ": "dpop+jwt"}), malformed),
        (json!({"jwk": {}}), malformed),
        (json!({"alg": "none"}), signature),
        (json!({"alg": "HS256"}), signature),
        (json!({"alg": "ES384"}), signature),
        (json!({"alg": "RS256"}), signature),
        (json!({"alg": null}), malformed),
    ] {
        assert_eq!(world.wpt_header(changes.clone()), answer, "{changes}");
    }
    let wit = world.td.wit(&world.key, json!({}));
    for stranger in [SigningKey::es256("any"), SigningKey::es384("any")] {
        assert_eq!(world.ask(&with_proof(&wit, &wpt(&stranger, &wit, json!({})))), signature);
    }
    let by_authority = wpt(&world.td.wit, &wit, json!({}));
    assert_eq!(world.ask(&with_proof(&wit, &by_authority)), signature);
}

#[test]
fn c10_a_proof_is_for_this_target_now() {
    let mut world = World::new();
    let (malformed, expired) = (Reason::CallerWptMalformed.name(), Reason::CallerWptExpired.name());
    let audience = Reason::CallerWptAudience.name();
    let target = format!("{TARGET}{PATH}");
    for (changes, answer) in [
        (json!({"aud": [target]}), accepted()),
        (json!({"aud": null}), audience.to_owned()),
        (json!({"aud": []}), audience.to_owned()),
        (json!({"aud": [target, target]}), audience.to_owned()),
        (json!({"aud": TARGET}), audience.to_owned()),
        (json!({"aud": format!("{target}?verbose=1")}), audience.to_owned()),
        (json!({"aud": format!("{target}/")}), audience.to_owned()),
        (json!({"aud": format!("https://billing.example{PATH}")}), audience.to_owned()),
        (json!({"aud": format!("http://orders.example{PATH}")}), audience.to_owned()),
        (json!({"aud": 1}), malformed.to_owned()),
        (json!({"exp": null}), malformed.to_owned()),
        (json!({"exp": "1"}), malformed.to_owned()),
        (json!({"exp": SECONDS}), expired.to_owned()),
        (json!({"exp": SECONDS + 330}), accepted()),
        (json!({"exp": SECONDS + 331}), expired.to_owned()),
        (json!({"nbf": SECONDS + 31}), expired.to_owned()),
        (json!({"iat": SECONDS + 31}), expired.to_owned()),
        (json!({"jti": null}), malformed.to_owned()),
        (json!({"jti": ""}), malformed.to_owned()),
        (json!({"jti": 1}), malformed.to_owned()),
        (json!({"jti": "j".repeat(256)}), accepted()),
        (json!({"jti": "j".repeat(257)}), malformed.to_owned()),
    ] {
        assert_eq!(world.wpt_claims(changes.clone()), answer, "{changes}");
    }
}

#[test]
fn c10_the_host_that_a_client_writes_decides_nothing() {
    let mut world = World::new();
    let wit = world.td.wit(&world.key, json!({}));
    let elsewhere = wpt(&world.key, &wit, json!({"aud": format!("https://billing.example{PATH}")}));
    let here = wpt(&world.key, &wit, json!({}));
    for (proof, answer) in [(&elsewhere, Reason::CallerWptAudience.name().to_owned()), (&here, accepted())] {
        let mut attributes = with_headers(&[("host", "billing.example"), (IDENTITY_TOKEN, &wit), (PROOF_TOKEN, proof)]);
        let http = attributes.request.as_mut().unwrap().http.as_mut().unwrap();
        (http.host, http.scheme) = ("billing.example".to_owned(), "https".to_owned());
        assert_eq!(world.ask(&attributes), answer);
    }
}

#[test]
fn c10_a_configured_path_is_where_targets_begin() {
    let audiences = vec!["https://billing.example".to_owned(), format!("{TARGET}/v1"), "no audience".to_owned()];
    let mut world = World::with(Config { wimse: Some(WimseConfig { audiences }), ..tokens() });
    let wit = world.td.wit(&world.key, json!({}));
    for (path, is_below) in [("/v1/a", true), ("/v1?q", true), ("/v10", false), ("/", false), ("/v1/../a", false)] {
        let aud = format!("{TARGET}{}", path.split('?').next().unwrap());
        let mut attributes = with_proof(&wit, &wpt(&world.key, &wit, json!({"aud": aud})));
        attributes.request.as_mut().unwrap().http.as_mut().unwrap().path = path.to_owned();
        let wanted = if is_below { accepted() } else { Reason::CallerWptAudience.name().to_owned() };
        assert_eq!(world.ask(&attributes), wanted, "{path}");
    }
}

#[test]
fn a12_a_proven_token_agrees_with_all_else_or_is_refused() {
    let mut world = World::new();
    let wit = world.td.wit(&world.key, json!({}));
    let proof = wpt(&world.key, &wit, json!({}));
    assert_eq!(world.ask(&by_principal(with_proof(&wit, &proof), AGENT)), format!("{AGENT} principal"));
    let conflict = Reason::CallerConflict.name();
    assert_eq!(world.ask(&by_principal(with_proof(&wit, &proof), "spiffe://td/gateway")), conflict);
    let svids = [(json!({}), accepted()), (json!({"sub": "spiffe://td/other"}), conflict.to_owned())];
    for (changes, answer) in svids {
        let svid = world.td.jwt_svid(changes);
        let all = [(IDENTITY_TOKEN, wit.as_str()), (PROOF_TOKEN, proof.as_str()), (JWT_SVID, svid.as_str())];
        assert_eq!(world.ask(&with_headers(&all)), answer);
    }
}

#[test]
fn k1_a_kept_token_needs_a_proof_each_time() {
    let mut world = World::new();
    let wit = world.td.wit(&world.key, json!({"exp": SECONDS + 40}));
    let proof = wpt(&world.key, &wit, json!({"exp": SECONDS + 60}));
    let attributes = with_proof(&wit, &proof);
    // Within its life a proof can be sent again: which ones were seen is not remembered.
    assert_eq!(world.ask(&attributes), accepted());
    assert_eq!(world.ask_at(&attributes, 39), accepted());
    assert_eq!(world.known(), 1);
    assert_eq!(world.ask(&with_headers(&[(IDENTITY_TOKEN, &wit)])), Reason::CallerWptMissing.name());
    let forged = wpt(&SigningKey::es256("any"), &wit, json!({}));
    assert_eq!(world.ask(&with_proof(&wit, &forged)), Reason::CallerWptSignature.name());
    assert_eq!(world.ask_at(&attributes, 40), Reason::CallerWitExpired.name());
    assert_eq!(world.known(), 0);
    assert_eq!(world.ask(&attributes), accepted());
    world.bundles = bundles([("td", Domain::new("td").bundle())]);
    assert_eq!(world.ask(&attributes), Reason::CallerWitUntrusted.name());
    assert_eq!(hash(&wit).len(), 43);
}
