//! spiffe-helper writes what the agent gives into files, and Countersign lives on them.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::super::harness::child::Child;
use super::super::harness::client::Call;
use super::super::harness::eventually;
use super::super::harness::tool;
use super::harness::Domains;
use super::harness::Lifetimes;
use super::harness::UNVERIFIED;
use super::harness::metric;

/// spiffe-helper, writing into `helper` below the test's folder.
async fn start_helper(domains: &Domains) -> Child {
    let folder = domains.dir().join("helper");
    fs::create_dir(&folder).unwrap();
    let config = format!(
        r#"agent_address = "{}"
cert_dir = "{}"
svid_file_name = "svid.pem"
svid_key_file_name = "svid_key.pem"
svid_bundle_file_name = "svid_bundle.pem"
jwt_bundle_file_name = "jwt_bundle.json"
daemon_mode = true
"#,
        domains.prod.workload_api().display(),
        folder.display()
    );
    fs::write(domains.dir().join("helper.conf"), config).unwrap();
    let mut command = Command::new(tool("SPIFFE_HELPER"));
    let helper = Child::start("spiffe-helper", command.args(["-config", "helper.conf"]), domains.dir());
    eventually("spiffe-helper's files", async || {
        helper.must_run();
        let written = ["svid.pem", "svid_key.pem", "svid_bundle.pem", "jwt_bundle.json"];
        written.iter().all(|name| fs::metadata(folder.join(name)).is_ok_and(|file| file.len() > 0)).then_some(())
    })
    .await;
    helper
}

#[tokio::test(flavor = "multi_thread")]
async fn spiffe_helpers_files_are_read_and_read_again() {
    let domains = Domains::start(Lifetimes::SECONDS).await;
    let helper = start_helper(&domains).await;
    let bundle = ["helper/svid_bundle.pem", "helper/jwt_bundle.json"];
    let spiffe = json!({
        "svid": {"certificate": "helper/svid.pem", "key": "helper/svid_key.pem"},
        "bundles": [{"trust_domain": "prod.example", "files": bundle}],
    });
    let audiences = json!({"caller": {"jwt_svid": {"audiences": ["accounts"]}}});
    let server = domains.countersign_by(0, &spiffe, &audiences).await;
    let envoy = domains.envoy(&[UNVERIFIED], &[], server.checks()).await;
    let expiry = async || metric(&server, "countersign_svid_expiry_timestamp_seconds", &[]).await;
    let ask = async || {
        let planner = domains.prod.x509_svid("/planner").await.unwrap().keyed;
        let token = domains.prod.jwt_svid("/planner", "accounts").await.unwrap();
        let client = domains.client(&envoy, &UNVERIFIED, &planner).await;
        let reply = client.send(&Call::get("/").header("x-spiffe-jwt-svid", token)).await;
        assert_eq!(reply.status, 200, "{reply:?} {:?}", server.records().last());
    };
    ask().await;
    for _ in 0..2 {
        let before = expiry().await;
        eventually("the next certificate", async || (expiry().await > before).then_some(())).await;
        helper.must_run();
        ask().await;
    }
}
