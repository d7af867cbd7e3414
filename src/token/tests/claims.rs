//! D10–D15, D24, D25 and the rows of §1M: what claims must be.

use aws_lc_rs::digest::SHA256;
use aws_lc_rs::digest::digest;
use proptest::prelude::*;
use serde_json::json;

use super::forge::AUDIENCE;
use super::forge::ISSUER;
use super::forge::LEEWAY;
use super::forge::NOW;
use super::forge::SigningKey;
use super::forge::World;
use super::forge::caller;
use super::forge::claims;
use super::forge::encode;
use super::forge::issuer;
use super::forge::key_set;
use super::forge::reason;
use crate::decision::Reason;
use crate::facts::Caller;
use crate::token::IssuerConfig;
use crate::token::Need;

fn world_and_key() -> (World, SigningKey) {
    let key = SigningKey::es256("k1");
    (World::with_keys(&[&key.jwk]), key)
}

fn ruled(change: impl FnOnce(&mut IssuerConfig)) -> (World, SigningKey) {
    let key = SigningKey::es256("k1");
    let mut rules = issuer(ISSUER);
    change(&mut rules);
    (World::of(vec![(rules, key_set(&[&key.jwk]))]), key)
}

/// A token whose claims have `member` as it is written here.
fn with_member(key: &SigningKey, member: &str, absent: &str) -> String {
    let base = claims(json!({absent: null})).to_string();
    let rest = base.strip_prefix('{').unwrap();
    key.sign(&key.header(), &format!("{{{member},{rest}"))
}

#[test]
fn d10_exp_must_be_a_number_that_is_a_time() {
    let (mut world, key) = world_and_key();
    assert_eq!(world.denied(&key.token(json!({"exp": null}))), Reason::TokenClaimMissing);
    for exp in [
        "\"9999999999\"",
        "1e400",
        "-1e400",
        "-1",
        "-0.5",
        "9223372036854775808",
        "18446744073709551616",
        "253402300800",
        "null",
        "[1900000000]",
        "{\"a\":1900000000}",
        "true",
        "\"\"",
    ] {
        let token = with_member(&key, &format!("\"exp\":{exp}"), "exp");
        assert_eq!(world.denied(&token), Reason::TokenClaimInvalid, "{exp}");
    }
    for exp in ["253402300799", "1900000000", "1.9e9", "1900000000.75", "19e8"] {
        assert!(world.verify(&with_member(&key, &format!("\"exp\":{exp}"), "exp")).is_ok(), "{exp}");
    }
    assert_eq!(world.denied(&with_member(&key, "\"exp\":0", "exp")), Reason::TokenExpired);
}

#[test]
fn d10_fractions_round_against_the_token() {
    let (mut world, key) = ruled(|rules| rules.leeway = std::time::Duration::ZERO);
    let exp = with_member(&key, &format!("\"exp\":{}.999", NOW + 10), "exp");
    assert_eq!(world.verify_at(&exp, NOW + 9).unwrap().expires_at, NOW + 10);
    assert_eq!(world.denied_at(&exp, NOW + 10), Reason::TokenExpired);
    let nbf = with_member(&key, &format!("\"nbf\":{}.001", NOW + 10), "nbf");
    assert_eq!(world.denied_at(&nbf, NOW + 10), Reason::TokenNotYetValid);
    assert!(world.verify_at(&nbf, NOW + 11).is_ok());
}

#[test]
fn d10_nbf_and_iat_of_a_wrong_type_are_refused() {
    let (mut world, key) = world_and_key();
    for name in ["nbf", "iat"] {
        for value in ["\"1700000000\"", "null", "-1", "1e400", "[]", "{}", "false", "253402300800"] {
            let token = with_member(&key, &format!("\"{name}\":{value}"), name);
            assert_eq!(world.denied(&token), Reason::TokenClaimInvalid, "{name} {value}");
        }
    }
    assert_eq!(world.verify(&key.token(json!({"iat": null, "nbf": null}))).unwrap().issued_at, None);
}

