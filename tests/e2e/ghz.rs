//! The field's own load tool, which knows the service by reflection alone.

use std::process::Command;

use serde_json::Value as Json;
use serde_json::json;

use super::harness::Setup;
use super::harness::tool;
use super::peers::certs::agent_id;

const REQUESTS: u64 = 500;

#[tokio::test(flavor = "multi_thread")]
async fn ghz_asks_by_reflection_and_every_call_is_answered() {
    let settings = json!({"listeners": {"reflection": true}, "caller": {"certificate": false, "xfcc": "off"}});
    let stack = Setup { settings, ..Setup::default() }.start().await;
    let request = json!({"attributes": {
        "source": {"principal": agent_id("planner")},
        "request": {"http": {
            "method": "GET",
            "path": "/accounts/42",
            "host": "accounts",
            "scheme": "https",
            "headers": {"authorization": format!("Bearer {}", stack.token("alice"))},
        }},
    }});
    let output = Command::new(tool("GHZ"))
        .args(["--insecure", "--call", "envoy.service.auth.v3.Authorization/Check", "--format", "json"])
        .args(["--total", &REQUESTS.to_string(), "--concurrency", "10", "--data", &request.to_string()])
        .arg(stack.server().checks())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["statusCodeDistribution"], json!({"OK": REQUESTS}), "{report}");

    let records = stack.server().records();
    assert!(records.iter().all(|record| record.reason() == "policy_allowed"), "{:?}", records.first());
}

#[tokio::test(flavor = "multi_thread")]
async fn j9_reflection_is_off_by_default() {
    let stack = Setup::default().start().await;
    let output = Command::new(tool("GHZ"))
        .args(["--insecure", "--call", "envoy.service.auth.v3.Authorization/Check", "--total", "1"])
        .arg(stack.server().checks())
        .output()
        .unwrap();
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(stack.server().records().is_empty());
}
