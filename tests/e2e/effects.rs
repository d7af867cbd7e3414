//! Every field of a policy's result, where it takes effect: at the upstream, at the client, in the proxy's metadata.

use serde_json::json;

use super::harness::Setup;
use super::harness::Stack;
use super::harness::client::Call;
use super::harness::client::Reply;
use super::harness::envoy::EnvoySetup;

/// One policy for all: the first segment of the path picks the result.
const POLICY: &str = r#"package envoy.authz

default allow := false

allow := results[input.http.segments[0]]

results := {
	"true": true,
	"false": false,
	"headers": {"allowed": true, "headers": {"x-one": "1", "x-many": ["a", "b"], "x-taken": "policy"}},
	"header-objects": {"allowed": true, "headers": [{"x-one": "1"}, {"x-two": ["2", "zwei"]}]},
	"remove": {"allowed": true, "request_headers_to_remove": ["x-secret", "authorization"]},
	"answer": {"allowed": true, "response_headers_to_add": {"x-answer": "yes", "x-many": ["a", "b"]}},
	"query-set": {"allowed": true, "query_parameters_to_set": {"new": "1", "old": "changed%20%26%20safe", "list": ["p", "q"]}},
	"query-remove": {"allowed": true, "query_parameters_to_remove": ["gone", "not-there"]},
	"metadata": {"allowed": true, "dynamic_metadata": {"team": "payments", "nested": {"list": [1, true, null]}}},
	"refusal": {
		"allowed": false,
		"http_status": 429,
		"headers": {"retry-after": "7", "x-many": ["a", "b"]},
		"body": "come back later",
		"dynamic_metadata": {"team": "payments"},
		"response_headers_to_add": {"x-not-here": "for allowed requests only"},
	},
	"refusal-plain": {"allowed": false},
	"wrong-status": {"allowed": false, "http_status": 299},
	"wrong-header": {"allowed": true, "headers": {"x-split": "a\r\nx-admin: true"}},
	"wrong-name": {"allowed": true, "headers": {":path": "/admin"}},
	"wrong-query": {"allowed": true, "query_parameters_to_set": {"a": "1&admin=true"}},
	"wrong-type": {"allowed": true, "headers": "x"},
	"unused-wrong": {"allowed": true, "body": 7, "http_status": "x"},
	"string": "true",
	"number": 1,
	"no-allowed": {"headers": {"x-one": "1"}},
}
"#;

struct Effects(Stack);

impl Effects {
    async fn start() -> Self {
        Self(Setup { policy: POLICY, ..Setup::default() }.start().await)
    }

    async fn send(&self, call: Call) -> Reply {
        self.0.agent("planner").send(&call.bearer(&self.0.token("alice"))).await
    }