#[test]
fn d11_not_before_and_issued_at_allow_the_leeway_and_no_more() {
    let (mut world, key) = world_and_key();
    for name in ["nbf", "iat"] {
        assert!(world.verify(&key.token(json!({name: NOW + LEEWAY}))).is_ok(), "{name}");
        assert_eq!(world.denied(&key.token(json!({name: NOW + LEEWAY + 1}))), Reason::TokenNotYetValid, "{name}");
    }
}

#[test]
fn d12_a_token_ends_at_exp_plus_leeway_exclusive() {
    let (mut world, key) = world_and_key();
    for (exp, alive) in [(NOW - LEEWAY - 1, false), (NOW - LEEWAY, false), (NOW - LEEWAY + 1, true)] {
        let result = world.verify(&key.token(json!({"exp": exp, "iat": NOW - 600})));
        assert_eq!(result.is_ok(), alive, "{exp}");
        assert!(alive || reason(result, "expired") == Reason::TokenExpired);
    }
}

#[test]
fn d13_the_issuer_is_compared_byte_for_byte() {
    let (mut world, key) = world_and_key();
    for iss in
        ["https://idp.example/", "https://IDP.example", "HTTPS://idp.example", "https://idp.exampl", "idp.example", ""]
    {
        assert_eq!(world.denied(&key.token(json!({"iss": iss}))), Reason::TokenIssuerUnknown, "{iss}");
    }
    assert_eq!(world.denied(&key.token(json!({"iss": null}))), Reason::TokenClaimMissing);
    for iss in [json!([ISSUER]), json!({"a": ISSUER}), json!(1), json!(true)] {
        assert_eq!(world.denied(&key.token(json!({"iss": iss}))), Reason::TokenClaimInvalid);
    }
}

#[test]
fn d14_keys_are_bound_to_their_issuer() {
    let (a, b) = (SigningKey::es256("k1"), SigningKey::es256("k1"));
    let other = SigningKey::es256("k2");
    let mut world = World::of(vec![
        (issuer("https://a.example"), key_set(&[&a.jwk])),
        (issuer("https://b.example"), key_set(&[&b.jwk, &other.jwk])),
    ]);
    assert!(world.verify(&a.token(json!({"iss": "https://a.example"}))).is_ok());
    assert!(world.verify(&b.token(json!({"iss": "https://b.example"}))).is_ok());
    assert_eq!(world.denied(&b.token(json!({"iss": "https://a.example"}))), Reason::TokenSignatureInvalid);
    assert_eq!(world.denied(&a.token(json!({"iss": "https://b.example"}))), Reason::TokenSignatureInvalid);
    let stolen_name = world.verify(&other.token(json!({"iss": "https://a.example"})));
    assert!(
        matches!(stolen_name, Err(crate::token::Refusal::Needs(Need::Keys(index))) if index == world.config.index_of("https://a.example").unwrap())
    );
}

#[test]
fn d14_keys_of_another_configuration_are_not_used() {
    let (a, b) = (SigningKey::es256("k1"), SigningKey::es256("k1"));
    let rules = || (issuer("https://a.example"), issuer("https://b.example"));
    let ((first, second), (again_first, again_second)) = (rules(), rules());
    let mut world = World::of(vec![(first, key_set(&[&a.jwk])), (second, key_set(&[&b.jwk]))]);
    let swapped = World::of(vec![(again_second, key_set(&[&b.jwk])), (again_first, key_set(&[&a.jwk]))]);
    world.keys = swapped.keys;
    assert_eq!(world.denied(&b.token(json!({"iss": "https://a.example"}))), Reason::TokenKeysUnavailable);
}

