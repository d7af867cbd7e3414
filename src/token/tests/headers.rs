//! D1–D9, D16, D17 and D20: what a header may say.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;
use serde_json::Value as Json;
use serde_json::json;

use super::forge::ISSUER;
use super::forge::NOW;
use super::forge::SigningKey;
use super::forge::World;
use super::forge::changed;
use super::forge::claims;
use super::forge::encode;
use super::forge::issuer;
use super::forge::key_set;
use crate::decision::Reason;
use crate::jose::Algorithm;
use crate::token::Refusal;

fn world_and_key() -> (World, SigningKey) {
    let key = SigningKey::es256("k1");
    (World::with_keys(&[&key.jwk]), key)
}

/// The reason for a token with some header members changed, otherwise acceptable and truly signed.
fn denied_with_header(changes: Json) -> Reason {
    let (mut world, key) = world_and_key();
    world.denied(&key.sign(&changed(key.header(), changes), &claims(json!({}))))
}

#[test]
fn every_algorithm_verifies() {
    use jsonwebtoken::Algorithm as A;
    let mut keys: Vec<_> = [A::RS256, A::RS384, A::RS512, A::PS256, A::PS384, A::PS512]
        .into_iter()
        .map(|algorithm| SigningKey::rsa(&format!("{algorithm:?}"), algorithm))
        .collect();
    keys.extend([SigningKey::es256("es256"), SigningKey::es384("es384"), SigningKey::ed25519("ed25519")]);
    let mut world = World::with_keys(&keys.iter().map(|key| &key.jwk).collect::<Vec<_>>());
    for key in &keys {
        let user = world.verify(&key.token(json!({}))).unwrap_or_else(|refusal| panic!("{:?}: {refusal:?}", key.jwk));
        assert_eq!((&*user.issuer, &*user.subject, user.expires_at), (ISSUER, "alice", NOW + 300));
    }
}

#[test]
fn d1_alg_none_is_refused() {
    let (mut world, key) = world_and_key();
    for alg in ["none", "None", "noNE", "NONE", ""] {
        let signed = key.sign(&changed(key.header(), json!({"alg": alg})), &claims(json!({})));
        assert_eq!(world.denied(&signed), Reason::TokenAlgorithm, "{alg}");
        let unsigned = signed.rsplit_once('.').unwrap().0;
        assert_eq!(world.denied(&format!("{unsigned}.")), Reason::TokenAlgorithm, "{alg}");
    }
    let signed = key.token(json!({}));
    let unsigned = signed.rsplit_once('.').unwrap().0;
    assert_eq!(world.denied(&format!("{unsigned}.")), Reason::TokenSignatureInvalid);
    for alg in [json!(null), json!(1), json!(["ES256"]), json!({"a": "ES256"})] {
        let mut header = key.header();
        header["alg"] = alg;
        assert_eq!(world.denied(&key.sign(&header, &claims(json!({})))), Reason::TokenMalformed);
    }
    assert_eq!(denied_with_header(json!({"alg": null})), Reason::TokenMalformed);
}

#[test]
fn d2_a_public_key_is_no_hmac_secret() {
    let key = SigningKey::rsa("k1", jsonwebtoken::Algorithm::RS256);
    let mut world = World::with_keys(&[&key.jwk]);
    assert!(world.verify(&key.token(json!({}))).is_ok());
    let part = |name: &str| URL_SAFE_NO_PAD.decode(key.jwk[name].as_str().unwrap()).unwrap();
    let der = RsaPublicKeyComponents { n: part("n"), e: part("e") }.as_der().unwrap().as_ref().to_vec();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&der));
    let modulus = part("n");
    for secret in [pem.as_bytes(), pem.trim_end().as_bytes(), &der, key.jwk.to_string().as_bytes(), &modulus, b""] {
        for (name, alg) in [
            ("HS256", jsonwebtoken::Algorithm::HS256),
            ("HS384", jsonwebtoken::Algorithm::HS384),
            ("HS512", jsonwebtoken::Algorithm::HS512),
        ] {
            let header = changed(key.header(), json!({"alg": name}));
            let input = format!(
                "{}.{}",
                encode(header.to_string().as_bytes()),
                encode(claims(json!({})).to_string().as_bytes())
            );
            let mac = jsonwebtoken::crypto::sign(input.as_bytes(), &EncodingKey::from_secret(secret), alg).unwrap();
            assert_eq!(world.denied(&format!("{input}.{mac}")), Reason::TokenAlgorithm, "{name}");
        }
    }
}

