//! What routes and issuers ask tokens to be bound to, and Keycloak's tokens that are bound to a key, a certificate, or both.

use serde_json::json;

use super::super::harness::Setup;
use super::super::harness::Stack;
use super::super::harness::client::Call;
use super::super::harness::client::Client;
use super::super::harness::client::thumbprint;
use super::super::harness::envoy::EnvoySetup;
use super::super::harness::envoy::Transport;
use super::super::harness::merged;
use super::super::peers::certs::Keyed;
use super::super::peers::certs::Leaf;
use super::super::peers::certs::TRUST_DOMAIN;
use super::super::peers::certs::agent_id;
use super::dpop::proof_for;
use super::dpop::proven;
use super::dpop::settings;
use super::harness::keycloak::Realm;
use super::harness::light::ACCOUNTS;
use super::harness::light::Provider;
use super::harness::outcome_of;
use super::harness::parts;
use super::harness::proof::ProofKey;
use super::harness::realm::AGENT;
use super::harness::realm::BOUND;
use super::harness::realm::PROVING;
use super::harness::text;
use super::harness::wanted;

/// Paths, and what their routes ask for.
const ANY: &str = "/accounts/1";
const EITHER: &str = "/either/1";
const BY_KEY: &str = "/key/1";
const BY_CERTIFICATE: &str = "/certificate/1";

/// A workload of Keycloak's mesh that has a key for proofs beside its certificate.
struct Agent {
    realm: Realm,
    identity: Keyed,
    key: ProofKey,
}

impl Agent {
    fn of(realm: Realm) -> Self {
        let identity = realm.keycloak().mesh.issue(&Leaf::svid(&agent_id("planner"))).unwrap();
        Self { realm, identity, key: ProofKey::new() }
    }

    /// Before an issuer that asks for this.
    async fn before(&self, proof_of_possession: &str) -> Stack {
        let bundles = json!([{"trust_domain": TRUST_DOMAIN, "files": [self.realm.keycloak().mesh_ca()]}]);
        let verify = json!({"spiffe": {"bundles": bundles}, "caller": {"verify_peer_certificate": true}});
        let route = |prefix, proof: &str| (prefix, json!({"countersign.proof": proof}));
        let routes = vec![route("/either", "required"), route("/key", "dpop"), route("/certificate", "certificate")];
        Setup {
            issuer: self.realm.issuer(&json!({"proof_of_possession": proof_of_possession})),
            settings: merged(settings(&json!(null)), &verify),
            envoy: EnvoySetup { transport: Transport::Unverified, routes, ..EnvoySetup::default() },
            ..Setup::default()
        }
        .start()
        .await
    }

    /// A token of this client, over a connection with the certificate, asked for with a proof if it is to be bound to the key.
    async fn token(&self, client_id: &str) -> String {
        let connection = self.realm.keycloak().client(&self.identity);
        let login = match client_id {
            PROVING => self.realm.login_with(&self.key, &connection, client_id, "alice").await,
            _ => self.realm.login_by(&connection, client_id, "alice").await,
        };
        text(&login, "access_token")
    }

    /// What becomes of a token, with all the proof that there is.
    async fn outcome(&self, stack: &Stack, client: &Client, path: &str, token: &str) -> (u16, String) {
        let call = if parts(token)[1]["cnf"]["jkt"].is_null() {
            Call::get(path).bearer(token)
        } else {
            proven(Call::get(path), token, &[&proof_for(path, &self.key, token)])
        };
        outcome_of(stack, client, &call).await
    }

    /// Fails where a token of a client is let in on other paths than these.
    async fn is_let_in(&self, stack: &Stack, table: &[(&str, &[&str])]) {
        let client = stack.client(&self.identity);
        for (client_id, good_on) in table {
            let token = self.token(client_id).await;
            for path in [ANY, EITHER, BY_KEY, BY_CERTIFICATE] {
                let good = good_on.contains(&path);
                let expected = if good { wanted(200, "policy_allowed") } else { wanted(401, "token_confirmation") };
                assert_eq!(self.outcome(stack, &client, path, &token).await, expected, "{client_id} on {path}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d24_a_route_asks_for_a_binding_and_an_issuer_for_another() {
    let agent = Agent::of(Realm::new("possession").await);
    let stack = agent.before("optional").await;
    agent
        .is_let_in(
            &stack,
            &[(AGENT, &[ANY]), (PROVING, &[ANY, EITHER, BY_KEY]), (BOUND, &[ANY, EITHER, BY_CERTIFICATE])],
        )
        .await;
    let stack = agent.before("dpop").await;
    agent.is_let_in(&stack, &[(AGENT, &[]), (PROVING, &[ANY, EITHER, BY_KEY]), (BOUND, &[])]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d24_a_token_that_is_bound_twice_is_proven_twice() {
    let provider = Provider::start().await;
    let stack = Setup { issuer: provider.issuer(&json!(null)), settings: settings(&json!(null)), ..Setup::default() };
    let stack = stack.start().await;
    let issue = || stack.mesh.issue(&Leaf::svid(&agent_id("planner"))).unwrap();
    let (own, renewed, key, stranger) = (issue(), issue(), ProofKey::new(), ProofKey::new());
    let token = provider.bound_token(ACCOUNTS, &own, &key).await;
    assert_eq!(parts(&token)[1]["cnf"], json!({"jkt": key.thumbprint(), "x5t#S256": thumbprint(&own)}));
    let by = |key| proven(Call::get(ANY), &token, &[&proof_for(ANY, key, &token)]);
    for (what, identity, call, expected) in [
        ("both", &own, by(&key), wanted(200, "policy_allowed")),
        ("the certificate alone", &own, Call::get(ANY).bearer(&token), wanted(401, "token_confirmation")),
        ("the certificate and another key", &own, by(&stranger), wanted(401, "token_dpop_invalid")),
        ("the key alone", &renewed, by(&key), wanted(401, "token_confirmation")),
    ] {
        assert_eq!(outcome_of(&stack, &stack.client(identity), &call).await, expected, "{what}");
    }
}
