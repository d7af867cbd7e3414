//! L8 and L9 as a verifier meets them: who acts, and whether it is the caller.

use serde_json::Value as Json;
use serde_json::json;

use super::forge::ISSUER;
use super::forge::NOW;
use super::forge::SigningKey;
use super::forge::World;
use super::forge::caller;
use super::forge::issuer;
use super::forge::key_set;
use crate::decision::Reason;
use crate::facts::Actor;
use crate::token::ActorRule;
use crate::token::IssuerConfig;
use crate::token::Refusal;

const AGENT: &str = "spiffe://td/agent";

fn world(actor: ActorRule) -> (World, SigningKey) {
    let key = SigningKey::es256("k1");
    (World::of(vec![(IssuerConfig { actor, ..issuer(ISSUER) }, key_set(&[&key.jwk]))]), key)
}

fn actor(subject: &str, issuer: Option<&str>) -> Actor {
    Actor { subject: subject.to_owned(), issuer: issuer.map(str::to_owned) }
}

/// A chain of so many actors, no two of them the same.
fn chain(length: usize) -> Json {
    (1..length).fold(
        json!({"sub": "spiffe://td/0"}),
        |inner, number| json!({"sub": format!("spiffe://td/{number}"), "act": inner}),
    )
}

#[test]
fn m_the_act_chain_is_read_and_bounded() {
    let (mut world, key) = world(ActorRule::Any);
    let act =
        json!({"sub": "spiffe://td/b", "iss": "https://sts.example", "act": {"sub": "spiffe://td/a", "extra": 1}});
    let delegation = world.verify(&key.token(json!({"act": act}))).unwrap().delegation.clone().unwrap();
    let outer = actor("spiffe://td/b", Some("https://sts.example"));
    assert_eq!(delegation.actors, [outer, actor("spiffe://td/a", None)]);
    assert_eq!(delegation.may_act, None);
    let longest = world.verify(&key.token(json!({"act": chain(8)}))).unwrap();
    assert_eq!(longest.delegation.as_ref().unwrap().actors.len(), 8);
    for act in [
        chain(9),
        chain(30),
        json!({}),
        json!([]),
        json!("spiffe://td/a"),
        json!(1),
        json!({"sub": ""}),
        json!({"sub": 1}),
        json!({"sub": ["spiffe://td/a"]}),
        json!({"iss": "https://sts.example"}),
        json!({"sub": "spiffe://td/a", "iss": 1}),
        json!({"sub": "spiffe://td/a", "act": {}}),
        json!({"sub": "spiffe://td/a", "act": "spiffe://td/b"}),
        json!({"sub": "spiffe://td/a", "act": null}),
    ] {
        assert_eq!(world.denied(&key.token(json!({"act": act}))), Reason::TokenDelegation, "{act}");
    }
    for name in ["act", "may_act"] {
        let claims = super::forge::claims(json!({})).to_string().replacen('{', &format!("{{\"{name}\":null,"), 1);
        assert_eq!(world.denied(&key.sign(&key.header(), &claims)), Reason::TokenDelegation, "{name}");
    }
    assert_eq!(world.verify(&key.token(json!({}))).unwrap().delegation, None);
}

#[test]
fn l9_nobody_stands_in_a_chain_twice() {
    let (mut world, key) = world(ActorRule::Any);
    let (a, b) = ("spiffe://td/a", "spiffe://td/b");
    for (act, is_circle) in [
        (json!({"sub": a, "act": {"sub": b}}), false),
        (json!({"sub": a, "act": {"sub": a}}), true),
        (json!({"sub": a, "act": {"sub": b, "act": {"sub": a}}}), true),
        // The subject itself.
        (json!({"sub": "alice"}), true),
        (json!({"sub": a, "act": {"sub": "alice", "iss": ISSUER}}), true),
        // The same name is another's with another issuer, and the token's issuer is meant where none is named.
        (json!({"sub": a, "act": {"sub": a, "iss": ISSUER}}), true),
        (json!({"sub": a, "iss": "https://x.example", "act": {"sub": a}}), false),
        (json!({"sub": "alice", "iss": "https://x.example"}), false),
    ] {
        let result = world.verify(&key.token(json!({"act": act})));
        match result {
            Ok(_) => assert!(!is_circle, "{act}"),
            Err(Refusal::Denied(denial)) => {
                assert!(is_circle && denial.reason == Reason::TokenDelegation, "{act}: {denial:?}");
            }
            Err(Refusal::Needs(_)) => panic!("the keys are there"),
        }
    }
}

#[test]
fn l8_may_act_is_read_like_an_actor() {
    let (mut world, key) = world(ActorRule::Any);
    let may_act = json!({"sub": AGENT, "iss": "https://sts.example", "email": "a@example.org"});
    let delegation = world.verify(&key.token(json!({"may_act": may_act}))).unwrap().delegation.clone().unwrap();
    assert_eq!((delegation.actors, delegation.may_act), (vec![], Some(actor(AGENT, Some("https://sts.example")))));
    for may_act in [json!({}), json!(AGENT), json!([AGENT]), json!({"sub": ""}), json!({"sub": AGENT, "iss": 1})] {
        assert_eq!(world.denied(&key.token(json!({"may_act": may_act}))), Reason::TokenDelegation, "{may_act}");
    }
}

#[test]
fn l8_the_actor_is_the_caller_where_that_is_asked() {
    let (agent, other) = (caller(AGENT, None), caller("spiffe://td/other", None));
    let (by_agent, by_other) = (json!({"sub": AGENT}), json!({"sub": "spiffe://td/other"}));
    let (no_actor, no_may_act) = (Some(Reason::TokenActor), Some(Reason::TokenMayAct));
    for (claims, from_agent, from_nobody) in [
        (json!({}), None, no_actor),
        (json!({"act": by_agent}), None, no_actor),
        (json!({"act": {"sub": AGENT, "iss": "https://sts.example", "act": by_other}}), None, no_actor),
        (json!({"act": by_other}), no_actor, no_actor),
        // Those further in are history.
        (json!({"act": {"sub": "spiffe://td/other", "act": by_agent}}), no_actor, no_actor),
        (json!({"act": {"sub": "SPIFFE://td/agent"}}), no_actor, no_actor),
        (json!({"act": {"sub": format!("{AGENT}/x")}}), no_actor, no_actor),
        (json!({"may_act": by_agent}), None, no_actor),
        (json!({"may_act": by_other}), no_may_act, no_actor),
        // Whoever acts already may hand on to somebody else.
        (json!({"act": by_agent, "may_act": by_other}), None, no_actor),
        (json!({"act": by_other, "may_act": by_agent}), no_actor, no_actor),
    ] {
        for (rule, peer, answer) in [
            (ActorRule::Caller, Some(&agent), from_agent),
            (ActorRule::Caller, None, from_nobody),
            (ActorRule::Any, Some(&agent), None),
            (ActorRule::Any, Some(&other), None),
            (ActorRule::Any, None, None),
        ] {
            let (mut world, key) = world(rule);
            let token = key.token(claims.clone());
            // Twice: a kept verification is asked again.
            for _ in 0..2 {
                let reason = match world.verify_from(&token, peer, NOW) {
                    Ok(_) => None,
                    Err(Refusal::Denied(denial)) => Some(denial.reason),
                    Err(Refusal::Needs(_)) => panic!("the keys are there"),
                };
                assert_eq!(reason, answer, "{claims} {rule:?} {peer:?}");
            }
        }
    }
    assert_eq!((Reason::TokenActor.http_status(), Reason::TokenMayAct.http_status()), (401, 401));
}
