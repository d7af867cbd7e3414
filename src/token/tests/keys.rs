//! D23 and I3: what a key set may bring.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value as Json;
use serde_json::json;

use super::forge::SigningKey;
use super::forge::World;
use super::forge::changed;
use super::forge::encode;
use super::forge::jwks;
use super::forge::key_set;
use super::wycheproof::vectors;
use crate::decision::Reason;
use crate::jose::Algorithm;
use crate::jose::KeySet;
use crate::jose::KeySetError;

fn rsa(n: &[u8], e: &[u8]) -> Json {
    json!({"kty": "RSA", "alg": "RS256", "kid": "bad", "n": encode(n), "e": encode(e)})
}

fn decode(text: &Json) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap()
}

/// An odd number of so many bits.
fn modulus(bits: usize) -> Vec<u8> {
    let mut bytes = vec![0xa5; bits.div_ceil(8)];
    bytes[0] = 0xff >> bits.wrapping_neg().rem_euclid(8);
    bytes
}

#[test]
fn d23_weak_and_costly_rsa_keys_are_refused_and_the_others_kept() {
    let good = SigningKey::es256("good");
    let real_1024 = vectors().find(|vector| vector.id == "wp-jwk-8").unwrap().keys[0].clone();
    let three = [1, 0, 1];
    for (bad, why) in [
        (changed(real_1024, json!({"kid": "bad"})), "modulus of fewer"),
        (rsa(&modulus(1024), &three), "modulus of fewer"),
        (rsa(&modulus(2047), &three), "modulus of fewer"),
        (rsa(&modulus(8193), &three), "modulus of fewer"),
        (rsa(&modulus(16_384), &three), "modulus of fewer"),
        (rsa(&[], &three), "modulus of fewer"),
        (rsa(&[&[0], &modulus(2048)[..]].concat(), &three), "malformed"),
        (rsa(&modulus(2048), &[]), "exponent"),
        (rsa(&modulus(2048), &[0]), "exponent"),
        (rsa(&modulus(2048), &[1]), "exponent"),
        (rsa(&modulus(2048), &[3]), "exponent"),
        (rsa(&modulus(2048), &[1, 0, 0]), "exponent"),
        (rsa(&modulus(2048), &[1, 0, 2]), "exponent"),
        (rsa(&modulus(2048), &[1, 0, 0, 0, 1]), "exponent"),
        (rsa(&modulus(2048), &[0xff; 256]), "exponent"),
        (changed(rsa(&modulus(2048), &three), json!({"n": null})), "malformed"),
        (changed(rsa(&modulus(2048), &three), json!({"n": 1})), "malformed"),
        (changed(rsa(&modulus(2048), &three), json!({"e": "AQAB="})), "malformed"),
        (changed(rsa(&modulus(2048), &three), json!({"alg": "ES256"})), "`alg`"),
        (changed(rsa(&modulus(2048), &three), json!({"alg": "RSA-OAEP"})), "`alg`"),
        (changed(rsa(&modulus(2048), &three), json!({"alg": 5})), "`alg`"),
    ] {
        let set = key_set(&[&bad, &good.jwk]);
        assert_eq!((set.usable(), set.warnings().len()), (1, 1), "{bad}");
        assert!(set.warnings()[0].contains(why), "{:?}", set.warnings());
        assert!(World::with_keys(&[&bad, &good.jwk]).verify(&good.token(json!({}))).is_ok());
    }
    for fine in [rsa(&modulus(2048), &three), rsa(&modulus(8192), &three), rsa(&modulus(3000), &[0xff; 4])] {
        assert_eq!(key_set(&[&fine]).usable(), 1, "{fine}");
    }
}

