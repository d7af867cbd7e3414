//! Roles, groups and tenant, from where the configuration says.

use serde_json::Value as Json;
use serde_json::json;

use super::forge::ISSUER;
use super::forge::SigningKey;
use super::forge::World;
use super::forge::issuer;
use super::forge::key_set;
use crate::decision::Reason;
use crate::token::ClaimPaths;
use crate::token::ClaimPointer;
use crate::token::IssuerConfig;

const NONE: [&str; 0] = [];

fn pointers(texts: &[&str]) -> Vec<ClaimPointer> {
    texts.iter().map(|text| ClaimPointer::parse(text).unwrap()).collect()
}

fn world_and_key() -> (World, SigningKey) {
    let key = SigningKey::es256("k1");
    let claims = ClaimPaths {
        roles: pointers(&["/realm_access/roles", "/roles"]),
        groups: pointers(&["/groups"]),
        tenant: pointers(&["/tid", "/tenant"]),
    };
    let rules = IssuerConfig { claims, ..issuer(ISSUER) };
    (World::of(vec![(rules, key_set(&[&key.jwk]))]), key)
}

#[test]
fn roles_groups_and_tenant_stand_where_the_first_pointer_finds_them() {
    let (mut world, key) = world_and_key();
    for (claims, roles, tenant) in [
        (json!({}), &[][..], None),
        (json!({"roles": ["b"], "tenant": "acme"}), &["b"], Some("acme")),
        (json!({"roles": ["b"], "realm_access": {"roles": ["a", "a b"]}}), &["a", "a b"], None),
        // What is there counts, however empty it is.
        (json!({"roles": ["b"], "realm_access": {"roles": []}, "tid": "", "tenant": "acme"}), &[], Some("")),
        (json!({"roles": ["b"], "realm_access": {}}), &["b"], None),
        (json!({"roles": ["b"], "realm_access": "none"}), &["b"], None),
        // One string is one role.
        (json!({"roles": "reader writer,admin"}), &["reader writer,admin"], None),
        (json!({"Roles": ["b"], "Tid": "acme"}), &[], None),
    ] {
        let user = world.verify(&key.token(claims.clone())).unwrap();
        assert_eq!((user.roles.as_slice(), user.tenant.as_deref()), (&*owned(roles), tenant), "{claims}");
        assert_eq!(user.groups, NONE);
    }
    let user = world.verify(&key.token(json!({"groups": ["staff"], "roles": "reader"}))).unwrap();
    assert_eq!((user.groups.as_slice(), user.roles.as_slice()), (&*owned(&["staff"]), &*owned(&["reader"])));
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn without_pointers_nothing_is_looked_at() {
    let key = SigningKey::es256("k1");
    let mut world = World::with_keys(&[&key.jwk]);
    let user = world.verify(&key.token(json!({"roles": 7, "groups": ["a"], "tenant": "acme"}))).unwrap();
    assert_eq!((user.roles.as_slice(), user.groups.as_slice(), user.tenant.as_deref()), (&[][..], &[][..], None));
}

#[test]
fn d10_what_is_no_role_group_or_tenant_refuses_the_token() {
    let (mut world, key) = world_and_key();
    let wrong = [json!(7), json!(true), json!({"a": "b"}), json!([7]), json!(["a", null]), json!([["a"]])];
    for wrong in wrong.into_iter().chain([Json::Null]) {
        let with = |names: &[&str]| {
            // Null would remove the claim on its way, so it stands deeper.
            let value = names.iter().rev().fold(wrong.clone(), |value, name| json!({*name: value}));
            key.sign(&key.header(), &merged(&value))
        };
        for token in [with(&["realm_access", "roles"]), with(&["roles"]), with(&["groups"]), with(&["tid"])] {
            assert_eq!(world.denied(&token), Reason::TokenClaimInvalid, "{wrong}");
        }
    }
    assert_eq!(world.denied(&key.token(json!({"tid": ["acme"]}))), Reason::TokenClaimInvalid);
    assert_eq!(world.verifier.cache().len(), 0, "nothing of it is kept");
}

/// The usual claims and these, null included.
fn merged(more: &Json) -> Json {
    let mut claims = super::forge::claims(json!({}));
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims
}

#[test]
fn d21_roles_and_groups_are_bounded() {
    let (mut world, key) = world_and_key();
    let many = |count: usize| (0..count).map(|number| number.to_string()).collect::<Vec<_>>();
    let user = world.verify(&key.token(json!({"roles": many(1024)}))).unwrap();
    assert_eq!(user.roles.len(), 1024);
    for claims in [json!({"roles": many(1025)}), json!({"groups": many(1025)})] {
        assert_eq!(world.denied(&key.token(claims)), Reason::TokenTooLarge);
    }
}

#[test]
fn d14_each_issuer_has_its_own_pointers() {
    let keys = [SigningKey::es256("k1"), SigningKey::es256("k2")];
    let rules = |name: &str, roles: &str| {
        let claims = ClaimPaths { roles: pointers(&[roles]), ..ClaimPaths::default() };
        IssuerConfig { claims, ..issuer(name) }
    };
    let mut world = World::of(vec![
        (rules(ISSUER, "/roles"), key_set(&[&keys[0].jwk])),
        (rules("https://other.example", "/other"), key_set(&[&keys[1].jwk])),
    ]);
    let both = json!({"roles": ["a"], "other": ["b"]});
    let of_other = json!({"roles": ["a"], "other": ["b"], "iss": "https://other.example"});
    assert_eq!(world.verify(&keys[0].token(both)).unwrap().roles, ["a"]);
    assert_eq!(world.verify(&keys[1].token(of_other)).unwrap().roles, ["b"]);
}
