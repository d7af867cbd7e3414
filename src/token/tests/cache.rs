//! K1–K3: what is remembered, and for how long.

use std::sync::Arc;

use serde_json::Value as Json;
use serde_json::json;

use super::forge;
use super::forge::ISSUER;
use super::forge::LEEWAY;
use super::forge::NOW;
use super::forge::SigningKey;
use super::forge::World;
use super::forge::issuer;
use super::forge::key_set;
use crate::clock::UnixTime;
use crate::decision::Reason;
use crate::decision::Scheme;
use crate::facts::Http;
use crate::route::Possession;
use crate::token::ClaimPaths;
use crate::token::Credential;
use crate::token::Refusal;
use crate::token::cache::Cache;
use crate::token::cache::Entry;
use crate::token::cache::Key;
use crate::token::claims;

fn world_and_key() -> (World, SigningKey) {
    let key = SigningKey::es256("k1");
    (World::with_keys(&[&key.jwk]), key)
}

#[test]
fn a_hit_hands_out_the_same_user() {
    let (mut world, key) = world_and_key();
    let token = key.token(json!({}));
    let (first, second) = (world.verify(&token).unwrap(), world.verify(&token).unwrap());
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(world.verifier.cache().len(), 1);
}

#[test]
fn k1_the_cache_is_bounded_in_bytes_and_entries() {
    let (mut world, key) = world_and_key();
    let groups: Vec<_> = (0..300).map(|n| format!("group-{n}")).collect();
    for number in 0..700 {
        assert!(world.verify(&key.token(json!({"jti": number, "groups": groups}))).is_ok());
    }
    let cache = world.verifier.cache();
    assert!(cache.bytes() <= 16 * 1024 * 1024, "{}", cache.bytes());
    assert!(cache.len() < 600, "{}", cache.len());
    assert!(cache.bytes() / u64::try_from(cache.len()).unwrap() > 30_000, "a tree weighs more than its text");
}

/// Below the signatures, which would take minutes: what `Verifier::verify` keeps goes through here.
#[test]
fn k1_however_many_tokens_come_the_cache_stays_within_its_constants() {
    let world = World::with_keys(&[]);
    let issuer = world.config.index_of(ISSUER).unwrap();
    let Json::Object(claims) = forge::claims(json!({})) else { panic!("claims are an object") };
    let mut cache = Cache::new();
    for number in 0..200_000 {
        let token = claims::read(claims.clone(), None, &ClaimPaths::default()).unwrap();
        cache.insert(Key::new(&number.to_string(), 1), Entry { issuer, token, asked_at: None, without_key: false });
        assert!(cache.bytes() <= 16 * 1024 * 1024, "{} bytes after {number}", cache.bytes());
        assert!(cache.len() <= 16 * 1024, "{} entries after {number}", cache.len());
    }
    assert!(cache.len() > 8 * 1024, "{} entries: it forgets more than it must", cache.len());
}

#[test]
fn k1_what_is_refused_is_not_remembered() {
    let (mut world, key) = world_and_key();
    for changes in [json!({"aud": "other"}), json!({"exp": NOW - 100}), json!({"sub": 1}), json!({"nbf": NOW + 100})] {
        assert!(world.verify(&key.token(changes)).is_err());
    }
    let forged = format!("{}AAAA", key.token(json!({})));
    assert!(world.verify(&forged).is_err());
    assert_eq!(world.verifier.cache().len(), 0);
}

#[test]
fn k1_a_hit_never_outlives_exp() {
    let (mut world, key) = world_and_key();
    let token = key.token(json!({"exp": NOW + 10}));
    assert!(world.verify_at(&token, NOW).is_ok());
    assert!(world.verify_at(&token, NOW + 10 + LEEWAY - 1).is_ok());
    assert_eq!(world.denied_at(&token, NOW + 10 + LEEWAY), Reason::TokenExpired);
    assert_eq!(world.verifier.cache().len(), 0);
}

#[test]
fn k1_a_hit_is_still_asked_for_nbf() {
    let (mut world, key) = world_and_key();
    let token = key.token(json!({"nbf": NOW - 100}));
    assert!(world.verify_at(&token, NOW).is_ok());
    assert_eq!(world.denied_at(&token, NOW - 100 - LEEWAY - 1), Reason::TokenNotYetValid);
}

