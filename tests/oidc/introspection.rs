//! Tokens that the provider is asked about (RFC 7662), and what it has taken back since. Names are those of docs/threats.md.

use std::fs;

use serde_json::Value as Json;
use serde_json::json;
use tempfile::TempDir;

use super::super::harness::Setup;
use super::super::harness::Stack;
use super::super::harness::client::Call;
use super::super::harness::envoy::EnvoySetup;
use super::super::harness::merged;
use super::super::peers::certs::Leaf;
use super::super::peers::certs::agent_id;
use super::dpop::proof_for;
use super::dpop::proven;
use super::dpop::settings;
use super::harness::keycloak::Realm;
use super::harness::light::ACCOUNTS;
use super::harness::light::OPAQUE;
use super::harness::light::OPAQUE_OTHERS;
use super::harness::light::Provider;
use super::harness::outcome;
use super::harness::outcome_of;
use super::harness::proof::ProofKey;
use super::harness::realm;
use super::harness::realm::AGENT;
use super::harness::realm::PROVING;
use super::harness::refused_at_last;
use super::harness::text;
use super::harness::wanted;

/// A Countersign that asks the provider, with these changes to how it does.
async fn asking(provider: &Provider, introspection: &Json) -> Stack {
    let issuer = provider.issuer(&provider.introspection(introspection));
    Setup { issuer, settings: settings(&json!(null)), ..Setup::default() }.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn d26_an_opaque_token_is_what_the_provider_says_it_is() {
    let provider = Provider::start().await;
    let stack = asking(&provider, &json!(null)).await;
    for (what, token, expected) in [
        ("a user's", provider.users_token("alice", OPAQUE).await, wanted(200, "policy_allowed")),
        ("for others", provider.users_token("alice", OPAQUE_OTHERS).await, wanted(401, "token_audience")),
        ("nobody's", provider.access_token(OPAQUE).await, wanted(401, "token_claim_missing")),
        ("a refresh token", provider.refresh_token("alice").await, wanted(401, "token_type")),
        ("invented", "dGhpcyBpcyBub3RoaW5n".to_owned(), wanted(401, "token_inactive")),
        ("a JWT", provider.users_token("alice", ACCOUNTS).await, wanted(200, "policy_allowed")),
    ] {
        assert_eq!(outcome(&stack, &token).await, expected, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn k2_an_opaque_token_that_is_revoked_is_good_no_longer_than_its_answer() {
    let provider = Provider::start().await;
    for (cache, after) in [
        // Asked each time.
        ("0s", Some(wanted(401, "token_inactive"))),
        // That of a second ends soon, and when exactly is not said here.
        ("1s", None),
        ("10m", Some(wanted(200, "policy_allowed"))),
    ] {
        let stack = asking(&provider, &json!({"cache": cache})).await;
        let [token, other] = [provider.users_token("alice", OPAQUE).await, provider.users_token("alice", OPAQUE).await];
        assert_eq!(outcome(&stack, &token).await, wanted(200, "policy_allowed"), "{cache}");
        provider.revoke(&token).await;
        match after {
            Some(expected) => assert_eq!(outcome(&stack, &token).await, expected, "{cache}"),
            None => refused_at_last(&stack, &token, "token_inactive").await,
        }
        assert_eq!(outcome(&stack, &other).await, wanted(200, "policy_allowed"), "{cache}: the user's other token");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d26_an_opaque_token_is_bound_as_its_issuer_says() {
    let provider = Provider::start().await;
    let stack = asking(&provider, &json!(null)).await;
    let (key, stranger) = (ProofKey::new(), ProofKey::new());
    let identity = stack.mesh.issue(&Leaf::svid(&agent_id("planner"))).unwrap();
    let token = provider.bound_token(OPAQUE, &identity, &key).await;
    let path = "/accounts/1";
    let by = |key| proven(Call::get(path), &token, &[&proof_for(path, key, &token)]);
    for (what, call, expected) in [
        ("with a proof", by(&key), wanted(200, "policy_allowed")),
        ("by another key", by(&stranger), wanted(401, "token_dpop_invalid")),
        ("without", proven(Call::get(path), &token, &[]), wanted(401, "token_dpop_missing")),
        ("as bearer", Call::get(path).bearer(&token), wanted(401, "token_confirmation")),
    ] {
        assert_eq!(outcome_of(&stack, &stack.agent("planner"), &call).await, expected, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d26_a_jwt_that_is_withdrawn_at_its_issuer_is_refused_though_it_verifies() {
    let (realm, dir) = (Realm::new("asked").await, TempDir::new().unwrap());
    let all = realm.introspection(dir.path(), &json!({"tokens": "all", "cache": "0s"}));
    let asking = Setup { issuer: realm.issuer(&all), ..Setup::default() }.start().await;
    let verifying = Setup { issuer: realm.issuer(&json!(null)), ..Setup::default() }.start().await;
    let [first, second] = [realm.login(AGENT, "alice").await, realm.login(AGENT, "alice").await];
    let [revoked, ended] = [&first, &second].map(|login| text(login, "access_token"));
    for token in [&revoked, &ended] {
        assert_eq!(outcome(&asking, token).await, wanted(200, "policy_allowed"));
    }
    realm.revoke(AGENT, &revoked).await;
    assert_eq!(outcome(&asking, &revoked).await, wanted(401, "token_inactive"), "revoked");
    assert_eq!(outcome(&asking, &ended).await, wanted(200, "policy_allowed"), "of another session");
    realm.log_out(AGENT, &second).await;
    assert_eq!(outcome(&asking, &ended).await, wanted(401, "token_inactive"), "of a session that was ended");
    for token in [&revoked, &ended] {
        assert_eq!(outcome(&verifying, token).await, wanted(200, "policy_allowed"), "where the issuer is not asked");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d26_where_keycloak_answers_for_every_token_a_bound_one_stays_bound() {
    let (realm, dir) = (Realm::new("answering").await, TempDir::new().unwrap());
    // No keys: what the tokens say is Keycloak's word alone.
    let entry = json!({"issuer": realm.url(""), "audiences": ["accounts"]});
    let entry = merged(entry, &realm.introspection(dir.path(), &json!(null)));
    let settings = merged(settings(&json!(null)), &json!({"issuers": [entry]}));
    let stack = Setup { settings, ..Setup::default() }.start().await;
    let key = ProofKey::new();
    let bound = text(&realm.login_with(&key, &realm.browser(), PROVING, "alice").await, "access_token");
    let login = realm.login(realm::ACCOUNTS, "alice").await;
    let [access, id, refresh] = ["access_token", "id_token", "refresh_token"].map(|name| text(&login, name));
    let get = || Call::get("/accounts/1");
    let proof = proof_for("/accounts/1", &key, &bound);
    for (what, call, expected) in [
        ("bearer", get().bearer(&access), wanted(200, "policy_allowed")),
        // Active, as Keycloak says; but it does not say what it would be used as.
        ("an ID token", get().bearer(&id), wanted(401, "token_type")),
        // Signed by Keycloak for itself, with a secret: nobody is asked about such a thing.
        ("a refresh token", get().bearer(&refresh), wanted(401, "token_algorithm")),
        ("bound, with its proof", proven(get(), &bound, &[&proof]), wanted(200, "policy_allowed")),
        ("the same again", proven(get(), &bound, &[&proof]), wanted(401, "token_dpop_replayed")),
        ("bound, as bearer", get().bearer(&bound), wanted(401, "token_confirmation")),
    ] {
        assert_eq!(outcome_of(&stack, &stack.agent("planner"), &call).await, expected, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d26_without_an_answer_nobody_is_let_in() {
    let provider = Provider::start().await;
    let [opaque, jwt] = [provider.users_token("alice", OPAQUE).await, provider.users_token("alice", ACCOUNTS).await];
    let dir = TempDir::new().unwrap();
    let wrong = dir.path().join("wrong.secret");
    fs::write(&wrong, "guessed").unwrap();
    let (allowed, unavailable) = (|| wanted(200, "policy_allowed"), || wanted(503, "token_introspection_unavailable"));

    let stack = asking(&provider, &json!({"client_secret_file": wrong})).await;
    assert_eq!(outcome(&stack, &opaque).await, unavailable(), "with a wrong secret");

    // oidc-provider answers for no JWT.
    let stack = asking(&provider, &json!({"tokens": "all", "cache": "0s"})).await;
    assert_eq!(outcome(&stack, &opaque).await, allowed());
    assert_eq!(outcome(&stack, &jwt).await, unavailable(), "with an error for an answer");

    let stack = asking(&provider, &json!({"cache": "0s"})).await;
    assert_eq!(outcome(&stack, &opaque).await, allowed());
    provider.kill();
    assert_eq!(outcome(&stack, &opaque).await, unavailable(), "with nobody there");
    assert_eq!(outcome(&stack, &jwt).await, allowed(), "what needs no answer");
    let provider = provider.restart().await;
    assert_eq!(outcome(&stack, &opaque).await, wanted(401, "token_inactive"), "it forgot what it gave out");
    assert_eq!(outcome(&stack, &provider.users_token("alice", OPAQUE).await).await, allowed());
}

#[tokio::test(flavor = "multi_thread")]
async fn d27_of_several_issuers_the_route_says_whose_an_opaque_token_is() {
    let [first, second] = [Provider::start().await, Provider::start().await];
    let entry = |provider: &Provider| {
        let own = json!({"audiences": ["accounts"], "keys": {"discovery": true}});
        merged(provider.issuer(&provider.introspection(&json!(null))), &own)
    };
    let (ours, theirs) = (entry(&first), entry(&second));
    let route = |prefix, issuer: &Json| (prefix, json!({"countersign.issuers": issuer["issuer"]}));
    let routes = vec![route("/ours", &ours), route("/theirs", &theirs)];
    // One worker, as each keeps tokens of its own.
    let settings = json!({"issuers": [ours, theirs], "listeners": {"workers": 1}});
    let stack = Setup { settings, envoy: EnvoySetup { routes, ..EnvoySetup::default() }, ..Setup::default() };
    let stack = stack.start().await;
    let token = first.users_token("alice", OPAQUE).await;
    for (path, expected) in [
        ("/", wanted(401, "token_issuer_unknown")),
        ("/theirs", wanted(401, "token_inactive")),
        ("/ours", wanted(200, "policy_allowed")),
        // What is known by now of the token is not this route's word.
        ("/", wanted(401, "token_issuer_unknown")),
    ] {
        let call = Call::get(path).bearer(&token);
        assert_eq!(outcome_of(&stack, &stack.agent("planner"), &call).await, expected, "{path}");
    }
}
