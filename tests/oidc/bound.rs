//! Tokens that Keycloak bound to the certificate of the connection that asked for them (RFC 8705 §3).

use serde_json::json;

use super::super::harness::Setup;
use super::super::harness::client::thumbprint;
use super::super::harness::envoy::EnvoySetup;
use super::super::harness::envoy::Transport;
use super::super::peers::certs::Leaf;
use super::super::peers::certs::TRUST_DOMAIN;
use super::super::peers::certs::agent_id;
use super::harness::keycloak::Realm;
use super::harness::outcome_for;
use super::harness::parts;
use super::harness::realm::AGENT;
use super::harness::realm::BOUND;
use super::harness::text;
use super::harness::wanted;

#[tokio::test(flavor = "multi_thread")]
async fn d24_a_token_bound_by_the_issuer_is_good_for_its_certificate_alone() {
    let realm = Realm::new("bound").await;
    let keycloak = realm.keycloak();
    let bundles = json!([{"trust_domain": TRUST_DOMAIN, "files": [keycloak.mesh_ca()]}]);
    let stack = Setup {
        issuer: realm.issuer(&json!(null)),
        // The agents' authority is Keycloak's: it is Countersign that verifies their certificates.
        settings: json!({"spiffe": {"bundles": bundles}, "caller": {"verify_peer_certificate": true}}),
        envoy: EnvoySetup { transport: Transport::Unverified, ..EnvoySetup::default() },
        ..Setup::default()
    }
    .start()
    .await;
    let issue = |name| keycloak.mesh.issue(&Leaf::svid(&agent_id(name))).unwrap();
    let (own, renewed, others) = (issue("planner"), issue("planner"), issue("ledger"));
    let login = realm.login_by(&keycloak.client(&own), BOUND, "alice").await;
    let bound = text(&login, "access_token");
    assert_eq!(parts(&bound)[1]["cnf"]["x5t#S256"], thumbprint(&own));
    let unbound = realm.access_token(AGENT, "alice").await;
    for (what, identity, token, expected) in [
        ("its own", &own, &bound, wanted(200, "policy_allowed")),
        ("the same workload's next", &renewed, &bound, wanted(401, "token_confirmation")),
        ("another workload's", &others, &bound, wanted(401, "token_confirmation")),
        ("bound to none", &others, &unbound, wanted(200, "policy_allowed")),
    ] {
        assert_eq!(outcome_for(&stack, &stack.client(identity), token).await, expected, "{what}");
    }
}
