//! `make demo OIDC=1` does what it shows: every outcome is the expected one, and nothing is left behind.

use std::path::Path;
use std::process::Command;
use std::process::Output;

use tempfile::TempDir;

use super::super::harness::tool;

/// The demo, as `make` runs it once the peers are there, with its temporary files below this folder.
fn demo(scratch: &Path) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("python3");
    command.arg("-B").arg(root.join("tools/demo_oidc.py")).env("TMPDIR", scratch);
    command.env("ENVOY", tool("ENVOY")).env("OIDC_PROVIDER", tool("OIDC_PROVIDER"));
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

#[test]
fn the_demo_with_logins_ends_as_it_says() {
    let scratch = TempDir::new().unwrap();
    let output = demo(scratch.path()).output().unwrap();
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    for part in [
        "LOGIN of alice",
        "LOGIN of bob",
        "answered_resource_metadata",
        "policy_insufficient_scope",
        "policy_step_up",
        "token_revoked",
        "token_inactive",
        "token_dpop_replayed",
        "15 of 15 as expected.",
    ] {
        assert!(said.contains(part), "no `{part}`:\n{said}");
    }
    assert_eq!(scratch.path().read_dir().unwrap().count(), 0, "files are left behind:\n{said}");
}

#[test]
fn the_demo_with_logins_says_what_is_missing() {
    let empty = TempDir::new().unwrap();
    let python = Command::new("python3").args(["-c", "import sys; print(sys.executable, end='')"]).output().unwrap();
    let mut command = Command::new(said(&python));
    command.args(demo(empty.path()).get_args()).env("PATH", empty.path());
    let output = command.env("OIDC_PROVIDER", tool("OIDC_PROVIDER")).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = said(&output);
    assert!(said.contains("there is no `node` here: install it"), "{said}");
}