#[test]
fn i3_symmetric_private_and_unknown_keys_are_dropped_with_a_warning() {
    let key = SigningKey::es256("k1");
    let rsa = SigningKey::rsa("k2", jsonwebtoken::Algorithm::RS256);
    let ed = SigningKey::ed25519("k3");
    // The same bytes cut at another place, and the same key in another encoding (RFC 8410 §4).
    let point = [decode(&key.jwk["x"]), decode(&key.jwk["y"])].concat();
    let shifted = json!({"x": encode(&point[..31]), "y": encode(&point[31..])});
    let spki = [b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", &decode(&ed.jwk["x"])[..]].concat();
    for bad in [
        changed(key.jwk.clone(), shifted),
        changed(ed.jwk.clone(), json!({"x": encode(&spki)})),
        json!({"kty": "oct", "kid": "k1", "k": "c2VjcmV0", "alg": "HS256"}),
        json!({"kty": "oct", "kid": "k1"}),
        changed(key.jwk.clone(), json!({"d": "c2VjcmV0"})),
        changed(key.jwk.clone(), json!({"k": "c2VjcmV0"})),
        changed(rsa.jwk.clone(), json!({"p": "c2VjcmV0"})),
        changed(ed.jwk.clone(), json!({"d": ""})),
        changed(key.jwk.clone(), json!({"kty": "AKP"})),
        changed(key.jwk.clone(), json!({"kty": "ec"})),
        changed(key.jwk.clone(), json!({"kty": null})),
        changed(key.jwk.clone(), json!({"kty": "RSA"})),
        changed(key.jwk.clone(), json!({"crv": "P-384"})),
        changed(key.jwk.clone(), json!({"crv": "P-521"})),
        changed(key.jwk.clone(), json!({"crv": "secp256k1"})),
        changed(key.jwk.clone(), json!({"crv": null})),
        changed(key.jwk.clone(), json!({"y": key.jwk["x"]})),
        changed(key.jwk.clone(), json!({"x": encode(&[0; 31])})),
        changed(key.jwk.clone(), json!({"x": encode(&[0; 32]), "y": encode(&[0; 32])})),
        changed(key.jwk.clone(), json!({"x": encode(&[0xff; 32])})),
        changed(ed.jwk.clone(), json!({"crv": "Ed448"})),
        changed(ed.jwk.clone(), json!({"x": encode(&[1; 31])})),
        changed(ed.jwk.clone(), json!({"x": encode(&[1; 44])})),
    ] {
        let set = key_set(&[&bad]);
        assert_eq!((set.usable(), set.warnings().len()), (0, 1), "{bad}");
        assert!(!set.warnings()[0].contains("c2VjcmV0"), "{:?}", set.warnings());
    }
    let encryption = changed(key.jwk.clone(), json!({"use": "enc"}));
    let set = key_set(&[&encryption]);
    assert_eq!((set.usable(), set.warnings().len()), (0, 0));
}

#[test]
fn i3_a_kid_that_two_keys_share_is_refused() {
    let (first, second, third) = (SigningKey::es256("k1"), SigningKey::es256("k1"), SigningKey::es256("k3"));
    let mut world = World::with_keys(&[&first.jwk, &second.jwk, &third.jwk]);
    for key in [&first, &second] {
        assert_eq!(world.denied(&key.token(json!({}))), Reason::TokenKeyUnknown);
    }
    assert!(world.verify(&third.token(json!({}))).is_ok());
    let set = key_set(&[&first.jwk, &second.jwk, &third.jwk]);
    assert_eq!((set.usable(), set.warnings().len()), (1, 1));
    assert_eq!(key_set(&[&first.jwk, &first.jwk, &first.jwk]).usable(), 0);
    // A key that is for encryption, or cannot be used at all, is no rival.
    let encryption = changed(second.jwk.clone(), json!({"use": "enc"}));
    for set in [[&encryption, &first.jwk], [&first.jwk, &encryption]] {
        assert!(World::with_keys(&set).verify(&first.token(json!({}))).is_ok());
    }
}

#[test]
fn i3_the_number_of_keys_is_bounded() {
    let key = SigningKey::es256("k");
    let many = |count: usize| -> Vec<u8> {
        let keys: Vec<_> = (0..count).map(|n| changed(key.jwk.clone(), json!({"kid": n.to_string()}))).collect();
        jwks(&keys.iter().collect::<Vec<_>>())
    };
    assert_eq!(KeySet::parse(&many(256), &[]).unwrap().usable(), 256);
    assert_eq!(KeySet::parse(&many(257), &[]).unwrap_err(), KeySetError::TooManyKeys);
    assert!(matches!(KeySet::parse(&many(10_000), &[]), Err(KeySetError::Json(_))));
}

#[test]
fn i3_what_is_no_key_set_is_refused_whole() {
    for document in [
        "",
        "<html><body>Sign in</body></html>",
        "null",
        "[]",
        "{}",
        r#"{"error":"not found"}"#,
        r#"{"keys":null}"#,
        r#"{"keys":{}}"#,
        r#"{"keys":[1]}"#,
        r#"{"keys":[null]}"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"keys":[]} x"#,
        r#"{"keys":[{"kty":"EC","kty":"oct"}]}"#,
    ] {
        assert!(KeySet::parse(document.as_bytes(), &[]).is_err(), "{document}");
    }
    assert_eq!(KeySet::parse(br#"{"keys":[],"extra":1}"#, &[]).unwrap().usable(), 0);
}

#[test]
fn i3_a_kid_that_is_no_short_text_names_no_key() {
    let key = SigningKey::es256("k1");
    for kid in [json!(1), json!("x".repeat(257)), json!("a\nb"), json!(["k1"])] {
        let set = key_set(&[&changed(key.jwk.clone(), json!({"kid": kid}))]);
        assert_eq!((set.usable(), set.warnings().len()), (0, 1));
    }
}

#[test]
fn an_rsa_key_without_alg_takes_the_issuers_only_one() {
    let key = SigningKey::rsa("k1", jsonwebtoken::Algorithm::PS256);
    let document = jwks(&[&changed(key.jwk.clone(), json!({"alg": null}))]);
    let usable = |algorithms: &[Algorithm]| KeySet::parse(&document, algorithms).unwrap().usable();
    assert_eq!(usable(&[Algorithm::Ps256]), 1);
    assert_eq!(usable(&[Algorithm::Es256, Algorithm::Ps256, Algorithm::Ps256]), 1);
    assert_eq!(usable(&[Algorithm::Rs256, Algorithm::Ps256]), 0);
    assert_eq!(usable(&[Algorithm::Es256]), 0);
}

#[test]
fn sets_are_equal_whatever_their_order() {
    let (first, second) = (SigningKey::es256("k1"), SigningKey::es384("k2"));
    let unnamed = [&first, &second].map(|key| changed(key.jwk.clone(), json!({"kid": null})));
    assert_eq!(key_set(&[&first.jwk, &second.jwk]), key_set(&[&second.jwk, &first.jwk]));
    assert_eq!(key_set(&[&unnamed[0], &unnamed[1]]), key_set(&[&unnamed[1], &unnamed[0]]));
    assert_ne!(key_set(&[&first.jwk, &second.jwk]), key_set(&[&first.jwk]));
    assert_ne!(key_set(&[&first.jwk]), key_set(&[&changed(first.jwk.clone(), json!({"kid": "k9"}))]));
}
