//! Who acts for the user: what issuers say of it, and the caller who comes. Names are those of docs/threats.md.

use serde_json::Value as Json;
use serde_json::json;

use super::super::harness::Setup;
use super::super::harness::Stack;
use super::super::harness::client::Call;
use super::super::harness::merged;
use super::super::peers::certs::agent_id;
use super::harness::keycloak::Realm;
use super::harness::light::ACCOUNTS;
use super::harness::light::OPAQUE;
use super::harness::light::Provider;
use super::harness::outcome_for;
use super::harness::parts;
use super::harness::realm::AGENT;
use super::harness::realm::BEFORE;
use super::harness::realm::DELEGATING;
use super::harness::realm::DELEGATING_TO_USERS;
use super::harness::realm::EXCHANGING;
use super::harness::wanted;

/// Says in every answer who acts and who may.
const TOLD: &str = r#"package envoy.authz

actors := concat(" ", [actor.subject | some actor in input.delegation.actors])

allow := {"allowed": true, "response_headers_to_add": {"x-actors": actors}} if input.delegation

allow if not input.delegation
"#;

/// What this agent is answered with the token: status and reason.
async fn as_agent(stack: &Stack, name: &str, token: &str) -> (u16, String) {
    outcome_for(stack, &stack.agent(name), token).await
}

#[tokio::test(flavor = "multi_thread")]
async fn l8_who_may_act_is_the_caller_or_nobody_is_let_in() {
    let realm = Realm::new("may-act").await;
    let held = Setup { issuer: realm.issuer(&json!({"actor": "caller"})), ..Setup::default() }.start().await;
    let shown = Setup { policy: TOLD, issuer: realm.issuer(&json!(null)), ..Setup::default() }.start().await;
    let allowed = || wanted(200, "policy_allowed");
    let refused = || wanted(401, "token_may_act");
    for (client_id, planner, ledger) in
        [(AGENT, allowed(), allowed()), (DELEGATING, allowed(), refused()), (DELEGATING_TO_USERS, refused(), refused())]
    {
        let token = realm.access_token(client_id, "alice").await;
        for (name, expected) in [("planner", planner), ("ledger", ledger)] {
            assert_eq!(as_agent(&held, name, &token).await, expected, "{client_id}: {name}");
            assert_eq!(as_agent(&shown, name, &token).await, allowed(), "{client_id}: the policy's to judge");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l8_the_outermost_actor_of_an_exchanged_token_is_the_caller() {
    let provider = Provider::start().await;
    let issuer = provider.issuer(&json!({"actor": "caller"}));
    let stack = Setup { policy: TOLD, issuer, ..Setup::default() }.start().await;
    let [planner, ledger] = ["planner", "ledger"].map(agent_id);
    let direct = provider.users_token("alice", ACCOUNTS).await;
    let first = provider.delegated(&direct, &planner, ACCOUNTS).await;
    let second = provider.delegated(&first, &ledger, ACCOUNTS).await;
    let nested = json!({"sub": ledger, "act": {"sub": planner}});
    assert_eq!((&parts(&second)[1]["act"], &parts(&second)[1]["sub"]), (&nested, &Json::from("alice")));
    let (allowed, refused) = (|| wanted(200, "policy_allowed"), || wanted(401, "token_actor"));
    for (what, token, by_planner, by_ledger) in [
        ("nobody between", &direct, allowed(), allowed()),
        ("the planner acts", &first, allowed(), refused()),
        ("the ledger acts for the planner", &second, refused(), allowed()),
    ] {
        assert_eq!(as_agent(&stack, "planner", token).await, by_planner, "{what}: the planner");
        assert_eq!(as_agent(&stack, "ledger", token).await, by_ledger, "{what}: the ledger");
    }
    let reply = stack.agent("ledger").send(&Call::get("/accounts/1").bearer(&second)).await;
    assert_eq!(reply.header("x-actors"), [format!("{ledger} {planner}")], "what the policy sees");
}

#[tokio::test(flavor = "multi_thread")]
async fn l8_who_acts_by_an_opaque_token_is_the_caller() {
    let provider = Provider::start().await;
    let issuer = merged(provider.introspection(&json!(null)), &json!({"actor": "caller"}));
    let stack = Setup { policy: TOLD, issuer: provider.issuer(&issuer), ..Setup::default() }.start().await;
    let direct = provider.users_token("alice", ACCOUNTS).await;
    let token = provider.delegated(&direct, &agent_id("planner"), OPAQUE).await;
    assert_eq!(as_agent(&stack, "planner", &token).await, wanted(200, "policy_allowed"));
    assert_eq!(as_agent(&stack, "ledger", &token).await, wanted(401, "token_actor"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_exchanged_for_the_next_hop_is_the_same_users() {
    let realm = Realm::new("exchange").await;
    let stack = Setup { issuer: realm.issuer(&json!(null)), ..Setup::default() }.start().await;
    let for_the_agent = realm.access_token(BEFORE, "alice").await;
    let exchanged = realm.exchanged(EXCHANGING, &for_the_agent, "accounts").await;
    let [user, same] = [&for_the_agent, &exchanged].map(|token| parts(token)[1]["sub"].clone());
    assert_eq!(user, same);
    assert_eq!(as_agent(&stack, "planner", &for_the_agent).await, wanted(401, "token_audience"));
    assert_eq!(as_agent(&stack, "planner", &exchanged).await, wanted(200, "policy_allowed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn l9_a_chain_that_comes_back_is_refused() {
    let provider = Provider::start().await;
    let stack = Setup { issuer: provider.issuer(&json!(null)), ..Setup::default() }.start().await;
    let [planner, ledger] = ["planner", "ledger"].map(agent_id);
    for (what, chain, expected) in [
        ("on", vec![planner.clone(), ledger.clone()], wanted(200, "policy_allowed")),
        ("back to the first", vec![planner.clone(), ledger, planner.clone()], wanted(401, "token_delegation")),
        ("to itself", vec![planner.clone(), planner.clone()], wanted(401, "token_delegation")),
        ("back to the user", vec![planner, "alice".to_owned()], wanted(401, "token_delegation")),
        ("eight deep", hops(8), wanted(200, "policy_allowed")),
        ("nine deep", hops(9), wanted(401, "token_delegation")),
    ] {
        let mut token = provider.users_token("alice", ACCOUNTS).await;
        for actor in &chain {
            token = provider.delegated(&token, actor, ACCOUNTS).await;
        }
        assert_eq!(as_agent(&stack, "planner", &token).await, expected, "{what}");
    }
}

/// As many actors, none of them twice.
fn hops(count: usize) -> Vec<String> {
    (0..count).map(|number| agent_id(&format!("hop-{number}"))).collect()
}
