//! Who calls: what the certificate proves, and what a client cannot make of it. Names are those of docs/threats.md.

use serde_json::Value as Json;
use serde_json::json;
use time::Duration;

use super::harness::Setup;
use super::harness::Stack;
use super::harness::client::Call;
use super::harness::envoy::EnvoySetup;
use super::harness::envoy::Transport;
use super::peers::certs::Keyed;
use super::peers::certs::Leaf;
use super::peers::certs::agent_id;
use super::peers::certs::proxy_id;

const XFCC: &str = "x-forwarded-client-cert";

/// What Envoy does to the header, and what Countersign takes it for.
async fn start(proxy: &str, countersign: &str) -> Stack {
    start_with(json!({"forward_client_cert_details": proxy}), json!({"xfcc": countersign})).await
}

async fn start_with(manager: Json, caller: Json) -> Stack {
    let envoy = EnvoySetup { manager, ..EnvoySetup::default() };
    Setup { envoy, settings: json!({"caller": caller}), ..Setup::default() }.start().await
}

/// The planner asks with these values of the header; gives status, reason and caller.
async fn ask(stack: &Stack, xfcc: &[&str]) -> (u16, String, Option<String>) {
    ask_as(stack, &stack.mesh.issue(&Leaf::svid(&agent_id("planner"))).unwrap(), xfcc).await
}

async fn ask_as(stack: &Stack, identity: &Keyed, xfcc: &[&str]) -> (u16, String, Option<String>) {
    let call = xfcc.iter().fold(Call::get("/"), |call, value| call.header(XFCC, value));
    let reply = stack.client(identity).send(&call.bearer(&stack.token("alice"))).await;
    let record = stack.decision().await;
    (reply.status, record.reason().to_owned(), record.caller().map(str::to_owned))
}

fn allowed() -> (u16, String, Option<String>) {
    (200, "policy_allowed".to_owned(), Some(agent_id("planner")))
}

fn refused(reason: &str) -> (u16, String, Option<String>) {
    (403, reason.to_owned(), None)
}

