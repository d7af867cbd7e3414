//! Mutual TLS between Envoy and Countersign, and callers that are proven here, with certificates from files.

use std::fs;
use std::process::Command;

use serde_json::Value as Json;
use serde_json::json;

use super::harness::Setup;
use super::harness::Stack;
use super::harness::client::Call;
use super::harness::client::Client;
use super::harness::envoy::EnvoySetup;
use super::harness::envoy::Transport;
use super::harness::eventually;
use super::harness::merged;
use super::load::Load;
use super::load::Probe;
use super::peers::certs::Authority;
use super::peers::certs::Leaf;
use super::peers::certs::TRUST_DOMAIN;
use super::peers::certs::agent_id;
use super::peers::certs::authorizer;
use super::peers::certs::proxy_id;

/// Own certificate and trust from files, as spiffe-helper writes them.
fn spiffe() -> Json {
    json!({"spiffe": {
        "svid": {"certificate": "countersign.pem", "key": "countersign.key"},
        "bundles": [{"trust_domain": TRUST_DOMAIN, "files": ["mesh-ca.pem"]}],
    }})
}

fn for_proxies(allowed: &[String]) -> Json {
    merged(spiffe(), &json!({"listeners": {"tls": {"enabled": true, "allowed_proxies": allowed}}}))
}

async fn over_tls(settings: Json) -> Stack {
    let envoy = EnvoySetup { checks_over_tls: true, ..EnvoySetup::default() };
    Setup { settings, envoy, ..Setup::default() }.start().await
}

