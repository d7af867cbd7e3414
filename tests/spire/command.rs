//! `countersign identity`, and `/identity` of a running server: what is held and whom is trusted.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value as Json;
use serde_json::json;

use super::super::harness::client::Call;
use super::super::harness::client::Client;
use super::super::harness::eventually;
use super::super::harness::server::Server;
use super::harness::Domains;
use super::harness::Lifetimes;
use super::harness::envoy::COUNTERSIGN;

/// What `countersign identity` prints.
async fn identity(domains: &Domains, format: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    command.args(["identity", "--config", "countersign-0.yaml", "--format", format]).current_dir(domains.dir());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Where the operator on this machine looks, by the log.
fn private_port(server: &Server) -> SocketAddr {
    let output = server.output();
    let mut lines = output.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let listening = lines.find(|line| line["message"] == "listening").unwrap();
    listening["private"].as_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_and_the_running_server_tell_the_same_identity() {
    let domains = Domains::start(Lifetimes::ORDINARY).await;
    let server = domains.countersign(0, &json!({})).await;
    let printed: Json = serde_json::from_str(&identity(&domains, "json").await).unwrap();
    let client = Client::plaintext(private_port(&server));
    let told = eventually("the connection in `/identity`", async || {
        let told: Json = serde_json::from_str(&client.send(&Call::get("/identity")).await.text()).unwrap();
        (told["workload_api"]["connected"] == true).then_some(told)
    })
    .await;
    for document in [&printed, &told] {
        let own = &document["svid"];
        assert_eq!(own["spiffe_id"], COUNTERSIGN, "{document}");
        let left = own["expires_in_seconds"].as_i64().unwrap();
        assert!((1..=60).contains(&left), "{document}");
        let domains = document["trust_domains"].as_array().unwrap();
        let shown = domains.iter().map(|domain| {
            assert_eq!(domain["x509_authorities"]["valid"], 1, "{document}");
            assert_eq!(domain["jwt_authorities"], 1, "{document}");
            (domain["trust_domain"].as_str().unwrap(), domain["origin"].as_str().unwrap())
        });
        let wanted = ["partner.example", "prod.example"].map(|name| (name, "workload_api"));
        assert_eq!(shown.collect::<BTreeSet<_>>(), BTreeSet::from(wanted), "{document}");
    }
    let text = identity(&domains, "text").await;
    for expected in [COUNTERSIGN, "prod.example", "partner.example"] {
        assert!(text.contains(expected), "no `{expected}` in\n{text}");
    }
}
