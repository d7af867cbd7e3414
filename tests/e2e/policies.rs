//! The shipped policies' own tests pass, under Countersign's engine and under OPA's.

use std::ffi::OsStr;
use std::process::Command;

use super::harness::tool;

fn passes(program: &OsStr, folder: &str) {
    let output = Command::new(program).args(["test", folder]).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{program:?} test {folder}:\n{}", String::from_utf8_lossy(&said));
}

#[test]
fn shipped_policies_pass_their_tests_here() {
    for folder in ["policies", "demo/policy"] {
        passes(OsStr::new(env!("CARGO_BIN_EXE_countersign")), folder);
    }
}

#[test]
fn shipped_policies_pass_their_tests_under_opa() {
    for folder in ["policies", "demo/policy"] {
        passes(&tool("OPA"), folder);
    }
}