#[test]
fn d3_a_key_serves_one_algorithm() {
    let rsa = SigningKey::rsa("k1", jsonwebtoken::Algorithm::RS256);
    let p384 = SigningKey::es384("k1");
    let p256 = SigningKey::es256("k1");
    let cases = [
        (&rsa, changed(rsa.jwk.clone(), json!({"alg": "PS256"})), Reason::TokenAlgorithm),
        (&rsa, changed(rsa.jwk.clone(), json!({"alg": "RS512"})), Reason::TokenAlgorithm),
        (&p256, p384.jwk.clone(), Reason::TokenAlgorithm),
        (&p256, changed(p256.jwk.clone(), json!({"alg": "ES384"})), Reason::TokenKeyUnknown),
        (&p256, changed(p256.jwk.clone(), json!({"use": "enc"})), Reason::TokenKeyUnknown),
        (&p256, changed(p256.jwk.clone(), json!({"use": 1})), Reason::TokenKeyUnknown),
        (&p256, changed(p256.jwk.clone(), json!({"key_ops": ["sign"]})), Reason::TokenKeyUnknown),
        (&p256, changed(p256.jwk.clone(), json!({"key_ops": []})), Reason::TokenKeyUnknown),
        (&p256, changed(p256.jwk.clone(), json!({"key_ops": "verify"})), Reason::TokenKeyUnknown),
        (&p256, changed(p256.jwk.clone(), json!({"use": "enc", "key_ops": ["verify"]})), Reason::TokenKeyUnknown),
    ];
    for (key, jwk, wanted) in cases {
        assert_eq!(World::with_keys(&[&jwk]).denied(&key.token(json!({}))), wanted, "{jwk}");
    }
    for jwk in [json!({"use": null, "alg": null}), json!({"key_ops": ["sign", "verify"]})] {
        let jwk = changed(p256.jwk.clone(), jwk);
        assert!(World::with_keys(&[&jwk]).verify(&p256.token(json!({}))).is_ok(), "{jwk}");
    }
}

#[test]
fn d3_an_algorithm_must_be_the_issuers() {
    let key = SigningKey::es256("k1");
    let mut rules = issuer(ISSUER);
    rules.algorithms = vec![Algorithm::Es384, Algorithm::Rs256];
    let mut world = World::of(vec![(rules, key_set(&[&key.jwk]))]);
    assert_eq!(world.denied(&key.token(json!({}))), Reason::TokenAlgorithm);
}

#[test]
fn d3_rfc_9864_names_are_accepted_where_eddsa_is() {
    let key = SigningKey::ed25519("k1");
    let jwk = changed(key.jwk.clone(), json!({"alg": "Ed25519"}));
    let token = key.sign(&changed(key.header(), json!({"alg": "Ed25519"})), &claims(json!({})));
    assert!(World::with_keys(&[&jwk]).verify(&token).is_ok());
    assert!(World::with_keys(&[&key.jwk]).verify(&token).is_ok());
}

#[test]
fn d4_keys_and_addresses_in_the_header_are_refused() {
    let attacker = SigningKey::es256("k1");
    let (mut world, _) = world_and_key();
    for name in ["jwk", "jku", "x5u", "x5c"] {
        for value in [attacker.jwk.clone(), json!("https://attacker.example/jwks.json"), json!(["MIIB"]), json!("")] {
            let header = changed(attacker.header(), json!({name: value}));
            assert_eq!(
                world.denied(&attacker.sign(&header, &claims(json!({})))),
                Reason::TokenHeaderForbidden,
                "{name}"
            );
        }
    }
    let (mut world, key) = world_and_key();
    let harmless = json!({"x5t": "dGh1bWI", "x5t#S256": "dGh1bWI", "nonce": "n", "http://example.com/x": {"a": [1]}});
    assert!(world.verify(&key.sign(&changed(key.header(), harmless), &claims(json!({})))).is_ok());
}

#[test]
fn d5_crit_and_b64_are_refused() {
    for changes in [
        json!({"crit": ["b64"], "b64": false}),
        json!({"crit": ["b64"]}),
        json!({"crit": []}),
        json!({"crit": ["exp"], "exp": NOW + 300}),
        json!({"crit": ["absent"]}),
        json!({"crit": "b64"}),
        json!({"crit": false}),
        json!({"b64": false}),
        json!({"b64": true}),
    ] {
        assert_eq!(denied_with_header(changes.clone()), Reason::TokenHeaderForbidden, "{changes}");
    }
    let (mut world, key) = world_and_key();
    let null = r#"{"alg":"ES256","kid":"k1","crit":null}"#;
    assert_eq!(world.denied(&key.sign(&null, &claims(json!({})))), Reason::TokenHeaderForbidden);
}