#[test]
fn d15_an_audience_is_matched_exactly() {
    let (mut world, key) = world_and_key();
    for aud in [json!(AUDIENCE), json!([AUDIENCE]), json!(["other", AUDIENCE]), json!([AUDIENCE, AUDIENCE])] {
        assert!(world.verify(&key.token(json!({"aud": aud}))).is_ok());
    }
    let user = world.verify(&key.token(json!({"aud": ["other", AUDIENCE]}))).unwrap();
    assert_eq!(user.audience, ["other", AUDIENCE]);
    for aud in ["orders-api2", "orders", "orders-api/", "ORDERS-API", "orders-api other", "orders-api,other", "*", ""] {
        assert_eq!(world.denied(&key.token(json!({"aud": aud}))), Reason::TokenAudience, "{aud}");
    }
    assert_eq!(world.denied(&key.token(json!({"aud": []}))), Reason::TokenAudience);
    assert_eq!(world.denied(&key.token(json!({"aud": null}))), Reason::TokenAudience);
    for aud in [json!([AUDIENCE, 1]), json!([[AUDIENCE]]), json!([null, AUDIENCE]), json!({AUDIENCE: true}), json!(1)] {
        assert_eq!(world.denied(&key.token(json!({"aud": aud}))), Reason::TokenClaimInvalid, "{aud}");
    }
    let (mut nobody, key) = ruled(|rules| rules.audiences.clear());
    assert_eq!(nobody.denied(&key.token(json!({}))), Reason::TokenAudience);
    assert_eq!(nobody.denied(&key.token(json!({"aud": null}))), Reason::TokenAudience);
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap()
}

fn agent(certificate: [u8; 32]) -> Caller {
    caller("spiffe://td/agent", Some(certificate))
}

#[test]
fn d24_a_bound_token_needs_the_peer_with_its_certificate() {
    let (mut world, key) = world_and_key();
    let (mine, other) = (sha256(b"mine"), sha256(b"other"));
    let bound = key.token(json!({"cnf": {"x5t#S256": encode(&mine)}}));
    // Twice: the second time from the cache.
    for _ in 0..2 {
        assert!(world.verify_from(&bound, Some(&agent(mine)), NOW).is_ok());
        for peer in [None, Some(caller("spiffe://td/agent", None)), Some(agent(other))] {
            let result = world.verify_from(&bound, peer.as_ref(), NOW);
            assert_eq!(reason(result, "another peer"), Reason::TokenConfirmation);
        }
    }
    let unbound = key.token(json!({}));
    assert!(world.verify_from(&unbound, Some(&agent(other)), NOW).is_ok());
}

