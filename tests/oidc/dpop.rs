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
use super::harness::wanted;

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
    let (key, stolen) = (ProofKey::new(), ProofKey::new());
    let (token, next) = (bound_to(&realm, &key).await, bound_to(&realm, &key).await);
    let get = || Call::get(PATH);
    let of = |changes: Json| proof(&key, &token, &changes);
    let used = of(json!(null));
    let elsewhere = format!("{TARGET}/accounts/2");
    for (what, call, expected) in [
        ("its own", proven(get(), &token, &[&used]), wanted(200, "policy_allowed")),
        ("the same again", proven(get(), &token, &[&used]), wanted(401, "token_dpop_replayed")),
        ("the next", proven(get(), &token, &[&of(json!(null))]), wanted(200, "policy_allowed")),
        (
            "of another method",
            proven(Call::new("DELETE", PATH), &token, &[&of(json!(null))]),
            wanted(401, "token_dpop_invalid"),
        ),
        (
            "of another path",
            proven(get(), &token, &[&of(json!({"htu": elsewhere}))]),
            wanted(401, "token_dpop_invalid"),
        ),
        (
            "a query is nobody's",
            proven(Call::get("/accounts/1?all"), &token, &[&of(json!(null))]),
            wanted(200, "policy_allowed"),
        ),
        ("of another token", proven(get(), &next, &[&of(json!(null))]), wanted(401, "token_dpop_invalid")),
        (
            "without `ath`",
            proven(get(), &token, &[&key.proof(&json!({"htm": "GET", "htu": format!("{TARGET}{PATH}")}))]),
            wanted(401, "token_dpop_invalid"),
        ),
        ("none", proven(get(), &token, &[]), wanted(401, "token_dpop_missing")),
        ("two", proven(get(), &token, &[&of(json!(null)), &of(json!(null))]), wanted(401, "token_dpop_invalid")),
        (
            "by another key",
            proven(get(), &token, &[&proof(&stolen, &token, &json!(null))]),
            wanted(401, "token_dpop_invalid"),
        ),
        (
            "of yesterday",
            proven(get(), &token, &[&of(json!({"iat": 1_700_000_000}))]),
            wanted(401, "token_dpop_invalid"),
        ),
        ("as bearer", get().bearer(&token), wanted(401, "token_confirmation")),
        (
            "as bearer with a proof",
            get().bearer(&token).header("dpop", of(json!(null))),
            wanted(401, "token_confirmation"),
        ),
    ] {
        let (reply, reason) = ask(&stack, &call).await;
        assert_eq!((reply.status, reason), expected, "{what}");
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
