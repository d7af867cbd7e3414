//! What a client is told, as it arrives through the real proxy: enough to get the token that is missing.

use serde_json::Value as Json;
use serde_json::json;

use super::harness::Setup;
use super::harness::Stack;
use super::harness::client::Call;
use super::harness::client::Reply;
use super::harness::envoy::EnvoySetup;

const POLICY: &str = r#"package envoy.authz

default allow := false

allow if input.http.segments == ["mcp"]

allow := {"allowed": false, "step_up": {"acr_values": ["phr"], "max_age": 300}} if {
	input.http.segments == ["mcp", "refund"]
}

allow := {"allowed": false, "insufficient_scope": "orders:write"} if input.http.segments == ["mcp", "order"]
"#;

const DOCUMENT: &str = "/.well-known/oauth-protected-resource/mcp";
const METADATA: &str = r#"resource_metadata="https://accounts/.well-known/oauth-protected-resource/mcp""#;

async fn start(envoy: EnvoySetup) -> Stack {
    let settings = json!({
        "routes": {"problem_details": true},
        "protected_resources": [{
            "resource": "https://accounts/mcp",
            "authorization_servers": ["https://idp.example"],
            "scopes_supported": ["orders:write"],
        }],
    });
    Setup { policy: POLICY, settings, envoy, ..Setup::default() }.start().await
}

fn challenge(reply: &Reply) -> String {
    reply.header("www-authenticate").join("\n")
}

