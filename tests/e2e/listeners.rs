//! How proxies reach Countersign: a Unix socket, and connections that are closed for their age.

use std::os::unix::net::UnixListener;

use serde_json::json;
use tempfile::TempDir;

use super::harness::Setup;
use super::harness::client::Call;
use super::harness::client::Reply;
use super::harness::eventually;
use super::load::Load;
use super::load::Probe;

/// Envoy's count of the connections that it has opened to Countersign.
const CONNECTIONS: &str = "cluster.countersign.upstream_cx_total";

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_serves_and_one_left_behind_does_not_stand_in_the_way() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("checks.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a dropped listener leaves its file, as a killed process does");

    let settings = json!({"listeners": {"checks": [format!("unix://{}", path.display())]}});
    let stack = Setup { settings, ..Setup::default() }.start().await;
    let reply = stack.agent("planner").send(&Call::get("/").bearer(&stack.token("alice"))).await;
    assert_eq!(reply.seen().header("x-countersign-user"), ["alice"]);

    stack.server().signal("TERM");
    assert_eq!(stack.server().end().await.code(), Some(0));
    assert!(!path.exists(), "the socket's file goes with the process");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_closed_for_its_age_loses_no_request() {
    let settings = json!({"listeners": {"max_connection_age": "10s"}});
    let stack = Setup { settings, ..Setup::default() }.start().await;
    let call = Call::get("/").bearer(&stack.token("alice"));
    let check: fn(&Reply) -> Result<(), String> =
        |reply| if reply.status == 200 { Ok(()) } else { Err("not allowed".to_owned()) };
    let load = Load::start(&stack.agent("planner"), vec![Probe { call, check }]);
    load.answers(100).await;

    let before = stack.envoy.counter(CONNECTIONS).await;
    eventually("new connections", async || (stack.envoy.counter(CONNECTIONS).await > before).then_some(())).await;
    load.answers(100).await;
    load.stop().await;
}
