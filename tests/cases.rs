//! The project's own request cases, through the built program as a user runs them.

#![cfg(test)]

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;

use serde_json::json;

/// Fewer than this, and something has stopped being found.
const AT_LEAST: usize = 100;

fn run_cases(config: &Path, cases: &Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let Output { status, stdout, stderr } =
        command.args(["test", "-c"]).arg(config).arg("--cases").arg(cases).output().unwrap();
    let text = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (status.code(), text)
}

fn cases_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = entries.filter(|path| path.is_dir()).flat_map(|path| cases_in(&path)).collect();
    if folder.join("want.json").exists() {
        cases.push(folder.to_owned());
    }
    cases
}

#[test]
fn every_case_gets_the_answer_it_wants() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let count = cases_in(&cases).len();
    assert!(count >= AT_LEAST, "only {count} cases");
    let (code, text) = run_cases(&cases.join("policy/config.yaml"), &cases);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.ends_with(&format!("{count} passed, 0 failed\n")), "{text}");
}

#[test]
fn a_case_that_wants_something_else_fails_and_says_what() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("config.yaml", "routes: {caller: optional, token: off}\npolicy: {paths: [policy.rego], time_limit: 2s}\n");
    write("policy.rego", "package envoy.authz\n\nallow := true\n");
    for (name, want) in
        [("right", json!({"decision": "allow"})), ("wrong", json!({"decision": "deny", "http_status": 403}))]
    {
        fs::create_dir(folder.path().join(name)).unwrap();
        let request = json!({"attributes": {"request": {"http": {"method": "GET", "path": "/"}}}});
        write(&format!("{name}/request.json"), &request.to_string());
        write(&format!("{name}/want.json"), &want.to_string());
    }
    let (code, text) = run_cases(&folder.path().join("config.yaml"), folder.path());
    assert_eq!(code, Some(1), "{text}");
    let wanted = "wrong: FAIL\n    /decision: want \"deny\", got \"allow\"\n    /http_status: want 403, got null\n1 passed, 1 failed\n";
    assert!(text.ends_with(wanted), "{text}");
}

#[test]
fn a_case_that_cannot_be_read_fails() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("config.yaml", "routes: {caller: optional, token: off}\npolicy: {paths: [policy.rego]}\n");
    write("policy.rego", "package envoy.authz\n\nallow := true\n");
    for (request, want, wanted) in [
        ("{", "{}", "request.json: "),
        (r#"{"attributs": {}}"#, "{}", "request.json: "),
        ("{}", "[]", "want.json: "),
        ("{}", r#"{"now": "today"}"#, "want.json: now: "),
    ] {
        write("request.json", request);
        write("want.json", want);
        let (code, text) = run_cases(&folder.path().join("config.yaml"), folder.path());
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(wanted), "{text}");
    }
}
