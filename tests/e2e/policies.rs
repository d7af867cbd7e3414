//! The shipped policies' own tests pass, under Countersign's engine and under OPA's.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use super::harness::tool;

const FOLDERS: [&str; 3] = ["policies", "demo/policy", "demo/oidc/policy"];

fn passes(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?}:\n{said}");
}

#[test]
fn shipped_policies_pass_their_tests_here() {
    let dir = TempDir::new().unwrap();
    let config = dir.path().join("countersign.yaml");
    for folder in FOLDERS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        fs::write(&config, json!({"routes": {"token": "off"}, "policy": {"paths": [folder]}}).to_string()).unwrap();
        passes(Command::new(env!("CARGO_BIN_EXE_countersign")).args(["test", "-c"]).arg(&config));
    }
}

#[test]
fn shipped_policies_pass_their_tests_under_opa() {
    for folder in FOLDERS {
        passes(Command::new(tool("OPA")).args(["test", folder]).current_dir(env!("CARGO_MANIFEST_DIR")));
    }
}
