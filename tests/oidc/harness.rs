//! The providers, and what all of them have in common.

pub(super) mod browser;
pub(super) mod keycloak;
pub(super) mod light;
pub(super) mod proof;
pub(super) mod realm;

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use serde_json::Value as Json;
use serde_json::json;

use super::super::harness::Stack;
use super::super::harness::client::Call;
use super::super::harness::client::Client;
use super::super::harness::eventually;
use super::super::harness::merged;
use super::super::peers::certs::Keyed;

/// How a form is sent (RFC 6749 §4.1.3).
const FORM: &str = "application/x-www-form-urlencoded";

/// Names and values as a form or a query has them.
pub(super) fn encoded(fields: &[(&str, &str)]) -> String {
    let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    fields.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect::<Vec<_>>().join("&")
}

/// A form, posted to this host.
pub(super) fn form(host: &str, path: &str, fields: &[(&str, &str)]) -> Call {
    Call::to(host, "POST", path).body(FORM, encoded(fields))
}

/// What a token endpoint gives for this request; the test fails when it refuses (RFC 6749 §5.1).
pub(super) async fn granted(client: &Client, call: &Call) -> Json {
    let reply = client.send(call).await;
    assert_eq!(reply.status, 200, "no token: {}", reply.text());
    serde_json::from_str(&reply.text()).unwrap()
}

/// One of the tokens in such an answer.
pub(super) fn text(answer: &Json, name: &str) -> String {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}")).to_owned()
}

/// A JWT's header and claims, unverified.
pub(super) fn parts(token: &str) -> [Json; 2] {
    let mut segments = token.split('.').map(|segment| URL_SAFE_NO_PAD.decode(segment).unwrap());
    [(); 2].map(|()| serde_json::from_slice(&segments.next().unwrap()).unwrap())
}

/// A provider's entry in Countersign's configuration, over the ordinary one, which finds keys by discovery.
pub(super) fn issuer(url: &str, web_ca: &Path, algorithm: &str, more: &Json) -> Json {
    let entry = json!({"issuer": url, "keys": {"ca_file": web_ca}, "algorithms": [algorithm]});
    merged(entry, more)
}

/// How Countersign asks a provider about tokens, over the ordinary way; the client's secret is written to a file of `dir`.
pub(super) fn introspection(url: &str, client: (&str, &str), dir: &Path, web_ca: &Path, more: &Json) -> Json {
    let file = dir.join("client.secret");
    fs::write(&file, client.1).unwrap();
    let asked =
        json!({"url": url, "client_id": client.0, "client_secret_file": file, "ca_file": web_ca, "cache": "1s"});
    json!({"introspection": merged(asked, more)})
}

/// What becomes of a token: status and reason.
pub(super) async fn outcome(stack: &Stack, token: &str) -> (u16, String) {
    outcome_for(stack, &stack.agent("planner"), token).await
}

/// The same, for another client than the planner.
pub(super) async fn outcome_for(stack: &Stack, client: &Client, token: &str) -> (u16, String) {
    outcome_of(stack, client, &Call::get("/accounts/1").bearer(token)).await
}

/// What becomes of a client's call: status and reason.
pub(super) async fn outcome_of(stack: &Stack, client: &Client, call: &Call) -> (u16, String) {
    let reply = client.send(call).await;
    (reply.status, stack.decision().await.reason().to_owned())
}

/// Waits until a token of a key that Countersign has not seen yet is accepted: keys are asked for once a cooldown.
pub(super) async fn accepted_at_last(stack: &Stack, token: &str) {
    eventually("the new key", async || {
        let (status, reason) = outcome(stack, token).await;
        let waiting = matches!(reason.as_str(), "token_key_unknown" | "token_keys_unavailable");
        assert!(waiting || status == 200, "{status} {reason}");
        (status == 200).then_some(())
    })
    .await;
}

/// Waits until a token that was allowed so far is refused with 401 and this reason, and nothing else in between.
pub(super) async fn refused_at_last(stack: &Stack, token: &str, reason: &str) {
    eventually(reason, async || {
        let found = outcome(stack, token).await;
        assert!([wanted(200, "policy_allowed"), wanted(401, reason)].contains(&found), "{found:?}");
        (found.0 == 401).then_some(())
    })
    .await;
}

/// What a test wants to be the outcome.
pub(super) fn wanted(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

/// A certificate and its key of a folder.
fn keyed(dir: &Path, name: &str) -> Keyed {
    let read = |end: &str| fs::read_to_string(dir.join(format!("{name}.{end}"))).unwrap();
    Keyed { certificate: read("pem"), key: read("key") }
}
