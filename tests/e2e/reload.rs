//! A new policy under load: each request is decided by exactly one revision, and a broken one changes nothing.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value as Json;
use serde_json::json;

use super::harness::Setup;
use super::harness::Stack;
use super::harness::client::Call;
use super::harness::client::Reply;
use super::harness::eventually;
use super::harness::write_policy;
use super::load::Load;
use super::load::Probe;

/// Says in every answer which version of the policy and of the data decided. `/odd` is open in odd versions alone.
fn policy(version: u64) -> String {
    let odd = version % 2 == 1;
    format!(
        r#"package envoy.authz

open := {{"/odd": {odd}, "/even": {even}}}

versions := {{"x-policy": "{version}", "x-data": sprintf("%d", [data.version])}}

allow := {{"allowed": true, "response_headers_to_add": versions}} if open[input.http.path]

allow := {{"allowed": false, "headers": versions}} if not open[input.http.path]
"#,
        even = !odd
    )
}

fn data(version: u64) -> Json {
    json!({"version": version})
}

fn version(reply: &Reply) -> u64 {
    reply.header("x-policy").join(",").parse().unwrap_or_else(|_| panic!("no version: {reply:?}"))
}

fn decided_by_one_revision(reply: &Reply, open_when: u64) -> Result<(), String> {
    let version = version(reply);
    let status = if version % 2 == open_when { 200 } else { 403 };
    if reply.header("x-data") != [version.to_string()] {
        return Err("policy and data are of two revisions".to_owned());
    }
    if reply.status == status { Ok(()) } else { Err(format!("version {version} says {status}")) }
}

fn load(stack: &Stack) -> Load {
    let token = stack.token("alice");
    Load::start(
        &stack.agent("planner"),
        vec![
            Probe { call: Call::get("/odd").bearer(&token), check: |reply| decided_by_one_revision(reply, 1) },
            Probe { call: Call::get("/even").bearer(&token), check: |reply| decided_by_one_revision(reply, 0) },
        ],
    )
}

async fn start(first: u64) -> Stack {
    let stack = Setup { data: data(first), ..Setup::default() }.start().await;
    write_policy(&stack.policy_dir(), &policy(first), &data(first));
    stack.server().signal("HUP");
    served(&stack, first).await;
    stack
}

/// Waits until a request is decided by this version.
async fn served(stack: &Stack, wanted: u64) {
    let call = Call::get("/odd").bearer(&stack.token("alice"));
    let client = stack.agent("planner");
    eventually("the new version", async || {
        let reply = client.send(&call).await;
        (reply.header("x-policy") == [wanted.to_string()]).then_some(())
    })
    .await;
}

/// The record of each allowed answer has a revision that decided by that answer's version alone.
async fn one_revision_each(stack: &Stack, replies: &[Reply]) {
    let allowed = replies.iter().filter(|reply| reply.status == 200);
    let decided: Vec<(String, u64)> =
        allowed.map(|reply| (reply.seen().header("x-countersign-decision-id")[0].to_owned(), version(reply))).collect();
    let revision_of = eventually("all records", async || {
        let records = stack.server().records();
        let revision_of: BTreeMap<String, String> =
            records.iter().map(|record| (record.decision_id().to_owned(), record.revision().to_owned())).collect();
        decided.iter().all(|(decision_id, _)| revision_of.contains_key(decision_id)).then_some(revision_of)
    })
    .await;
    let pairs: BTreeSet<(u64, &str)> =
        decided.iter().map(|(decision_id, version)| (*version, revision_of[decision_id].as_str())).collect();
    let versions: BTreeSet<_> = pairs.iter().map(|(version, _)| version).collect();
    let revisions: BTreeSet<_> = pairs.iter().map(|(_, revision)| revision).collect();
    assert!(versions.len() > 1, "one version only: {pairs:?}");
    assert_eq!((versions.len(), revisions.len()), (pairs.len(), pairs.len()), "{pairs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn h8_sighup_under_load_fails_and_mixes_nothing() {
    let stack = start(1).await;
    let load = load(&stack);
    load.answers(100).await;
    for version in 2..=4 {
        // Written aside and moved, as an editor does: the program also watches the folder and may see each state.
        let aside = stack.policy_dir().with_extension("aside");
        write_policy(&aside, &policy(version), &data(version));
        replace_both(&aside, &stack.policy_dir());
        stack.server().signal("HUP");
        served(&stack, version).await;
        load.answers(100).await;
    }
    one_revision_each(&stack, &load.stop().await).await;
}

/// Puts another folder in the place of this one. Between the two steps there is none: a reload then fails and the
/// last good revision goes on.
fn replace_both(aside: &Path, dir: &Path) {
    let old = dir.with_extension("old");
    fs::rename(dir, &old).unwrap();
    fs::rename(aside, dir).unwrap();
    fs::remove_dir_all(old).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn h8_a_config_maps_symlink_swap_is_noticed_by_itself() {
    let stack = start(1).await;
    let dir = stack.policy_dir();
    // What the kubelet makes of a ConfigMap: names → `..data` → a folder with the time in its name.
    for name in ["authz.rego", "data.json"] {
        fs::remove_file(dir.join(name)).unwrap();
    }
    swap(&dir, 1);
    for name in ["authz.rego", "data.json"] {
        symlink(Path::new("..data").join(name), dir.join(name)).unwrap();
    }
    stack.server().signal("HUP");
    served(&stack, 1).await;

    let load = load(&stack);
    load.answers(100).await;
    for version in 2..=4 {
        swap(&dir, version);
        served(&stack, version).await;
        load.answers(100).await;
    }
    one_revision_each(&stack, &load.stop().await).await;
}

/// The kubelet's order: the new folder, then the link by renaming, then the old folder away.
fn swap(dir: &Path, version: u64) {
    let (name, link) = (format!("..2026_01_01_00_00_0{version}.1"), dir.join("..data"));
    write_policy(&dir.join(&name), &policy(version), &data(version));
    let old = fs::read_link(&link).ok();
    symlink(&name, dir.join("..data_tmp")).unwrap();
    fs::rename(dir.join("..data_tmp"), &link).unwrap();
    if let Some(old) = old {
        fs::remove_dir_all(dir.join(old)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_policy_keeps_the_last_good_one() {
    let stack = start(1).await;
    let load = load(&stack);
    let rego = stack.policy_dir().join("authz.rego");
    for (number, broken) in ["package envoy.authz\n\nallow if {", "allow := true", ""].iter().enumerate() {
        let failed = failed_reloads(&stack).await;
        fs::write(&rego, broken).unwrap();
        stack.server().signal("HUP");
        eventually("the failed reload in the metrics", async || (failed_reloads(&stack).await > failed).then_some(()))
            .await;
        load.answers(50).await;
        let ready = stack.server().probe("/readyz").await.unwrap();
        assert_eq!(ready.status, 200, "trouble is no reason to leave the service: {number}");
    }
    write_policy(&stack.policy_dir(), &policy(2), &data(2));
    stack.server().signal("HUP");
    served(&stack, 2).await;
    let versions: BTreeSet<_> = load.stop().await.iter().map(version).collect();
    assert_eq!(versions, BTreeSet::from([1, 2]));
}

async fn failed_reloads(stack: &Stack) -> f64 {
    stack.server().metric("countersign_reloads_total", &[r#"outcome="failed""#]).await
}