#[test]
fn d24_what_cannot_be_confirmed_is_refused() {
    let (mut world, key) = world_and_key();
    let mine = sha256(b"mine");
    let thumbprint = encode(&mine);
    for cnf in [
        json!({"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
        json!({"jwk": key.jwk}),
        json!({"jku": "https://attacker.example", "kid": "k"}),
        json!({"kid": "k"}),
        json!({"x5t#S256": thumbprint, "jkt": "x"}),
        json!({"x5t#S256": thumbprint, "unknown": true}),
        json!({"x5t": thumbprint}),
        json!({"X5T#S256": thumbprint}),
        json!({"x5t#S256": format!("{thumbprint}=")}),
        json!({"x5t#S256": thumbprint.get(..42)}),
        json!({"x5t#S256": encode(&mine[..31])}),
        json!({"x5t#S256": ""}),
        json!({"x5t#S256": [thumbprint]}),
        json!({}),
        json!([]),
        json!(""),
        json!(thumbprint),
        json!(false),
    ] {
        let result = world.verify_from(&key.token(json!({"cnf": cnf})), Some(&agent(mine)), NOW);
        assert_eq!(reason(result, &cnf.to_string()), Reason::TokenConfirmation);
    }
    let null = with_member(&key, "\"cnf\":null", "cnf");
    assert_eq!(world.denied(&null), Reason::TokenConfirmation);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Two nodes whose clocks are within the leeway of true time can disagree only within twice the leeway of `exp`.
    #[test]
    fn d25_nodes_agree_outside_the_window(skew in -LEEWAY..=LEEWAY, offset in -600_i64..600) {
        let (mut world, key) = world_and_key();
        let token = key.token(json!({"exp": NOW, "iat": NOW - 3600}));
        let here = NOW.saturating_add(offset);
        let there = here.saturating_add(skew);
        let agree = world.verify_at(&token, here).is_ok() == world.verify_at(&token, there).is_ok();
        prop_assert!(agree || offset.abs() <= 2 * LEEWAY);
    }
}

#[test]
fn m_sub_is_a_text_that_is_not_empty() {
    let (mut world, key) = world_and_key();
    assert_eq!(world.denied(&key.token(json!({"sub": null}))), Reason::TokenClaimMissing);
    for sub in [json!(""), json!(1), json!(["alice"]), json!({"a": "alice"}), json!(true)] {
        assert_eq!(world.denied(&key.token(json!({"sub": sub}))), Reason::TokenClaimInvalid, "{sub}");
    }
    assert_eq!(world.denied(&with_member(&key, "\"sub\":null", "sub")), Reason::TokenClaimInvalid);
}

#[test]
fn required_claims_must_be_there_and_equal() {
    let (mut world, key) = ruled(|rules| {
        rules.required_claims = vec![
            ("tenant".to_owned(), Some(json!("acme"))),
            ("email".to_owned(), None),
            ("level".to_owned(), Some(json!(2))),
        ];
    });
    let good = json!({"tenant": "acme", "email": "a@example.org", "level": 2});
    assert!(world.verify(&key.token(good.clone())).is_ok());
    for (name, value) in [
        ("tenant", json!("acme2")),
        ("tenant", json!("ACME")),
        ("tenant", json!(["acme"])),
        ("tenant", json!(null)),
        ("email", json!(null)),
        ("level", json!("2")),
        ("level", json!(3)),
    ] {
        let mut changes = good.clone();
        changes[name] = value;
        assert_eq!(world.denied(&key.token(changes)), Reason::TokenClaimMissing, "{name}");
    }
    let null = key.sign(
        &key.header(),
        &claims(json!({"tenant": "acme", "level": 2})).to_string().replacen('{', "{\"email\":null,", 1),
    );
    assert_eq!(world.denied(&null), Reason::TokenClaimMissing);
}

#[test]
fn the_user_is_what_the_claims_say() {
    let (mut world, key) = world_and_key();
    let user = world.verify(&key.token(json!({"scope": "read  write", "azp": "web", "roles": ["a"]}))).unwrap();
    assert_eq!(user.scopes, ["read", "write"]);
    assert_eq!(user.client_id.as_deref(), Some("web"));
    assert_eq!((user.issued_at, user.expires_at), (Some(NOW - 10), NOW + 300));
    assert_eq!(user.claims["roles"], json!(["a"]));
    let user = world.verify(&key.token(json!({"scope": ["read", "write"], "azp": "web", "client_id": "app"}))).unwrap();
    assert_eq!((user.client_id.as_deref(), user.scopes.len()), (Some("app"), 2));
    for changes in [json!({"scope": 1}), json!({"scope": [1]}), json!({"client_id": 1}), json!({"azp": ["web"]})] {
        assert_eq!(world.denied(&key.token(changes.clone())), Reason::TokenClaimInvalid, "{changes}");
    }
}

#[test]
fn c8_a_workload_is_no_user() {
    let subjects = [
        ("spiffe://td/agent", true),
        ("SPIFFE://td/agent", true),
        ("spiffe://", true),
        ("alice", false),
        ("https://td/spiffe://a", false),
        ("spiffe:td", false),
        // Cut within a character, a prefix of as many bytes.
        ("spiffe:/é", false),
    ];
    for allowed in [false, true] {
        let (mut world, key) = ruled(|rules| rules.workload_subjects = allowed);
        for (subject, is_workload) in subjects {
            let token = key.token(json!({"sub": subject}));
            // Twice: where the verification is kept, this is asked again.
            for _ in 0..2 {
                match world.verify(&token) {
                    Ok(user) => assert!(user.subject == subject && (allowed || !is_workload), "{subject}"),
                    refused => {
                        assert_eq!(reason(refused, subject), Reason::TokenSubjectWorkload);
                        assert!(is_workload && !allowed, "{subject}");
                    }
                }
            }
        }
    }
    assert_eq!(Reason::TokenSubjectWorkload.http_status(), 401);
}
