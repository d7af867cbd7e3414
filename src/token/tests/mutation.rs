//! No token but the signed one is accepted, and a second implementation agrees on what is.

use jsonwebtoken::DecodingKey;
use jsonwebtoken::Validation;
use jsonwebtoken::jwk::Jwk;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value as Json;
use serde_json::json;

use super::forge::AUDIENCE;
use super::forge::ISSUER;
use super::forge::SigningKey;
use super::forge::World;

fn keys() -> [SigningKey; 3] {
    [SigningKey::es256("k1"), SigningKey::ed25519("k2"), SigningKey::rsa("k3", jsonwebtoken::Algorithm::RS256)]
}

#[test]
fn no_single_byte_may_change() {
    for key in keys() {
        let mut world = World::with_keys(&[&key.jwk]);
        let token = key.token(json!({"scope": "read", "nbf": 1}));
        assert!(world.verify(&token).is_ok());
        for position in 0..token.len() {
            for replacement in [b'A', b'z', b'-', b'.', b'=', b'\0', 0x7f] {
                let mut bytes = token.clone().into_bytes();
                if bytes[position] == replacement {
                    continue;
                }
                bytes[position] = replacement;
                let changed = String::from_utf8(bytes).unwrap();
                assert!(world.verify(&changed).is_err(), "{} at {position}", char::from(replacement));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_cut_insertion_or_exchange_is_accepted(at in any::<Index>(), to in any::<Index>(), kind in 0..3, letter in any::<char>()) {
        let key = SigningKey::es256("k1");
        let mut world = World::with_keys(&[&key.jwk]);
        let token = key.token(json!({}));
        let [place, end] = [at, to].map(|at| at.index(token.len()));
        let mut characters: Vec<char> = token.chars().collect();
        match kind {
            0 => drop(characters.remove(place)),
            1 => characters.insert(place, letter),
            _ => characters.swap(place, end),
        }
        let changed: String = characters.into_iter().collect();
        prop_assert!(changed == token || world.verify(&changed).is_err());
    }

    #[test]
    fn no_text_at_all_panics(text in ".{0,200}", header in ".{0,60}", payload in ".{0,60}") {
        let key = SigningKey::es256("k1");
        let mut world = World::with_keys(&[&key.jwk]);
        prop_assert!(world.verify(&text).is_err());
        prop_assert!(world.verify(&key.sign(&header, &payload)).is_err());
    }
}

#[test]
fn a_second_implementation_accepts_what_is_accepted() {
    for key in keys() {
        let token = key.token(json!({"exp": 4_000_000_000_i64}));
        assert!(World::with_keys(&[&key.jwk]).verify(&token).is_ok());
        let jwk: Jwk = serde_json::from_value(key.jwk.clone()).unwrap();
        let mut validation = Validation::new(key.jwk["alg"].as_str().unwrap().parse().unwrap());
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        let decoded = jsonwebtoken::decode::<Json>(&token, &DecodingKey::from_jwk(&jwk).unwrap(), &validation);
        assert_eq!(decoded.unwrap().claims["sub"], "alice");
    }
}
