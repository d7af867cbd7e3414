//! C10: the tokens beside a proof, and that it is bound to them.

use super::*;

/// The answer to a good WIT and a proof with these claims, among other headers.
fn ask(world: &mut World, changes: Json, headers: &[(&str, &str)]) -> String {
    let wit = world.td.wit(&world.key, json!({}));
    let proof = wpt(&world.key, &wit, changes);
    let own = [(IDENTITY_TOKEN, wit.as_str()), (PROOF_TOKEN, proof.as_str())];
    let all: Vec<_> = headers.iter().copied().chain(own).collect();
    world.ask(&with_headers(&all))
}

#[test]
fn c10_a_proof_is_of_one_identity_token() {
    let mut world = World::new();
    let [first, second] = [json!({"jti": "1"}), json!({"jti": "2"})].map(|changes| world.td.wit(&world.key, changes));
    let unbound = Reason::CallerWptUnbound.name();
    let proof = wpt(&world.key, &first, json!({}));
    assert_eq!(world.ask(&with_proof(&first, &proof)), accepted());
    assert_eq!(world.ask(&with_proof(&second, &proof)), unbound);
    assert_eq!(world.wpt_claims(json!({"wth": null})), unbound);
    assert_eq!(world.wpt_claims(json!({"wth": ""})), unbound);
    assert_eq!(world.wpt_claims(json!({"wth": format!("{}=", hash(&first))})), unbound);
    assert_eq!(world.wpt_claims(json!({"wth": 1})), Reason::CallerWptMalformed.name());
}

#[test]
fn c10_an_access_token_is_named_exactly_where_there_is_one() {
    let mut world = World::new();
    let token = "16_mAd0GiwaZokU26_0902100";
    let [named, other] = [json!({"ath": hash(token)}), json!({"ath": hash("other")})];
    let unbound = || Reason::CallerWptUnbound.name().to_owned();
    for (authorization, changes, answer) in [
        (Some(format!("Bearer {token}")), named.clone(), accepted()),
        (Some(format!("bearer   {token}")), named.clone(), accepted()),
        (Some(format!("DPoP {token}")), named.clone(), accepted()),
        (Some(format!("Bearer {token}")), other, unbound()),
        (Some(format!("Bearer {token}")), json!({}), unbound()),
        (Some(format!("DPoP {token}")), json!({}), unbound()),
        (Some(format!("Bearer {token}")), json!({"ath": 1}), unbound()),
        (None, named.clone(), unbound()),
        (Some("Basic YTpi".to_owned()), named.clone(), unbound()),
        (Some("Basic YTpi".to_owned()), json!({}), accepted()),
        (Some("Digest a=\"b\", c=\"d\"".to_owned()), json!({}), accepted()),
        (Some(String::new()), json!({}), accepted()),
        // Which one the upstream takes is not known here.
        (Some(format!("Bearer {token},Bearer {token}")), named.clone(), unbound()),
        (Some(format!("Basic YTpi, Bearer {token}")), json!({}), unbound()),
        (Some(format!("Basic YTpi,bearer\t{token}")), named.clone(), unbound()),
    ] {
        let headers: Vec<_> = authorization.iter().map(|value| ("Authorization", value.as_str())).collect();
        assert_eq!(ask(&mut world, changes.clone(), &headers), answer, "{authorization:?} {changes}");
    }
    let bearer = format!("Bearer {token}");
    let twice = [("authorization", bearer.as_str()), ("authorization", bearer.as_str())];
    assert_eq!(ask(&mut world, named, &twice), unbound());
}

#[test]
fn c10_a_transaction_token_is_named_exactly_where_there_is_one() {
    let mut world = World::new();
    let unbound = Reason::CallerWptUnbound.name();
    let [named, other] = [json!({"tth": hash("a.b.c")}), json!({"tth": hash("a.b.d")})];
    let one = [("Txn-Token", "a.b.c")];
    assert_eq!(ask(&mut world, named.clone(), &one), accepted());
    assert_eq!(ask(&mut world, other, &one), unbound);
    assert_eq!(ask(&mut world, json!({}), &one), unbound);
    assert_eq!(ask(&mut world, named.clone(), &[]), unbound);
    assert_eq!(ask(&mut world, named, &[("txn-token", "a.b.c"), ("txn-token", "a.b.c")]), unbound);
}

#[test]
fn c10_every_other_token_that_is_named_is_there() {
    let mut world = World::new();
    let unbound = || Reason::CallerWptUnbound.name().to_owned();
    let malformed = || Reason::CallerWptMalformed.name().to_owned();
    let headers = [("X-Context", " token-1 "), ("x-twice", "a"), ("x-twice", "a")];
    let right = hash("token-1");
    let nine: serde_json::Map<String, Json> = (0..9).map(|number| (format!("x-{number}"), json!(right))).collect();
    for (other, answer) in [
        (json!({}), accepted()),
        (json!({"x-context": right}), accepted()),
        (json!({"x-context": hash(" token-1 ")}), unbound()),
        (json!({"x-context": hash("token-2")}), unbound()),
        (json!({"x-context": 1}), unbound()),
        (json!({"X-Context": right}), unbound()),
        (json!({"x-context": right, "x-other": right}), unbound()),
        (json!({"urn:example:profile": right}), unbound()),
        (json!({"x-twice": hash("a")}), unbound()),
        (json!([right]), malformed()),
        (json!("x-context"), malformed()),
        (json!(nine), malformed()),
    ] {
        assert_eq!(ask(&mut world, json!({"oth": other}), &headers), answer, "{other}");
    }
}
