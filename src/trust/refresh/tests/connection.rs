//! Whether the Workload API is connected, when its streams do not agree.

use super::agent::Agent;
use super::agent::Does;
use super::agent::JWT_BUNDLES;
use super::agent::X509_SVID;
use super::agent::jwt_bundles;
use super::agent::svid;
use super::agent::svids;
use super::issue::Authority;
use super::issue::jwk;
use super::kept::Kept;
use crate::trust::Config;

#[tokio::test]
async fn i7_jwt_alone_is_no_connection() {
    let (mut agent, own) = (Agent::new(), Authority::new("prod.example"));
    let issued = own.svid("/countersign");
    agent.tell(X509_SVID, svids(&[svid(&own, "/countersign", &issued)], &[]));
    agent.tell(JWT_BUNDLES, jwt_bundles(&[("prod.example", vec![jwk("one")])]));
    agent.start();
    let kept = Kept::start(Config { workload_api: Some(agent.address()), ..Config::default() });
    let is_connected = |kept: &Kept| kept.status().workload_api.unwrap().connected;
    kept.until("connected", is_connected).await;
    // As an agent that lets everybody verify (`allow_unauthenticated_verifiers`), and no longer knows this workload.
    agent.stop().await;
    agent.tell(X509_SVID, Does::Waits);
    agent.tell(JWT_BUNDLES, jwt_bundles(&[("prod.example", vec![jwk("one"), jwk("two")])]));
    kept.until("the end", |kept| !is_connected(kept)).await;
    agent.start();
    let keys = |kept: &Kept| kept.held(&own.domain).unwrap().bundle.jwt_authorities().usable();
    kept.until("newer keys", |kept| keys(kept) == 2).await;
    let silent = |kept: &Kept| {
        assert!(!is_connected(kept), "without an own certificate");
        kept.status().workload_api.unwrap().last_error.is_some_and(|error| error.contains("did not answer"))
    };
    kept.until("given up", silent).await;
}
