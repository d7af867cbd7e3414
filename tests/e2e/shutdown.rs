//! SIGTERM: with a second instance beside it, no request fails and none is decided wrongly.

use super::harness::Setup;
use super::harness::client::Call;
use super::harness::client::Reply;
use super::load::Load;
use super::load::Probe;

const POLICY: &str = r#"package envoy.authz

default allow := false

allow if input.http.path == "/open"
"#;

fn status(reply: &Reply, wanted: u16) -> Result<(), String> {
    if reply.status == wanted { Ok(()) } else { Err(format!("not {wanted}")) }
}

#[tokio::test(flavor = "multi_thread")]
async fn j7_an_instance_ends_under_load_and_nobody_notices() {
    let stack = Setup { policy: POLICY, servers: 2, ..Setup::default() }.start().await;
    let token = stack.token("alice");
    let load = Load::start(
        &stack.agent("planner"),
        vec![
            Probe { call: Call::get("/open").bearer(&token), check: |reply| status(reply, 200) },
            Probe { call: Call::get("/closed").bearer(&token), check: |reply| status(reply, 403) },
            Probe { call: Call::get("/open"), check: |reply| status(reply, 401) },
        ],
    );
    load.answers(300).await;
    let [leaving, staying] = &stack.servers[..] else { panic!("two were asked for") };
    leaving.signal("TERM");
    let ended = leaving.end().await;
    load.answers(300).await;
    let replies = load.stop().await;

    assert_eq!(ended.code(), Some(0), "{ended}");
    let left = leaving.records().len();
    let stayed = staying.records_of(replies.len().saturating_sub(left)).await.len();
    assert!(left > 50 && stayed > 300, "both took part: {left}, {stayed}");
    assert_eq!(left.saturating_add(stayed), replies.len(), "exactly one record a request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_instance_ends_cleanly_too() {
    let stack = Setup::default().start().await;
    stack.server().signal("TERM");
    assert_eq!(stack.server().end().await.code(), Some(0));
}