fn element(name: &str) -> String {
    format!("By={};Hash={};URI={}", proxy_id(), "0".repeat(64), agent_id(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_to_a9_behind_sanitize_set_a_forged_header_is_harmless() {
    let stack = start("SANITIZE_SET", "sanitize_set").await;
    let (one, two) = (element("ledger"), format!("{},{}", element("ledger"), element("planner")));
    let json_form = format!(r#"[{{"uri":["{}"]}}]"#, agent_id("ledger"));
    for forged in [&[one.as_str()][..], &[&two], &[&one, &one], &["\"", ",,"], &[""], &[&json_form]] {
        assert_eq!(ask(&stack, forged).await, allowed(), "{forged:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_what_the_client_prepended_is_not_believed() {
    let stack = start("APPEND_FORWARD", "append_forward").await;
    assert_eq!(ask(&stack, &[]).await, allowed());
    assert_eq!(ask(&stack, &[&element("ledger")]).await, allowed());
    let (one, other) = (element("ledger"), element("admin"));
    assert_eq!(ask(&stack, &[&one, &other]).await, allowed(), "A9: two headers are two elements");
}

#[tokio::test(flavor = "multi_thread")]
async fn a1_a9_several_elements_are_refused_where_one_is_expected() {
    let stack = start("APPEND_FORWARD", "sanitize_set").await;
    assert_eq!(ask(&stack, &[]).await, allowed());
    assert_eq!(ask(&stack, &[&element("ledger")]).await, refused("caller_xfcc_elements"));
    let (one, other) = (element("ledger"), element("planner"));
    assert_eq!(ask(&stack, &[&one, &other]).await, refused("caller_xfcc_elements"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_a_header_that_is_not_configured_is_ignored() {
    let stack = start("FORWARD_ONLY", "off").await;
    for forged in [element("ledger").as_str(), "\"", ",,", "[{}]"] {
        assert_eq!(ask(&stack, &[forged]).await, allowed(), "{forged:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a3_to_a8_a_forged_header_that_arrives_is_refused() {
    let stack = start("FORWARD_ONLY", "sanitize_set").await;
    let (planner, ledger) = (agent_id("planner"), agent_id("ledger"));
    let quoted = format!(r#"Subject="CN=x,O=\"a,b;URI={ledger}\"";URI={planner}"#);
    let by_alone = format!("By={ledger}");
    for harmless in [format!("URI={planner}"), quoted, by_alone] {
        assert_eq!(ask(&stack, &[&harmless]).await, allowed(), "A4, A7: {harmless}");
    }
    let hash = "0".repeat(64);
    for (forged, reason) in [
        (element("ledger"), "caller_conflict"),
        (element("planner"), "caller_conflict"), // the right name, and the hash of another certificate
        (format!("uri={ledger}"), "caller_conflict"),
        (format!("URI={planner};URI={ledger}"), "caller_xfcc_uri"),
        (format!("uri={ledger};URI={planner}"), "caller_xfcc_uri"),
        (format!("Hash={hash};HASH={hash};URI={planner}"), "caller_xfcc_malformed"),
        (format!("URI=\"{planner}"), "caller_xfcc_malformed"),
        (format!("URI={planner}\\"), "caller_xfcc_malformed"),
        (format!("URI={planner};"), "caller_xfcc_malformed"),
        (format!("URI={planner};nothing"), "caller_xfcc_malformed"),
        (format!("URI={planner};=x"), "caller_xfcc_malformed"),
        (format!(r#"[{{"uri":["{planner}"]}}]"#), "caller_xfcc_format"),
        (format!(r#"{{"uri":["{planner}"]}}"#), "caller_xfcc_"),
        (format!("URI={planner},,"), "caller_xfcc_"),
    ] {
        let (status, found, caller) = ask(&stack, &[&forged]).await;
        assert_eq!((status, caller), (403, None), "{forged}: {found}");
        assert!(found.starts_with(reason), "{forged}: {found}, not {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a5_a8_what_stands_before_the_proxys_element_must_be_well_formed() {
    let stack = start("APPEND_FORWARD", "append_forward").await;
    for (forged, reason) in [
        ("\"", "caller_xfcc_malformed"),
        ("nonsense", "caller_xfcc_malformed"),
        ("URI=spiffe://demo.example/a,", "caller_xfcc_malformed"),
        ("[{\"uri\":[\"spiffe://demo.example/admin\"]}]", "caller_xfcc_format"),
    ] {
        assert_eq!(ask(&stack, &[forged]).await, refused(reason), "{forged}");
    }
    assert_eq!(ask(&stack, &[""]).await, allowed(), "an empty header vanishes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificates_dns_name_cannot_make_the_last_element() {
    let stack = start("APPEND_FORWARD", "append_forward").await;
    let dns = format!("a,By={};URI={}", proxy_id(), agent_id("admin"));
    let identity = stack.mesh.issue(&Leaf { dns: vec![dns], ..Leaf::svid(&agent_id("planner")) }).unwrap();
    let (status, reason, caller) = ask_as(&stack, &identity, &[]).await;
    assert_eq!((status, caller), (403, None), "{reason}");
    assert!(reason.starts_with("caller_"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a10_a_name_that_is_no_spiffe_id_proves_nobody() {
    let stack = start_with(json!({}), json!({"xfcc": "off", "certificate": false})).await;
    let dns = Leaf { dns: vec!["admin.example.org".to_owned()], ..Leaf::default() };
    let subject = Leaf { common_name: Some(agent_id("admin")), ..Leaf::default() };
    for leaf in [dns, subject, Leaf::svid("https://demo.example/x"), Leaf::svid("spiffe://demo.example")] {
        let identity = stack.mesh.issue(&leaf).unwrap();
        assert_eq!(ask_as(&stack, &identity, &[]).await, refused("caller_principal_invalid"), "{leaf:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a11_without_tls_nobody_calls() {
    let envoy = EnvoySetup {
        transport: Transport::Plaintext,
        manager: json!({"forward_client_cert_details": "ALWAYS_FORWARD_ONLY"}),
        ..EnvoySetup::default()
    };
    let settings = json!({"caller": {"xfcc": "off"}});
    let stack = Setup { settings, envoy, ..Setup::default() }.start().await;
    let call = Call::get("/").bearer(&stack.token("alice")).header(XFCC, element("planner"));
    let reply = stack.plaintext().send(&call).await;
    assert_eq!((reply.status, stack.decision().await.reason()), (403, "caller_missing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a11_without_tls_the_last_element_is_the_clients() {
    let envoy = EnvoySetup {
        transport: Transport::Plaintext,
        manager: json!({"forward_client_cert_details": "ALWAYS_FORWARD_ONLY"}),
        ..EnvoySetup::default()
    };
    let settings = json!({"caller": {"xfcc": "append_forward", "xfcc_by": proxy_id()}});
    let stack = Setup { settings, envoy, ..Setup::default() }.start().await;
    let call = Call::get("/").bearer(&stack.token("alice")).header(XFCC, element("planner"));
    let reply = stack.plaintext().send(&call).await;
    assert_eq!((reply.status, stack.decision().await.reason()), (403, "caller_xfcc_unproven"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a13_a_certificate_that_is_no_svid_is_refused() {
    let envoy = EnvoySetup { transport: Transport::ExpiredToo, ..EnvoySetup::default() };
    let stack = Setup { envoy, settings: json!({"caller": {"xfcc": "off"}}), ..Setup::default() }.start().await;
    let planner = || Leaf::svid(&agent_id("planner"));
    let two = Leaf { uris: vec![agent_id("planner"), agent_id("ledger")], ..Leaf::default() };
    let expired = Leaf { begins_in: Duration::hours(-2), ends_in: Duration::hours(-1), ..planner() };
    for (leaf, reason) in [(two, "caller_certificate_profile"), (expired, "caller_certificate_expired")] {
        let identity = stack.mesh.issue(&leaf).unwrap();
        assert_eq!(ask_as(&stack, &identity, &[]).await, refused(reason), "{leaf:?}");
    }
    assert_eq!(ask(&stack, &[]).await, allowed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_ends_at_the_proxy_already() {
    let stack = Setup::default().start().await;
    let expired =
        Leaf { begins_in: Duration::hours(-2), ends_in: Duration::hours(-1), ..Leaf::svid(&agent_id("planner")) };
    let client = stack.client(&stack.mesh.issue(&expired).unwrap());
    assert!(client.try_send(&Call::get("/")).await.is_err());
    assert!(stack.server().records().is_empty());
}
