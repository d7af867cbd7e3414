//! Fail closed: the proxy is told to let requests through when its authorizer fails (`failure_mode_allow: true`), and
//! no hostile request, broken policy or missing key makes use of it.

use serde_json::Value as Json;
use serde_json::json;

use super::harness::Setup;
use super::harness::Stack;
use super::harness::client::Call;
use super::harness::client::long_query;
use super::harness::envoy::EnvoySetup;
use super::harness::token_of;
use super::peers::issuer::Answer;
use super::peers::token::Forgery;
use super::peers::token::TokenRequest;

/// Each path breaks in its own way; none is a plain `false`.
const BROKEN: &str = r#"package envoy.authz

allow := "true" if input.http.path == "/string"

allow := 1 if input.http.path == "/number"

allow := {"allow": true} if input.http.path == "/misspelled"

allow := {"allowed": "true"} if input.http.path == "/string-inside"

allow if input.http.path == "/conflict"

allow := {"allowed": true} if input.http.path == "/conflict"

allow := {"allowed": true, "headers": {"x": 1}} if input.http.path == "/header-type"

allow if {
	input.http.path == "/builtin"
	not to_number(input.http.path) == 1
}

allow if {
	input.http.path == "/endless"
	some a in range
	some b in range
	some c in range
	a + b + c < 0
}

range := numbers.range(1, 1000)
"#;

fn open_proxy(filter: &Json) -> EnvoySetup {
    let open = json!({"failure_mode_allow": true, "failure_mode_allow_header_add": true});
    EnvoySetup { filter: super::harness::merged(open, filter), ..EnvoySetup::default() }
}

/// Sends the request and fails when it got past the proxy. An answer of the proxy itself is fine too.
async fn never_passes(stack: &Stack, what: &str, call: &Call) -> Option<u16> {
    let reply = stack.agent("planner").try_send(call).await.ok()?;
    assert!(reply.header("x-upstream").is_empty(), "{what} reached the upstream: {reply:?}");
    assert!(reply.status >= 400, "{what}: {reply:?}");
    Some(reply.status)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_breaks_never_allows() {
    let stack = Setup { policy: BROKEN, envoy: open_proxy(&json!({})), ..Setup::default() }.start().await;
    let token = stack.token("alice");
    for (target, status, reason) in [
        ("/undefined", 403, "policy_undefined"),
        ("/string", 503, "policy_result_type"),
        ("/number", 503, "policy_result_type"),
        ("/misspelled", 503, "policy_result_type"),
        ("/string-inside", 503, "policy_result_type"),
        ("/conflict", 503, "policy_conflict"),
        ("/header-type", 503, "policy_result_invalid"),
        ("/builtin", 503, "policy_builtin_error"),
        ("/endless", 503, "policy_time_limit"),
    ] {
        let answered = never_passes(&stack, target, &Call::get(target).bearer(&token)).await;
        assert_eq!((answered, stack.decision().await.reason()), (Some(status), reason), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_paths_and_queries_never_allow() {
    let stack = Setup { envoy: open_proxy(&json!({})), ..Setup::default() }.start().await;
    let token = stack.token("alice");
    assert_eq!(stack.agent("planner").send(&Call::get("/fine").bearer(&token)).await.status, 200);
    stack.decision().await;
    for target in [
        "/a?x=1;y=2",
        "/a?x=%zz",
        "/a?%",
        "/a%",
        "/a%zz",
        "/a%00b",
        "/public%2f..%2fadmin",
        "/public/..%5cadmin",
        "/public\\..\\admin",
        "/..;x=1/admin",
        "/a%25%32%66b",
        "/a%c0%afb",
        &long_query(5_000),
    ] {
        never_passes(&stack, &target.chars().take(40).collect::<String>(), &Call::get(target).bearer(&token)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_headers_never_allow() {
    let stack = Setup { envoy: open_proxy(&json!({})), ..Setup::default() }.start().await;
    let unsigned = TokenRequest { forgery: Forgery::AlgNone, ..token_of("admin") };
    let unsigned = stack.token_as(&unsigned);
    for (what, call) in [
        ("no token", Call::get("/")),
        ("bytes that are no UTF-8", Call::get("/").header("authorization", b"Bearer \xff\xfe")),
        ("an unsigned token", Call::get("/").bearer(&unsigned)),
        ("a huge token", Call::get("/").bearer(&"a".repeat(50_000))),
        ("two tokens", Call::get("/").bearer(&unsigned).bearer(&unsigned)),
        ("an empty credential", Call::get("/").header("authorization", "")),
        ("CONNECT", Call::new("CONNECT", "accounts:443")),
        ("OPTIONS *", Call::new("OPTIONS", "*")),
    ] {
        never_passes(&stack, what, &call).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_bodies_never_allow() {
    let stack = Setup { envoy: open_proxy(&json!({})), ..Setup::default() }.start().await;
    let token = stack.token("alice");
    let post = |body: Vec<u8>| Call::new("POST", "/").bearer(&token).body("application/json", body);
    for (what, body) in [
        ("no JSON", b"{".to_vec()),
        ("two documents", b"{} {}".to_vec()),
        ("no UTF-8", b"\"\xff\"".to_vec()),
        ("nested deep", "[".repeat(30_000).into_bytes()),
        ("too much for the proxy", vec![b' '; 100_000]),
    ] {
        never_passes(&stack, what, &post(body)).await;
    }
}

/// The operator's mistake: the proxy may send more than Countersign takes. A gRPC error would let it through.
#[tokio::test(flavor = "multi_thread")]
async fn j4_a_check_larger_than_the_limit_never_allows() {
    let more = json!({"with_request_body": {"max_request_bytes": 1_048_576, "allow_partial_message": true}});
    let settings = json!({"listeners": {"max_message_bytes": 65_536}});
    let stack = Setup { envoy: open_proxy(&more), settings, ..Setup::default() }.start().await;
    let call = Call::new("POST", "/").bearer(&stack.token("alice"));
    assert_eq!(stack.agent("planner").send(&call.clone().body("text/plain", "small")).await.status, 200);
    for bytes in [100_000, 1_000_000] {
        never_passes(&stack, "a large body", &call.clone().body("text/plain", vec![b'a'; bytes])).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_keys_never_allow() {
    let stack = Setup { envoy: open_proxy(&json!({})), ..Setup::default() }.start().await;
    stack.issuer.set_answer(Answer::Silence);
    let unknown = stack.token_as(&TokenRequest { forgery: Forgery::UnknownKey, ..token_of("alice") });
    let status = never_passes(&stack, "an unknown key", &Call::get("/").bearer(&unknown)).await;
    assert!(matches!(status, Some(401 | 503)), "{status:?}");
}

/// With a deadline shorter than any refresh, the answer still comes before the proxy gives up.
#[tokio::test(flavor = "multi_thread")]
async fn the_proxys_deadline_never_allows() {
    let impatient = json!({"grpc_service": {"timeout": "0.5s"}});
    let settings = json!({"policy": {"time_limit": "100ms"}});
    let stack = Setup { policy: BROKEN, envoy: open_proxy(&impatient), settings, ..Setup::default() }.start().await;
    stack.issuer.set_answer(Answer::Silence);
    let token = stack.token("alice");
    let unknown = stack.token_as(&TokenRequest { forgery: Forgery::UnknownKey, ..token_of("alice") });
    never_passes(&stack, "waiting for keys", &Call::get("/").bearer(&unknown)).await;
    never_passes(&stack, "an endless policy", &Call::get("/endless").bearer(&token)).await;
}
