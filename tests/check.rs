//! `countersign check`, as a user runs it: what cannot work is told before it is in force.

#![cfg(test)]

use std::fs;
use std::process::Command;

/// Exit code and stderr for a policy with this body.
fn check(rules: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.yaml"), "policy: {paths: [policy.rego]}\nroutes: {token: off}\n").unwrap();
    fs::write(folder.path().join("policy.rego"), format!("package envoy.authz\n\n{rules}\n")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
    let output = command.arg("check").arg("-c").arg(folder.path().join("config.yaml")).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn h6_functions_that_look_outside_are_refused_at_load() {
    for (name, call) in [
        ("http.send", r#"http.send({"method": "GET", "url": "http://169.254.169.254/"}).status_code == 200"#),
        ("net.lookup_ip_addr", r#"count(net.lookup_ip_addr("idp.example")) > 0"#),
        ("opa.runtime", "opa.runtime().env.HOME"),
    ] {
        for rules in [format!("allow if {call}"), format!("allow if f(1)\n\nf(x) if {{\n\tx == 1\n\t{call}\n}}")] {
            let (code, text) = check(&rules);
            assert_eq!(code, Some(2), "{rules}: {text}");
            assert!(text.contains(&format!("`{name}` is refused")) && text.contains("policy.rego:"), "{text}");
        }
    }
    let (code, text) = check("allow if {\n\ttime.now_ns() > 0\n\trand.intn(\"a\", 2) < 2\n}");
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn every_problem_is_told_at_once() {
    let (code, text) = check("allow if {\n\tio.jwt.decode(\"x\")\n\tre_match(\"a\", \"b\")\n\tno.such(1)\n}");
    assert_eq!(code, Some(2), "{text}");
    for part in ["`io.jwt.decode`", "`re_match` is deprecated", "`no.such`"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn revocation_files_that_are_not_understood_are_told_with_everything_else() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let config = "policy: {paths: [policy.rego]}\nroutes: {token: off}\nrevocations: [good.json, bad.json]\n";
    fs::write(root.join("config.yaml"), config).unwrap();
    fs::write(root.join("good.json"), r#"{"issuer": "https://idp.example", "jti": ["a"]}"#).unwrap();
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        let output = command.arg("check").arg("-c").arg(root.join("config.yaml")).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    fs::write(root.join("policy.rego"), "package envoy.authz\n\nallow if no.such(1)\n").unwrap();
    fs::write(root.join("bad.json"), r#"{"issuer": "https://idp.example", "jit": ["a"]}"#).unwrap();
    let (code, told) = check();
    assert_eq!(code, Some(2), "{told}");
    for part in ["config.yaml: error: revocations[1]", "bad.json`: entry 0 has a member other than", "no.such"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    fs::write(root.join("policy.rego"), "package envoy.authz\n\nallow := false\n").unwrap();
    fs::write(root.join("bad.json"), "[]").unwrap();
    let (code, told) = check();
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("config.yaml: warning: revocations[0]") && told.contains("is not configured"), "{told}");
}

#[test]
fn l17_a_secret_of_nonces_that_is_none_is_told_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let dpop = "dpop: {targets: ['https://a'], nonce: true, nonce_secret_file: nonce.secret}\n";
    fs::write(root.join("config.yaml"), format!("policy: {{paths: [policy.rego]}}\nroutes: {{token: off}}\n{dpop}"))
        .unwrap();
    fs::write(root.join("policy.rego"), "package envoy.authz\n\nallow := false\n").unwrap();
    for (content, wanted, told) in [
        (None, 2, "dpop.nonce_secret_file: `nonce.secret` does not exist"),
        (Some("c4n4ry\n".to_owned()), 2, "nonce.secret`: holds 6 bytes, and a secret has at least 32"),
        (Some("c4n4ry".repeat(1000)), 2, "the document has more than 4096 bytes"),
        (Some("c4n4ry".repeat(6)), 0, ""),
    ] {
        if let Some(content) = content {
            fs::write(root.join("nonce.secret"), content).unwrap();
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        let output = command.arg("check").arg("-c").arg(root.join("config.yaml")).output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(wanted), "{text}");
        assert!(text.contains(told) && !text.contains("c4n4ry"), "{told}: {text}");
    }
}

#[test]
fn key_files_that_can_never_work_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("policy.rego"), "package envoy.authz\n\nallow := false\n").unwrap();
    let issuer = "issuer: https://idp.example, algorithms: [ES256], audiences: [a]";
    for (keys, text, wanted) in [
        ("file: keys.json", "nope", "is no JSON object"),
        ("file: keys.json", "{\"keys\": []}", "has no key that could be used"),
        ("file: keys.json", "{\"keys\": [{\"kty\": \"oct\", \"k\": \"AAAA\"}]}", "has no key that could be used"),
        ("discovery: true, ca_file: keys.json", "nope", "holds no PEM certificates"),
    ] {
        let config = format!("issuers: [{{{issuer}, keys: {{{keys}}}}}]\npolicy: {{paths: [policy.rego]}}\n");
        fs::write(root.join("config.yaml"), config).unwrap();
        fs::write(root.join("keys.json"), text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_countersign"));
        let output = command.arg("check").arg("-c").arg(root.join("config.yaml")).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{keys}: {text}: {told}");
        assert!(told.contains(wanted) && told.contains("issuers[0].keys"), "{keys}: {text}: {told}");
    }
}