fn from_here(reply: &Reply) -> Json {
    assert!(reply.header("x-upstream").is_empty(), "reached the upstream: {reply:?}");
    serde_json::from_str(&reply.text()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_a_token_finds_where_to_get_one() {
    let stack = start(EnvoySetup::default()).await;
    let agent = stack.agent("planner");
    let reply = agent.send(&Call::get("/mcp")).await;
    assert_eq!(reply.status, 401);
    assert_eq!(challenge(&reply), format!(r#"Bearer realm="countersign", {METADATA}"#));
    assert_eq!(stack.decision().await.reason(), "token_missing");

    let address = challenge(&reply).split("resource_metadata=\"https://accounts").nth(1).unwrap().replace('"', "");
    let reply = agent.send(&Call::get(&address)).await;
    let document = from_here(&reply);
    assert_eq!((reply.status, reply.header("content-type")), (200, vec!["application/json"]));
    assert_eq!(reply.header("access-control-allow-origin"), ["*"]);
    assert_eq!(document["resource"], "https://accounts/mcp");
    assert_eq!(document["authorization_servers"], json!(["https://idp.example"]));
    assert_eq!(stack.decision().await.reason(), "answered_resource_metadata");

    // The answer has a length and no body, which this client does not read: it waits until the proxy closes.
    let _head = agent.try_send(&Call::new("HEAD", &address).header("connection", "close")).await;
    assert_eq!(stack.decision().await.reason(), "answered_resource_metadata");
}

/// Whatever a client adds, and however the proxy takes failures: the document never becomes a request to the upstream.
#[tokio::test(flavor = "multi_thread")]
async fn a_document_never_lets_a_request_through() {
    let lenient = EnvoySetup { filter: json!({"failure_mode_allow": true}), ..EnvoySetup::default() };
    let stack = start(lenient).await;
    let agent = stack.agent("planner");
    let token = stack.token("alice");
    for call in [
        Call::get(DOCUMENT),
        Call::get(&format!("{DOCUMENT}?admin=true")),
        Call::get(DOCUMENT).bearer(&token),
        Call::get(DOCUMENT).header("x-envoy-original-path", "/mcp"),
        Call::get(DOCUMENT).body("text/plain", "hello"),
    ] {
        let reply = agent.send(&call).await;
        assert_eq!((reply.status, &from_here(&reply)["resource"]), (200, &json!("https://accounts/mcp")), "{call:?}");
        assert_eq!(stack.decision().await.reason(), "answered_resource_metadata", "{call:?}");
    }
    for call in [
        Call::new("POST", DOCUMENT).body("text/plain", ""),
        Call::get("/.well-known/oauth-protected-resource"),
        Call::get(&format!("{DOCUMENT}/more")),
        Call::get("/.well-known/oauth-protected-resource/%6dcp"),
    ] {
        let reply = agent.send(&call).await;
        assert_eq!((reply.status, &from_here(&reply)["status"]), (401, &json!(401)), "{call:?}");
        assert_eq!(stack.decision().await.reason(), "token_missing", "{call:?}");
    }
}

/// What a browser sends before the request of an MCP client, whose `MCP-Protocol-Version` is no simple header.
fn preflight(target: &str, method: &str) -> Call {
    let call = Call::new("OPTIONS", target).header("origin", "https://app.example");
    call.header("access-control-request-method", method)
        .header("access-control-request-headers", "mcp-protocol-version")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_ask_for_the_document_and_for_nothing_else() {
    let lenient = EnvoySetup { filter: json!({"failure_mode_allow": true}), ..EnvoySetup::default() };
    let stack = start(lenient).await;
    let agent = stack.agent("planner");
    for call in [preflight(DOCUMENT, "GET"), preflight(DOCUMENT, "HEAD"), preflight(&format!("{DOCUMENT}?a=b"), "GET")]
    {
        let reply = agent.send(&call).await;
        assert_eq!((reply.status, reply.text().as_str()), (204, ""), "{call:?}");
        for (name, value) in [
            ("access-control-allow-origin", "*"),
            ("access-control-allow-methods", "GET, HEAD"),
            ("access-control-allow-headers", "*"),
            ("access-control-max-age", "7200"),
        ] {
            assert_eq!(reply.header(name), [value], "{call:?}");
        }
        assert!(reply.header("x-upstream").is_empty() && reply.header("access-control-allow-credentials").is_empty());
        let record = stack.decision().await;
        assert_eq!((record.reason(), record.http_status()), ("answered_resource_metadata", Some(204)), "{call:?}");
    }
    let mut connection = agent.connect().await.unwrap();
    assert_eq!(connection.send(&preflight(DOCUMENT, "GET")).await.unwrap().status, 204);
    let document = connection.send(&Call::get(DOCUMENT).header("mcp-protocol-version", "2025-06-18")).await.unwrap();
    assert_eq!(from_here(&document)["resource"], "https://accounts/mcp", "the connection goes on");
    for _ in 0..2 {
        stack.decision().await;
    }
    for call in [
        Call::new("OPTIONS", DOCUMENT),
        Call::new("OPTIONS", DOCUMENT).header("origin", "https://app.example"),
        preflight(DOCUMENT, "POST"),
        preflight(DOCUMENT, "GET").header("access-control-request-method", "POST"),
        preflight("/mcp", "GET"),
        preflight("/.well-known/oauth-protected-resource", "GET"),
    ] {
        let reply = agent.send(&call).await;
        assert_eq!((reply.status, reply.header("access-control-allow-origin")), (401, vec![]), "{call:?}");
        assert_eq!(stack.decision().await.reason(), "token_missing", "{call:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_would_do_and_no_more() {
    let stack = start(EnvoySetup::default()).await;
    let agent = stack.agent("planner");
    let token = stack.token("alice");
    for (target, token, status, reason, error) in [
        ("/mcp", "a.b.c", 401, "token_malformed", r#"error="invalid_token", "#),
        (
            "/mcp/refund",
            &token,
            401,
            "policy_step_up",
            r#"error="insufficient_user_authentication", acr_values="phr", max_age="300", "#,
        ),
        (
            "/mcp/order",
            &token,
            403,
            "policy_insufficient_scope",
            r#"error="insufficient_scope", scope="orders:write", "#,
        ),
    ] {
        let reply = agent.send(&Call::get(target).bearer(token)).await;
        assert_eq!(reply.status, status, "{reply:?}");
        assert_eq!(challenge(&reply), format!(r#"Bearer realm="countersign", {error}{METADATA}"#), "{target}");
        assert_eq!(reply.header("content-type"), ["application/problem+json"], "{target}");
        let record = stack.decision().await;
        assert_eq!(record.reason(), reason, "{target}");
        let problem = from_here(&reply);
        let title = if status == 401 { "Unauthorized" } else { "Forbidden" };
        let id = problem["decision_id"].clone();
        assert!(id.as_str().is_some_and(|id| id.len() == 36), "{problem}");
        assert_eq!(problem, json!({"type": "about:blank", "title": title, "status": status, "decision_id": id}));
    }
    let reply = agent.send(&Call::get("/elsewhere").bearer(&token)).await;
    assert_eq!((reply.status, challenge(&reply).as_str()), (403, ""));
    assert_eq!(agent.send(&Call::get("/mcp").bearer(&token)).await.status, 200);
}