#[test]
fn k2_a_new_epoch_forgets() {
    let (mut world, key) = world_and_key();
    let other = SigningKey::es256("k1");
    let index = world.config.index_of(ISSUER).unwrap();
    let token = key.token(json!({}));
    let before = world.verify(&token).unwrap();

    let same = world.keys.with(index, key_set(&[&key.jwk]), UnixTime::from_seconds(NOW + 5));
    assert_eq!(same.epoch(), world.keys.epoch());
    world.keys = same;
    assert!(Arc::ptr_eq(&before, &world.verify(&token).unwrap()));

    world.keys = world.keys.with(index, key_set(&[&other.jwk]), UnixTime::from_seconds(NOW));
    assert_eq!(world.denied(&token), Reason::TokenSignatureInvalid);
    world.keys = world.keys.with(index, key_set(&[]), UnixTime::from_seconds(NOW));
    assert!(matches!(world.verify(&token), Err(Refusal::Needs(_))));
    world.keys = world.keys.with(index, key_set(&[&key.jwk]), UnixTime::from_seconds(NOW));
    assert!(!Arc::ptr_eq(&before, &world.verify(&token).unwrap()), "an epoch never comes back");
}

#[test]
fn k2_epochs_never_repeat_across_reloads() {
    let first = World::with_keys(&[]);
    let second = World::with_keys(&[]);
    assert!(second.keys.epoch() > first.keys.epoch());
    let carried = crate::token::KeySets::carried_over(Arc::clone(&second.config), &first.keys);
    assert!(carried.epoch() > second.keys.epoch());
}

#[test]
fn k2_keys_that_are_too_old_serve_no_hit() {
    let (mut world, key) = world_and_key();
    let token = key.token(json!({"exp": NOW + 100_000}));
    assert!(world.verify_at(&token, NOW + 3600).is_ok());
    assert_eq!(world.denied_at(&token, NOW + 3601), Reason::TokenKeysUnavailable);
    assert_eq!(Reason::TokenKeysUnavailable.http_status(), 503);
}

#[test]
fn k3_what_another_configuration_asks_is_asked_of_a_hit_too() {
    let key = SigningKey::es256("k1");
    let token = key.token(json!({"aud": ["a", "b"]}));
    for (audience, accepted) in [("a", true), ("b", true), ("c", false)] {
        let mut rules = issuer(ISSUER);
        rules.audiences = vec![audience.to_owned()];
        let mut world = World::of(vec![(rules, key_set(&[&key.jwk]))]);
        for _ in 0..2 {
            assert_eq!(world.verify(&token).is_ok(), accepted, "{audience}");
        }
    }
}

#[test]
fn k3_what_another_route_or_peer_asks_is_asked_of_a_hit_too() {
    let (mut world, key) = world_and_key();
    let certificate = crate::jose::sha256(b"certificate");
    let own = forge::caller("spiffe://td/a", Some(certificate));
    let bound = key.token(json!({"cnf": {"x5t#S256": forge::encode(&certificate)}}));
    let unbound = key.token(json!({}));
    for _ in 0..2 {
        for (token, peer, proof, accepted) in [
            (&unbound, None, Possession::Optional, true),
            (&unbound, Some(&own), Possession::Required, false),
            (&unbound, Some(&own), Possession::Certificate, false),
            (&bound, Some(&own), Possession::Certificate, true),
            (&bound, Some(&own), Possession::Dpop, false),
            (&bound, None, Possession::Optional, false),
        ] {
            let credential = Credential { scheme: Scheme::Bearer, token };
            let result = world.present(credential, &Http::default(), peer, proof, NOW);
            match result {
                Ok(_) => assert!(accepted, "{proof:?}"),
                Err(Refusal::Denied(denial)) => {
                    assert!(!accepted && denial.reason == Reason::TokenConfirmation, "{proof:?}: {denial:?}");
                }
                Err(Refusal::Needs(_)) => panic!("the keys are there"),
            }
        }
    }
    assert_eq!(world.verifier.cache().len(), 2);
}

#[test]
fn k3_tokens_that_differ_in_one_character_are_not_confused() {
    let (mut world, key) = world_and_key();
    let token = key.token(json!({}));
    assert!(world.verify(&token).is_ok());
    let (start, end) = token.split_at(token.len() - 10);
    let (_, rest) = end.split_at(1);
    for replacement in ['A', 'B', 'C'] {
        let other = format!("{start}{replacement}{rest}");
        assert!(other == token || world.verify(&other).is_err());
    }
}