async fn status(stack: &Stack) -> u16 {
    stack.agent("planner").send(&Call::get("/").bearer(&stack.token("alice"))).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a19_an_allowed_proxy_asks_over_mutual_tls() {
    for allowed in [proxy_id(), format!("spiffe://{TRUST_DOMAIN}")] {
        let stack = over_tls(for_proxies(&[allowed])).await;
        assert_eq!(status(&stack).await, 200);
        assert_eq!(stack.decision().await.caller(), Some(agent_id("planner").as_str()));
        let plaintext = Client::plaintext(stack.server().checks().parse().unwrap());
        assert!(plaintext.try_send(&Call::get("/")).await.is_err(), "no word without TLS");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a19_a_proxy_that_is_not_allowed_gets_no_connection() {
    let stack = over_tls(for_proxies(&[agent_id("planner")])).await;
    assert_eq!(status(&stack).await, 403, "Envoy's own answer where its authorizer is away");
    assert!(stack.server().records().is_empty());
    assert!(stack.server().metric("countersign_tls_handshakes_total", &["failed"]).await > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_certificates_in_the_files_serve_without_a_lost_request() {
    // A connection's end by age brings the handshakes that meet the new certificate.
    let age = json!({"listeners": {"max_connection_age": "10s"}});
    let stack = over_tls(merged(for_proxies(&[proxy_id()]), &age)).await;
    let call = Call::get("/").bearer(&stack.token("alice"));
    let load = Load::start(
        &stack.agent("planner"),
        vec![Probe {
            call,
            check: |reply| match reply.status {
                200 => Ok(()),
                other => Err(format!("{other}")),
            },
        }],
    );
    load.answers(50).await;
    let serial_before = identity(&stack).await["svid"]["serial"].clone();
    let renewed = stack.mesh.issue(&authorizer()).unwrap();
    renewed.write(stack.dir(), "countersign").unwrap();
    eventually("the renewed certificate", async || {
        Some(identity(&stack).await["svid"]["serial"].clone()).filter(|serial| *serial != serial_before)
    })
    .await;
    let before = stack.envoy.counter("cluster.countersign.upstream_cx_total").await;
    eventually("new connections", async || {
        (stack.envoy.counter("cluster.countersign.upstream_cx_total").await > before).then_some(())
    })
    .await;
    load.answers(50).await;
    load.stop().await;
}

async fn identity(stack: &Stack) -> Json {
    let shown = Client::plaintext(stack.server().private()).send(&Call::get("/identity")).await;
    serde_json::from_str(&shown.text()).unwrap()
}

/// An Envoy that takes any certificate, and a Countersign that verifies them.
async fn verifying(certificates: bool) -> Stack {
    let envoy = EnvoySetup {
        transport: Transport::Unverified,
        manager: json!({"set_current_client_cert_details": {"cert": certificates, "chain": certificates}}),
        filter: json!({"include_peer_certificate": certificates}),
        ..EnvoySetup::default()
    };
    let settings = merged(spiffe(), &json!({"caller": {"verify_peer_certificate": true}}));
    Setup { settings, envoy, ..Setup::default() }.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a16_a17_what_the_proxy_did_not_verify_is_verified_here() {
    let stack = verifying(true).await;
    let (foreign, leaf) = (Authority::new("foreign").unwrap(), Leaf::svid(&agent_id("planner")));
    let elsewhere = Leaf::svid("spiffe://elsewhere.example/planner");
    let call = Call::get("/").bearer(&stack.token("alice"));
    for (identity, status, reason) in [
        (stack.mesh.issue(&leaf).unwrap(), 200, "policy_allowed"),
        (foreign.issue(&leaf).unwrap(), 403, "caller_certificate_untrusted"),
        (stack.mesh.issue(&elsewhere).unwrap(), 403, "caller_trust_domain_unknown"),
    ] {
        // Twice, since a verified certificate is remembered, and a refused one must not be.
        for _ in 0..2 {
            assert_eq!(stack.client(&identity).send(&call).await.status, status, "{reason}");
            assert_eq!(stack.decision().await.reason(), reason);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a16_evidence_without_a_certificate_is_not_enough() {
    let stack = verifying(false).await;
    assert_eq!(status(&stack).await, 403);
    assert_eq!(stack.decision().await.reason(), "caller_certificate_missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_administration_side_over_tls_asks_for_certificates_where_it_tells_more() {
    let admin = json!({"admin": {"tls": {"enabled": true, "allowed_clients": [agent_id("ledger")]}}});
    let stack = over_tls(merged(for_proxies(&[proxy_id()]), &admin)).await;
    let server = stack.server();
    let as_agent = |address, name: &str| {
        let identity = stack.mesh.issue(&Leaf::svid(&agent_id(name))).unwrap();
        Client::with_certificate(address, "localhost", &stack.mesh.pem(), &identity)
    };
    let live = as_agent(server.probes(), "planner").send(&Call::get("/livez")).await;
    assert_eq!((live.status, live.text().as_str()), (200, "live\n"));
    for path in ["/config", "/identity"] {
        assert_eq!(as_agent(server.private(), "ledger").send(&Call::get(path)).await.status, 200, "{path}");
        assert!(as_agent(server.private(), "planner").try_send(&Call::get(path)).await.is_err(), "{path}");
    }
    assert!(Client::plaintext(server.private()).try_send(&Call::get("/config")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_cannot_be_read_to_its_end_holds_up_reloads_alone() {
    let stack = Setup { settings: spiffe(), ..Setup::default() }.start().await;
    let config = stack.dir().join("countersign-0.yaml");
    let authorities = async || identity(&stack).await["trust_domains"][0]["x509_authorities"]["total"].as_u64();
    assert_eq!(authorities().await, Some(1));
    fs::rename(&config, stack.dir().join("kept.yaml")).unwrap();
    // Nobody ever writes to it, so whoever opens it waits.
    assert!(Command::new("mkfifo").arg(&config).status().unwrap().success());
    eventually("the reload's failure", async || {
        let report = stack.server().probe("/readyz").await?.text();
        report.contains("could not be read within").then_some(())
    })
    .await;
    let second = Authority::new("second").unwrap().pem();
    fs::write(stack.dir().join("mesh-ca.pem"), stack.mesh.pem() + &second).unwrap();
    eventually("the new authority", async || authorities().await.filter(|total| *total == 2)).await;
    stack.server().signal("TERM");
    assert_eq!(stack.server().end().await.code(), Some(0));
}
