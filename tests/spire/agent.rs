//! The agent goes away and comes back.

use serde_json::Value as Json;
use serde_json::json;

use super::super::harness::client::Call;
use super::super::harness::eventually;
use super::harness::Domains;
use super::harness::Lifetimes;
use super::harness::MESH;
use super::harness::metric;

#[tokio::test(flavor = "multi_thread")]
async fn i7_without_its_agent_countersign_serves_with_what_it_holds() {
    let mut domains = Domains::start(Lifetimes::ORDINARY).await;
    let server = domains.countersign(0, &json!({})).await;
    let envoy = domains.envoy(&[MESH], &[], server.checks()).await;
    let svids =
        [domains.prod.x509_svid("/planner").await.unwrap(), domains.partner.x509_svid("/seller").await.unwrap()];
    let clients =
        [domains.client(&envoy, &MESH, &svids[0].keyed).await, domains.client(&envoy, &MESH, &svids[1].keyed).await];
    let all_allowed = async || {
        for client in &clients {
            assert_eq!(client.send(&Call::get("/offers/1")).await.status, 200);
            let record = server.next_record().await;
            assert_eq!(record.0["countersign"]["caller"]["proof"], "verified_certificate", "{record:?}");
        }
    };
    let connected = async || metric(&server, "countersign_workload_api_connected", &[]).await;
    let troubles = async || {
        let reply = server.probe("/readyz").await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        serde_json::from_str::<Json>(&reply.text()).unwrap()["trust_troubles"].to_string()
    };
    let expiry = async || metric(&server, "countersign_svid_expiry_timestamp_seconds", &[]).await;

    all_allowed().await;
    assert_eq!(connected().await, 1);
    eventually("no trouble", async || (troubles().await == "[]").then_some(())).await;
    let first_expiry = expiry().await;

    domains.prod.stop_agent();
    eventually("the news of the agent's end", async || (connected().await == 0).then_some(())).await;
    eventually("the trouble", async || troubles().await.contains("Workload API").then_some(())).await;
    all_allowed().await;

    domains.prod.start_agent().await.unwrap();
    eventually("the agent", async || (connected().await == 1).then_some(())).await;
    eventually("a new certificate", async || (expiry().await > first_expiry).then_some(())).await;
    eventually("the end of the trouble", async || (troubles().await == "[]").then_some(())).await;
    all_allowed().await;
}