#[test]
fn d6_a_name_stands_once_in_header_and_claims() {
    let (mut world, key) = world_and_key();
    for header in [
        r#"{"alg":"none","alg":"ES256","kid":"k1"}"#,
        r#"{"alg":"ES256","alg":"ES256","kid":"k1"}"#,
        r#"{"alg":"ES256","\u0061lg":"none","kid":"k1"}"#,
        r#"{"alg":"ES256","kid":"k2","kid":"k1"}"#,
        r#"{"alg":"ES256","kid":"k1","x":{"a":1,"a":2}}"#,
    ] {
        assert_eq!(world.denied(&key.sign(&header, &claims(json!({})))), Reason::TokenMalformed, "{header}");
    }
    let rest = format!(r#""iss":"{ISSUER}","aud":"orders-api","exp":{}"#, NOW + 300);
    for twice in [
        r#""sub":"alice","sub":"admin""#,
        r#""sub":"alice","\u0073ub":"admin""#,
        r#""sub":"alice","exp":9999999999"#,
        r#""sub":"alice","a":{"role":"user","role":"admin"}"#,
        r#""sub":"alice","a":[[{"b":{"c":1,"c":1}}]]"#,
    ] {
        let payload = format!("{{{rest},{twice}}}");
        assert_eq!(world.denied(&key.sign(&key.header(), &payload)), Reason::TokenMalformed, "{payload}");
    }
    assert!(world.verify(&key.sign(&key.header(), &format!(r#"{{{rest},"sub":"alice"}}"#))).is_ok());
}

#[test]
fn d7_a_hostile_kid_finds_nothing_and_is_not_echoed() {
    let (mut world, key) = world_and_key();
    for kid in ["../../etc/passwd", "' OR 1=1", "", "K1", "k1 ", "k", "k11", "$(id)"] {
        let token = key.sign(&changed(key.header(), json!({"kid": kid})), &claims(json!({})));
        assert!(matches!(world.verify(&token), Err(Refusal::Needs(_))), "{kid}");
    }
    for (kid, wanted) in [
        (json!("A".repeat(64 * 1024)), Reason::TokenTooLarge),
        (json!("A".repeat(3000)), Reason::TokenMalformed),
        (json!("A".repeat(257)), Reason::TokenMalformed),
        (json!("k1\0"), Reason::TokenMalformed),
        (json!("k1\n\u{1b}[31m"), Reason::TokenMalformed),
        (json!("k1\u{85}"), Reason::TokenMalformed),
        (json!(1), Reason::TokenMalformed),
        (json!(["k1"]), Reason::TokenMalformed),
        (json!({"k1": 1}), Reason::TokenMalformed),
        (json!(true), Reason::TokenMalformed),
    ] {
        let token = key.sign(&changed(key.header(), json!({"kid": kid})), &claims(json!({})));
        let Err(Refusal::Denied(denial)) = world.verify(&token) else { panic!("{kid}") };
        assert_eq!(denial.reason, wanted, "{kid}");
        assert!(denial.detail.len() < 200 && !denial.detail.contains("k1"), "{}", denial.detail);
    }
    let null = r#"{"alg":"ES256","kid":null}"#;
    assert_eq!(world.denied(&key.sign(&null, &claims(json!({})))), Reason::TokenMalformed);
}

#[test]
fn d8_unknown_kids_leave_nothing_behind() {
    let (mut world, key) = world_and_key();
    let mut token = key.token(json!({}));
    let (_, rest) = token.split_once('.').unwrap();
    let rest = rest.to_owned();
    for number in 0..10_000 {
        let header = changed(key.header(), json!({"kid": format!("invented-{number}")}));
        token = format!("{}.{rest}", encode(header.to_string().as_bytes()));
        assert!(matches!(world.verify(&token), Err(Refusal::Needs(_))));
    }
    assert_eq!(world.verifier.cache().len(), 0);
}

#[test]
fn d9_without_kid_exactly_one_key_must_fit() {
    let (first, second, other) = (SigningKey::es256("k1"), SigningKey::es256("k2"), SigningKey::es384("k3"));
    let token = first.sign(&changed(first.header(), json!({"kid": null})), &claims(json!({})));
    assert!(World::with_keys(&[&first.jwk]).verify(&token).is_ok());
    assert!(World::with_keys(&[&first.jwk, &other.jwk]).verify(&token).is_ok());
    assert_eq!(World::with_keys(&[&first.jwk, &second.jwk]).denied(&token), Reason::TokenKeyUnknown);
    assert_eq!(World::with_keys(&[&other.jwk]).denied(&token), Reason::TokenKeyUnknown);
    assert_eq!(World::with_keys(&[&second.jwk]).denied(&token), Reason::TokenSignatureInvalid);
    let unnamed = changed(first.jwk.clone(), json!({"kid": null}));
    assert!(World::with_keys(&[&unnamed]).verify(&token).is_ok());
    assert_eq!(World::with_keys(&[&unnamed, &second.jwk]).denied(&token), Reason::TokenKeyUnknown);
    // A key without a name is nobody's whose token names one.
    assert!(matches!(World::with_keys(&[&unnamed]).verify(&first.token(json!({}))), Err(Refusal::Needs(_))));
}

#[test]
fn d16_where_at_jwt_is_required_nothing_else_will_do() {
    let key = SigningKey::es256("k1");
    for configured in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        let mut rules = issuer(ISSUER);
        rules.token_types = vec![configured.to_owned()];
        let mut world = World::of(vec![(rules, key_set(&[&key.jwk]))]);
        for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
            let token = key.sign(&changed(key.header(), json!({"typ": typ})), &claims(json!({})));
            assert_eq!(world.verify(&token).unwrap().token_type.as_deref(), Some("at+jwt"), "{typ}");
        }
        let id_token = claims(json!({"nonce": "n", "at_hash": "h"}));
        for typ in
            [json!("JWT"), json!(null), json!("application/x/at+jwt"), json!("at+jwt "), json!("x+at+jwt"), json!("")]
        {
            let header = changed(key.header(), json!({"typ": typ}));
            assert_eq!(world.denied(&key.sign(&header, &id_token)), Reason::TokenType, "{typ}");
        }
    }
}

#[test]
fn d16_by_default_jwt_at_jwt_and_no_type_are_accepted() {
    let (mut world, key) = world_and_key();
    for (typ, canonical) in [
        (json!("JWT"), Some("jwt")),
        (json!("jwt"), Some("jwt")),
        (json!("application/jwt"), Some("jwt")),
        (json!("at+jwt"), Some("at+jwt")),
        (json!(null), None),
    ] {
        let user = world.verify(&key.sign(&changed(key.header(), json!({"typ": typ})), &claims(json!({})))).unwrap();
        assert_eq!(user.token_type.as_deref(), canonical);
    }
    for typ in ["JOSE", "", "text/jwt", "id+jwt", "\u{212a}wt"] {
        assert_eq!(denied_with_header(json!({"typ": typ})), Reason::TokenType, "{typ}");
    }
    assert_eq!(denied_with_header(json!({"typ": ["JWT"]})), Reason::TokenMalformed);
}

#[test]
fn d17_types_of_another_purpose_are_refused_even_where_configured() {
    let key = SigningKey::es256("k1");
    let types = [
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "oauth-id-jag+jwt",
        "client-authentication+jwt",
        "txntoken+jwt",
        "wpt+jwt",
        "wit+jwt",
        "DPoP+JWT",
        "application/dpop+jwt",
    ];
    let mut rules = issuer(ISSUER);
    rules.token_types = types.iter().map(|name| (*name).to_owned()).collect();
    let mut configured = World::of(vec![(rules, key_set(&[&key.jwk]))]);
    let mut default = World::with_keys(&[&key.jwk]);
    for typ in types {
        let token = key.sign(&changed(key.header(), json!({"typ": typ})), &claims(json!({})));
        assert_eq!(configured.denied(&token), Reason::TokenType, "{typ}");
        assert_eq!(default.denied(&token), Reason::TokenType, "{typ}");
    }
}

#[test]
fn d20_a_token_in_a_token_is_refused() {
    for cty in ["JWT", "jwt", "application/jwt"] {
        assert_eq!(denied_with_header(json!({"cty": cty})), Reason::TokenHeaderForbidden, "{cty}");
    }
    assert_eq!(denied_with_header(json!({"cty": 1})), Reason::TokenMalformed);
    let (mut world, key) = world_and_key();
    let inner = key.token(json!({}));
    assert_eq!(world.denied(&key.sign(&key.header(), &inner)), Reason::TokenMalformed);
    assert_eq!(world.denied(&key.sign(&key.header(), &Json::String(inner))), Reason::TokenMalformed);
}
