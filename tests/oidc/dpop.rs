//! Tokens that Keycloak bound to the client's own key, and the proofs of it (RFC 9449). Names are those of docs/threats.md.

use serde_json::Value as Json;
use serde_json::json;

use super::super::harness::Setup;
use super::super::harness::Stack;
use super::super::harness::client::Call;
use super::super::harness::client::Reply;
use super::super::harness::merged;
use super::harness::keycloak::Realm;
use super::harness::parts;
use super::harness::proof::ProofKey;
use super::harness::proof::token_hash;
use super::harness::realm::PROVING;
use super::harness::text;

/// The target: where clients reach what is behind the proxy, as they believe.
const TARGET: &str = "https://accounts.example";
const PATH: &str = "/accounts/1";

/// What makes Countersign take proofs, with these changes.
pub(super) fn settings(dpop: &Json) -> Json {
    json!({"dpop": merged(json!({"targets": [TARGET], "max_age": "60s"}), dpop)})
}

/// A request under the scheme `DPoP`, with any number of proofs.
pub(super) fn proven(call: Call, token: &str, proofs: &[&str]) -> Call {
    let call = call.header("authorization", format!("DPoP {token}"));
    proofs.iter().fold(call, |call, proof| call.header("dpop", proof))
}

/// A proof for a GET of this path with this token.
pub(super) fn proof_for(path: &str, key: &ProofKey, token: &str) -> String {
    proof(key, token, &json!({"htu": format!("{TARGET}{path}")}))
}

/// A proof for a GET of `PATH` with this token, with these changes.
fn proof(key: &ProofKey, token: &str, changes: &Json) -> String {
    let ordinary = json!({"htm": "GET", "htu": format!("{TARGET}{PATH}"), "ath": token_hash(token)});
    key.proof(&merged(ordinary, changes))
}

/// What the planner is answered, and why.
async fn ask(stack: &Stack, call: &Call) -> (Reply, String) {
    let reply = stack.agent("planner").send(call).await;
    let reason = stack.decision().await.reason().to_owned();
    (reply, reason)
}

/// A token that the realm bound to this key.
async fn bound_to(realm: &Realm, key: &ProofKey) -> String {
    let login = realm.login_with(key, &realm.browser(), PROVING, "alice").await;
    let token = text(&login, "access_token");
    assert_eq!(login["token_type"], "DPoP");
    assert_eq!(parts(&token)[1]["cnf"]["jkt"], key.thumbprint());
    token
}

#[tokio::test(flavor = "multi_thread")]
async fn l17_a_proof_is_good_for_its_own_request_once() {
    let realm = Realm::new("proofs").await;
    let stack = Setup { issuer: realm.issuer(&json!(null)), settings: settings(&json!(null)), ..Setup::default() };
    let stack = stack.start().await;
    let (key, other) = (ProofKey::new(), ProofKey::new());
    let (token, next) = (bound_to(&realm, &key).await, bound_to(&realm, &key).await);
    let (get, ordinary) = (|| Call::get(PATH), json!(null));
    let with = |changes: Json| proven(get(), &token, &[&proof(&key, &token, &changes)]);
    let fresh = || proof(&key, &token, &ordinary);
    let used = fresh();
    let unhashed = key.proof(&json!({"htm": "GET", "htu": format!("{TARGET}{PATH}")}));
    // Each with what the record says of why, as far as there is more to say than the reason.
    for (what, call, reason, detail) in [
        ("its own", proven(get(), &token, &[&used]), "policy_allowed", ""),
        ("the same again", proven(get(), &token, &[&used]), "token_dpop_replayed", ""),
        ("the next", with(json!(null)), "policy_allowed", ""),
        ("and a query", proven(Call::get("/accounts/1?all"), &token, &[&fresh()]), "policy_allowed", ""),
        ("another method", proven(Call::new("DELETE", PATH), &token, &[&fresh()]), "token_dpop_invalid", "htm"),
        ("another path", proven(Call::get("/accounts/2"), &token, &[&fresh()]), "token_dpop_invalid", "htu"),
        ("another host", with(json!({"htu": format!("https://others.example{PATH}")})), "token_dpop_invalid", "htu"),
        ("another token", proven(get(), &next, &[&fresh()]), "token_dpop_invalid", "ath"),
        ("no token", proven(get(), &token, &[&unhashed]), "token_dpop_invalid", "ath"),
        ("long ago", with(json!({"iat": 1_700_000_000})), "token_dpop_invalid", "iat"),
        ("no proof", proven(get(), &token, &[]), "token_dpop_missing", ""),
        ("two proofs", proven(get(), &token, &[&fresh(), &fresh()]), "token_dpop_invalid", "several"),
        (
            "another key",
            proven(get(), &token, &[&proof(&other, &token, &ordinary)]),
            "token_dpop_invalid",
            "another key",
        ),
        ("as bearer", get().bearer(&token), "token_confirmation", ""),
        ("as bearer with a proof", get().bearer(&token).header("dpop", fresh()), "token_confirmation", ""),
    ] {
        let reply = stack.agent("planner").send(&call).await;
        let record = stack.decision().await;
        let status = if reason == "policy_allowed" { 200 } else { 401 };
        assert_eq!((reply.status, record.reason()), (status, reason), "{what}");
        let found = &record.0["countersign"]["detail"];
        assert!(detail.is_empty() || found.as_str().unwrap().contains(detail), "{what}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l17_a_client_without_a_nonce_is_given_one_and_tries_again() {
    let realm = Realm::new("nonces").await;
    let settings = settings(&json!({"nonce": true}));
    let stack = Setup { issuer: realm.issuer(&json!(null)), settings, ..Setup::default() }.start().await;
    let key = ProofKey::new();
    let token = bound_to(&realm, &key).await;
    for made_up in [json!(null), json!({"nonce": "made-up"})] {
        let (reply, reason) = ask(&stack, &proven(Call::get(PATH), &token, &[&proof(&key, &token, &made_up)])).await;
        assert_eq!((reply.status, reason.as_str()), (401, "token_dpop_nonce"), "{made_up}");
        let challenge = reply.header("www-authenticate").concat();
        assert!(challenge.starts_with("DPoP ") && challenge.contains(r#"error="use_dpop_nonce""#), "{challenge}");
        let [nonce] = reply.header("dpop-nonce")[..] else { panic!("not one nonce: {reply:?}") };
        let again = proof(&key, &token, &json!({"nonce": nonce}));
        let (reply, reason) = ask(&stack, &proven(Call::get(PATH), &token, &[&again])).await;
        assert_eq!((reply.status, reason.as_str()), (200, "policy_allowed"));
        let (reply, reason) = ask(&stack, &proven(Call::get(PATH), &token, &[&again])).await;
        assert_eq!((reply.status, reason.as_str()), (401, "token_dpop_replayed"));
    }
}
