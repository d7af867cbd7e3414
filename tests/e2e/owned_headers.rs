//! The identity headers are Countersign's alone: whatever a client or a policy says, the upstream sees what was proven.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::harness::ALLOW;
use super::harness::Setup;
use super::harness::client::Call;
use super::harness::envoy::EnvoySetup;
use super::peers::certs::agent_id;

/// Spellings of owned headers that a client may try. CGI-like upstreams read `_` and `-` as the same.
const SPELLINGS: [&str; 7] = [
    "x-countersign-caller",
    "X-Countersign-User",
    "X-COUNTERSIGN-ISSUER",
    "x-countersign-decision-id",
    "x-countersign-anything",
    "x_countersign_caller",
    "X_Countersign-User",
];

fn forged(target: &str) -> Call {
    SPELLINGS.iter().fold(Call::get(target), |call, name| call.header(name, "root").header(name, "root"))
}

#[tokio::test(flavor = "multi_thread")]
async fn e4_owned_headers_are_overwritten_and_other_spellings_removed() {
    let stack = Setup { policy: ALLOW, ..Setup::default() }.start().await;
    let seen = stack.agent("planner").send(&forged("/").bearer(&stack.token("alice"))).await.seen();
    let decision = stack.decision().await;
    assert_eq!(seen.header("x-countersign-caller"), [agent_id("planner")]);
    assert_eq!(seen.header("x-countersign-user"), ["alice"]);
    assert_eq!(seen.header("x-countersign-issuer"), [stack.issuer.url()]);
    assert_eq!(seen.header("x-countersign-decision-id"), [decision.decision_id()]);
    assert_eq!(seen.header_names_with("countersign").len(), 4, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn e4_what_is_not_proven_is_removed_on_anonymous_routes_too() {
    let anonymous = json!({"countersign.caller": "optional", "countersign.token": "off"});
    let stack = Setup {
        envoy: EnvoySetup { routes: vec![("/health", anonymous)], ..EnvoySetup::default() },
        ..Setup::default()
    }
    .start()
    .await;
    let seen = stack.agent("planner").send(&forged("/health")).await.seen();
    assert_eq!(seen.header("x-countersign-caller"), [agent_id("planner")]);
    let mut names = seen.header_names_with("countersign");
    names.sort_unstable();
    assert_eq!(names, ["x-countersign-caller", "x-countersign-decision-id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn e4_without_raw_headers_the_same_holds() {
    let stack = Setup {
        envoy: EnvoySetup { filter: json!({"encode_raw_headers": false}), ..EnvoySetup::default() },
        ..Setup::default()
    }
    .start()
    .await;
    let seen = stack.agent("planner").send(&forged("/").bearer(&stack.token("alice"))).await.seen();
    assert_eq!(seen.header("x-countersign-user"), ["alice"]);
    assert_eq!(seen.header_names_with("countersign").len(), 4, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn e5_a_transaction_token_from_outside_does_not_arrive() {
    let inside = json!({"countersign.txn_token": "pass"});
    let stack = Setup {
        policy: ALLOW,
        envoy: EnvoySetup { routes: vec![("/inside", inside)], ..EnvoySetup::default() },
        ..Setup::default()
    }
    .start()
    .await;
    let token = stack.token("alice");
    for (path, sent, arrives) in
        [("/", &["a.b.c"][..], &[][..]), ("/inside", &["a.b.c"], &["a.b.c"]), ("/inside", &[], &[])]
    {
        let call = sent.iter().fold(Call::get(path).bearer(&token), |call, value| call.header("txn-token", value));
        let seen = stack.agent("planner").send(&call).await.seen();
        assert_eq!(stack.decision().await.reason(), "policy_allowed");
        assert_eq!(seen.header("txn-token"), arrives, "{path}");
    }
    let two = Call::get("/inside").bearer(&token).header("txn-token", "a.b.c").header("txn-token", "d.e.f");
    assert_eq!(stack.agent("planner").send(&two).await.status, 400);
    assert_eq!(stack.decision().await.reason(), "token_repeated");
}

/// What is set and removed on every allow must be permitted by the rules that the examples give to Envoy, which answers 500
/// otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn e4_e5_the_rules_of_the_examples_permit_what_every_allow_changes() {
    let written = "allow_expression: {regex: \"";
    for example in ["k8s/examples/envoy.yaml", "k8s/examples/spire/envoy.yaml", "policies/README.md"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(example)).unwrap();
        let (_, rest) = text.split_once(written).unwrap_or_else(|| panic!("no rules in {example}"));
        let (expression, _) = rest.split_once('"').unwrap();
        let rules = json!({"disallow_all": true, "disallow_is_error": true, "allow_expression": {"regex": expression}});
        let filter = json!({"decoder_header_mutation_rules": rules});
        let envoy = EnvoySetup { filter, ..EnvoySetup::default() };
        let stack = Setup { policy: ALLOW, envoy, ..Setup::default() }.start().await;
        let reply = stack.agent("planner").send(&Call::get("/").bearer(&stack.token("alice"))).await;
        assert_eq!(reply.status, 200, "{example}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e6_a_user_whose_name_is_no_header_value_is_never_sent_raw() {
    let stack = Setup::default().start().await;
    for (subject, sent) in [
        ("alice\r\nx-admin: true", "alice%0D%0Ax-admin:%20true"),
        ("a\rb\nc", "a%0Db%0Ac"),
        ("a\0b", "a%00b"),
        ("zoë", "zo%C3%AB"),
        ("100%, \"a\"; b", "100%25%2C%20%22a%22%3B%20b"),
    ] {
        let seen = stack.agent("planner").send(&Call::get("/").bearer(&stack.token(subject))).await.seen();
        assert_eq!(stack.decision().await.reason(), "policy_allowed", "{subject:?}");
        assert!(seen.header("x-admin").is_empty(), "{seen:?}");
        assert_eq!(seen.header("x-countersign-user"), [sent], "{seen:?}");
    }
    // Refused rather than cut: a cut subject is another subject. In the header each of these has three characters.
    for (subject, status) in [("%".repeat(2730), 200), ("%".repeat(2731), 401), ("a".repeat(8193), 401)] {
        let reply = stack.agent("planner").send(&Call::get("/").bearer(&stack.token(&subject))).await;
        let reason = if status == 200 { "policy_allowed" } else { "token_too_large" };
        assert_eq!((reply.status, stack.decision().await.reason()), (status, reason), "{}", subject.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_names_an_owned_header_refuses() {
    const POLICY: &str = r#"package envoy.authz

allow := {"allowed": true, "headers": {"x-countersign-user": "root"}} if input.http.path == "/set"

allow := {"allowed": true, "headers": {"x_countersign_user": "root"}} if input.http.path == "/set-underscored"

allow := {"allowed": true, "request_headers_to_remove": ["X-Countersign-Caller"]} if input.http.path == "/remove"
"#;
    let stack = Setup { policy: POLICY, ..Setup::default() }.start().await;
    for target in ["/set", "/set-underscored", "/remove"] {
        let reply = stack.agent("planner").send(&Call::get(target).bearer(&stack.token("alice"))).await;
        let decision = stack.decision().await;
        assert_eq!((reply.status, decision.reason()), (503, "policy_owned_header"), "{target}");
    }
}
