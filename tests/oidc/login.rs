//! Logins as a browser does them, by clients that know where, and by one that has to find out.

use serde_json::Value as Json;
use serde_json::json;

use super::super::harness::Setup;
use super::super::harness::client::Call;
use super::super::harness::client::Client;
use super::harness::browser::access_token;
use super::harness::browser::get;
use super::harness::browser::split;
use super::harness::keycloak::Realm;
use super::harness::outcome;
use super::harness::text;
use super::harness::wanted;
use super::keycloak::PAYERS;

#[tokio::test(flavor = "multi_thread")]
async fn a_code_with_its_verifier_gives_a_token_that_is_accepted() {
    let realm = Realm::new("login").await;
    let issuer = realm.issuer(&json!({"claims": {"roles": ["/realm_access/roles"]}}));
    let stack = Setup { policy: PAYERS, issuer, ..Setup::default() }.start().await;
    let endpoint = |name| realm.url(&format!("/protocol/openid-connect/{name}"));
    for (user, expected) in [("alice", wanted(200, "policy_allowed")), ("bob", wanted(403, "policy_denied"))] {
        let token = access_token(&realm.browser(), &endpoint("auth"), &endpoint("token"), user).await;
        assert_eq!(outcome(&stack, &token).await, expected, "{user}");
    }
}

/// A document that a client asks for without any token.
async fn document(client: &Client, url: &str) -> Json {
    let reply = client.send(&get(url)).await;
    assert_eq!(reply.status, 200, "{url}: {}", reply.text());
    serde_json::from_str(&reply.text()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_knows_the_resource_alone_finds_its_way_in() {
    let realm = Realm::new("discovery").await;
    let resource = "https://accounts/mcp";
    let described = json!([{"resource": resource, "authorization_servers": [realm.url("")]}]);
    let settings = json!({"protected_resources": described});
    let stack = Setup { issuer: realm.issuer(&json!(null)), settings, ..Setup::default() }.start().await;
    let agent = stack.agent("planner");

    // RFC 9728 §5: the answer to a request without a token says where the resource is described.
    let refused = agent.send(&get(resource)).await;
    assert_eq!((refused.status, stack.decision().await.reason()), (401, "token_missing"));
    let challenge = refused.header("www-authenticate").concat();
    assert!(challenge.starts_with("Bearer ") && !challenge.contains("error="), "{challenge}");
    let mut parameters = challenge.split(r#"resource_metadata=""#).skip(1);
    let address = parameters.next().and_then(|rest| rest.split('"').next()).unwrap();

    // §3.3: the description is the resource's own. RFC 8414 §3.3: so is the authorization server's.
    let description = document(&agent, address).await;
    assert_eq!(stack.decision().await.reason(), "answered_resource_metadata");
    assert_eq!(description["resource"], resource);
    let server = description["authorization_servers"][0].as_str().unwrap();
    let (host, path) = split(server);
    let browser = realm.browser();
    let metadata = document(&browser, &format!("https://{host}/.well-known/oauth-authorization-server{path}")).await;
    assert_eq!(metadata["issuer"], server);

    let [authorization, token] = ["authorization_endpoint", "token_endpoint"].map(|name| text(&metadata, name));
    let token = access_token(&browser, &authorization, &token, "alice").await;
    let allowed = agent.send(&get(resource).bearer(&token)).await;
    assert_eq!((allowed.status, stack.decision().await.reason()), (200, "policy_allowed"));
    assert_eq!(allowed.seen().target(), "/mcp");
    // What it learned is good for this resource and no other.
    let elsewhere = agent.send(&Call::get("/elsewhere")).await;
    let challenge = elsewhere.header("www-authenticate").concat();
    assert!(elsewhere.status == 401 && !challenge.contains("resource_metadata"), "{challenge}");
}
