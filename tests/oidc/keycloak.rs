//! Users of Keycloak, by their passwords: audiences, roles, token types and keys. Names are those of docs/threats.md.

use serde_json::json;

use super::super::harness::Setup;
use super::super::harness::client::Call;
use super::super::harness::merged;
use super::harness::accepted_at_last;
use super::harness::keycloak::Realm;
use super::harness::outcome;
use super::harness::parts;
use super::harness::realm::ACCOUNTS;
use super::harness::realm::AGENT;
use super::harness::realm::ELSEWHERE;
use super::harness::text;
use super::harness::wanted;

/// Who may pay may do everything.
pub(super) const PAYERS: &str = r#"package envoy.authz

default allow := false

allow if "payer" in input.user.roles
"#;

/// Attempts to fetch keys.
const FETCHES: &str = "countersign_keys_refreshes_total";

#[tokio::test(flavor = "multi_thread")]
async fn a_users_roles_decide_and_another_audience_is_refused() {
    let (realm, stranger) = (Realm::new("roles").await, Realm::new("strangers").await);
    let issuer = realm.issuer(&json!({"claims": {"roles": ["/realm_access/roles"]}}));
    let stack = Setup { policy: PAYERS, issuer, ..Setup::default() }.start().await;
    for (what, token, expected) in [
        ("alice may pay", realm.access_token(AGENT, "alice").await, wanted(200, "policy_allowed")),
        ("bob may not", realm.access_token(AGENT, "bob").await, wanted(403, "policy_denied")),
        ("D15", realm.access_token(ELSEWHERE, "alice").await, wanted(401, "token_audience")),
        ("another realm", stranger.access_token(AGENT, "alice").await, wanted(401, "token_issuer_unknown")),
    ] {
        let [_, claims] = parts(&token);
        assert_eq!(outcome(&stack, &token).await, expected, "{what}: {claims}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_is_the_one_who_logged_in() {
    let realm = Realm::new("users").await;
    let stack = Setup { issuer: realm.issuer(&json!(null)), ..Setup::default() }.start().await;
    let token = realm.access_token(AGENT, "alice").await;
    let [_, claims] = parts(&token);
    let reply = stack.agent("planner").send(&Call::get("/accounts/1").bearer(&token)).await;
    let record = stack.decision().await;
    assert_eq!(reply.status, 200, "{record:?}");
    let user = &record.0["countersign"]["user"];
    assert_eq!((&user["subject"], &user["issuer"]), (&claims["sub"], &claims["iss"]), "{user}");
}

#[tokio::test(flavor = "multi_thread")]
async fn d16_an_id_token_for_the_same_audience_is_no_access_token() {
    let realm = Realm::new("types").await;
    let issuer = realm.issuer(&json!({"token_types": ["at+jwt"]}));
    let stack = Setup { issuer, ..Setup::default() }.start().await;
    let login = realm.login(ACCOUNTS, "alice").await;
    let (access, id) = (text(&login, "access_token"), text(&login, "id_token"));
    let types = [&access, &id].map(|token| parts(token)[0]["typ"].clone());
    assert_eq!(types, ["at+jwt", "JWT"]);
    assert_eq!(parts(&id)[1]["aud"], "accounts", "but for its type it would do");

    assert_eq!(outcome(&stack, &access).await, wanted(200, "policy_allowed"));
    assert_eq!(outcome(&stack, &id).await, wanted(401, "token_type"));
    let untyped = realm.access_token(AGENT, "alice").await;
    assert_eq!(outcome(&stack, &untyped).await, wanted(401, "token_type"), "an access token that does not say so");
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_a_new_key_is_learned_from_the_first_token() {
    let realm = Realm::new("rotation").await;
    let stack = Setup { issuer: realm.issuer(&json!(null)), ..Setup::default() }.start().await;
    let before = realm.access_token(AGENT, "alice").await;
    assert_eq!(outcome(&stack, &before).await, wanted(200, "policy_allowed"));
    realm.rotate().await;
    let after = realm.access_token(AGENT, "alice").await;
    assert_ne!(parts(&before)[0]["kid"], parts(&after)[0]["kid"]);
    accepted_at_last(&stack, &after).await;
    assert_eq!(outcome(&stack, &before).await, wanted(200, "policy_allowed"), "the old key is still published");
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_keys_are_found_by_the_authorization_servers_metadata_of_this_very_issuer() {
    let realm = Realm::new("metadata").await;
    let url = realm.url("");
    let issuer = |url: &str, more| {
        let entry = realm.issuer(&json!({"issuer": url, "audiences": ["accounts"], "keys": {"oauth_metadata": true}}));
        merged(entry, &more)
    };
    // The same realm under another name: its metadata is found there too, and says whose it is.
    let otherwise = url.replace("127.0.0.1", "localhost");
    let settings = json!({"issuers": [issuer(&url, json!(null)), issuer(&otherwise, json!({"optional": true}))]});
    let stack = Setup { settings, ..Setup::default() }.start().await;
    let token = realm.access_token(AGENT, "alice").await;
    assert_eq!(outcome(&stack, &token).await, wanted(200, "policy_allowed"));
    let fetched = async |issuer: &str| stack.server().metric(FETCHES, &[issuer, "succeeded"]).await > 0.0;
    assert_eq!((fetched(&url).await, fetched(&otherwise).await), (true, false));
    let refused = |line: &str| line.contains("of another issuer") && line.contains(&otherwise);
    assert!(stack.server().output().lines().any(refused));
}