    async fn refused(&self, target: &str) -> (u16, String) {
        let reply = self.send(Call::get(target)).await;
        assert!(reply.header("x-upstream").is_empty(), "{target} reached the upstream");
        (reply.status, self.0.decision().await.reason().to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boolean_is_the_whole_answer() {
    let effects = Effects::start().await;
    let seen = effects.send(Call::new("PUT", "/true?a=1").body("text/plain", "hello")).await.seen();
    assert_eq!((seen.target(), seen.body()), ("/true?a=1", "hello"));
    assert_eq!(effects.0.decision().await.reason(), "policy_allowed");
    assert_eq!(effects.refused("/false").await, (403, "policy_denied".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_reach_the_upstream_in_place_of_the_clients() {
    let effects = Effects::start().await;
    let call = Call::get("/headers").header("x-taken", "client").header("x-taken", "twice").header("x-many", "client");
    let seen = effects.send(call).await.seen();
    assert_eq!(seen.header("x-one"), ["1"]);
    assert_eq!(seen.header("x-taken"), ["policy"]);
    assert_eq!(seen.header("x-many").join(","), "a,b");

    let seen = effects.send(Call::get("/header-objects")).await.seen();
    assert_eq!((seen.header("x-one").join(","), seen.header("x-two").join(",")), ("1".to_owned(), "2,zwei".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_taken_away() {
    let effects = Effects::start().await;
    let call = Call::get("/remove").header("x-secret", "1").header("X-Secret", "2").header("x-kept", "3");
    let seen = effects.send(call).await.seen();
    assert!(seen.header("x-secret").is_empty() && seen.header("authorization").is_empty(), "{seen:?}");
    assert_eq!(seen.header("x-kept"), ["3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn response_headers_reach_the_client() {
    let effects = Effects::start().await;
    let reply = effects.send(Call::get("/answer")).await;
    assert_eq!((reply.status, reply.header("x-answer")), (200, vec!["yes"]));
    assert_eq!(reply.header("x-many").join(","), "a,b");
    let seen = reply.seen();
    assert!(seen.header("x-answer").is_empty(), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn query_parameters_are_set_and_taken_away() {
    // With `validate_mutations`, Envoy 1.40 refuses every query value that is not letters and digits alone, escaped or
    // not, with a 500.
    let envoy = EnvoySetup { filter: json!({"validate_mutations": false}), ..EnvoySetup::default() };
    let effects = Effects(Setup { policy: POLICY, envoy, ..Setup::default() }.start().await);
    let seen = effects.send(Call::get("/query-set?old=1&other=2")).await.seen();
    // Of a list, Envoy keeps the last.
    let mut parameters: Vec<_> = seen.target().split_once('?').unwrap().1.split('&').collect();
    parameters.sort_unstable();
    assert_eq!(parameters, ["list=q", "new=1", "old=changed%20%26%20safe", "other=2"]);

    let seen = effects.send(Call::get("/query-remove?gone=1&kept=2&gone=3")).await.seen();
    assert_eq!(seen.target(), "/query-remove?kept=2");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_reaches_the_proxy() {
    let effects = Effects::start().await;
    let decision_id =
        effects.send(Call::get("/metadata")).await.seen().header("x-countersign-decision-id")[0].to_owned();
    let metadata = effects.0.envoy.metadata("/metadata").await;
    assert_eq!(metadata["team"], "payments");
    assert_eq!(metadata["nested"], json!({"list": [1, true, null]}));
    assert_eq!(metadata["decision_id"], decision_id.as_str());
    assert_eq!(effects.0.decision().await.decision_id(), decision_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_has_the_policys_status_headers_body_and_metadata() {
    let effects = Effects::start().await;
    let reply = effects.send(Call::get("/refusal")).await;
    assert_eq!((reply.status, reply.text().as_str()), (429, "come back later"));
    assert_eq!(reply.header("retry-after"), ["7"]);
    assert_eq!(reply.header("x-many").join(","), "a,b");
    assert!(reply.header("x-not-here").is_empty() && reply.header("x-upstream").is_empty());

    let metadata = effects.0.envoy.metadata("/refusal").await;
    assert_eq!(metadata["team"], "payments");
    assert_eq!(metadata["decision_id"], effects.0.decision().await.decision_id());

    assert_eq!(effects.refused("/refusal-plain").await, (403, "policy_denied".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_cannot_be_carried_out_refuses() {
    let effects = Effects::start().await;
    for target in ["/wrong-status", "/wrong-header", "/wrong-name", "/wrong-query", "/wrong-type"] {
        assert_eq!(effects.refused(target).await, (503, "policy_result_invalid".to_owned()), "{target}");
    }
    // As the plugin has it, a field of the branch that was not taken is not looked at.
    assert_eq!(effects.send(Call::get("/unused-wrong")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn h3_only_a_boolean_true_allows() {
    let effects = Effects::start().await;
    for target in ["/string", "/number", "/no-allowed"] {
        assert_eq!(effects.refused(target).await, (503, "policy_result_type".to_owned()), "{target}");
    }
}
