use super::*;
use crate::policy::BuiltinErrors;

impl Bundle {
    /// A bundle of files that lie nowhere.
    pub(in crate::policy) fn of(config: &Config, files: &[(&str, &str)]) -> Result<Self, Vec<Problem>> {
        let loaded = files.iter().map(|(path, text)| Loaded::of(path, text));
        Self::assemble(config, loaded.collect())
    }
}

const POLICY: (&str, &str) = ("authz.rego", "package envoy.authz\n\ndefault allow := false\n\nallow if input.ok\n");

fn problems(files: &[(&str, &str)]) -> Vec<String> {
    let problems = Bundle::of(&Config::default(), files).map(drop).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

fn warnings(files: &[(&str, &str)]) -> Vec<String> {
    let bundle = Bundle::of(&Config::default(), files).unwrap();
    bundle.warnings().iter().map(ToString::to_string).collect()
}

#[test]
fn every_problem_is_told_at_once_with_its_place() {
    let found = problems(&[
        ("a.rego", "package a\n\nx := 1 +\n"),
        ("b.rego", "package b\n\ny := data.a.f(1)\nz := http.send({})\n"),
        ("c.json", "{\n  \"a\": \n}"),
        ("d.yaml", "a: [1\n"),
        ("e.json", "[1]"),
    ]);
    let expected = [
        "c.json:3: error: expected value",
        "d.yaml:2: error: ",
        "e.json: error: is no object at its top",
        "a.rego:4: error: expecting expression",
        "b.rego:4: error: `http.send` is refused",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} — {expected}");
    }
}

#[test]
fn h7_a_bundle_without_a_policy_is_none() {
    assert_eq!(problems(&[]).len(), 1);
    assert_eq!(problems(&[("data.json", "{}"), ("a_test.rego", "package a\n\ntest_a := true\n")]).len(), 1);
}

#[test]
fn the_engines_own_analysis_is_a_problem_too() {
    let found = problems(&[("a.rego", "package a\n\nallow if x == 1\n")]);
    assert!(
        matches!(found.as_slice(), [found] if found.starts_with("a.rego:3: error: use of undefined variable")),
        "{found:?}"
    );
}

#[test]
fn modules_are_of_the_configured_version() {
    let v0 = ("old.rego", "package envoy.authz\n\nallow { input.ok }\n");
    assert_eq!(problems(&[v0]).len(), 1);
    Bundle::of(&Config { rego_version: RegoVersion::V0, ..Config::default() }, &[v0]).unwrap();
    Bundle::of(
        &Config { rego_version: RegoVersion::V0, ..Config::default() },
        &[("new.rego", "package a\nimport rego.v1\nallow if input.ok\n")],
    )
    .unwrap();
}

#[test]
fn the_revision_is_of_the_content() {
    let revision = |files: &[(&str, &str)]| Bundle::of(&Config::default(), files).unwrap().revision().to_owned();
    let first = revision(&[POLICY, ("data.json", r#"{"a": 1}"#)]);
    assert_eq!(first.len(), REVISION_DIGITS);
    assert!(first.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(first, revision(&[POLICY, ("data.json", r#"{"a": 1}"#)]));
    assert_ne!(first, revision(&[POLICY, ("data.json", r#"{"a": 2}"#)]));
    assert_ne!(first, revision(&[POLICY, ("other.json", r#"{"a": 1}"#)]));
    assert_ne!(first, revision(&[POLICY]));
    assert_eq!(first, revision(&[POLICY, ("data.json", r#"{"a": 1}"#), ("a_test.rego", "package t\n")]));
}

#[test]
fn what_rarely_is_meant_is_a_warning() {
    assert_eq!(warnings(&[POLICY]), [""; 0]);
    let open = warnings(&[("a.rego", "package envoy.authz\n\ndefault allow := true\n")]);
    assert!(
        open[0].starts_with("a.rego:3: warning: `data.envoy.authz.allow` is true where nothing else is said"),
        "{open:?}"
    );
}

#[test]
fn a_bundle_knows_what_it_defines() {
    let files = [
        ("a.rego", "package a.b\n\nallow := true\n\nnested := {\"x.y\": [true]}\n"),
        ("d/data.json", r#"{"allow": true, "list": [true]}"#),
    ];
    let bundle = Bundle::of(&Config::default(), &files).unwrap();
    for defined in ["a/b/allow", "/a//b/allow/", "a/b", "a", "", "a/b/nested/x.y/0", "d/allow", "d/list/0", "d"] {
        assert!(bundle.defines(defined), "{defined}");
    }
    for missing in ["a/c", "a/b/alow", "b", "d/other", "d/list/1", "0"] {
        assert!(!bundle.defines(missing), "{missing}");
    }
}

#[test]
fn each_instance_is_its_own() {
    let bundle =
        Bundle::of(&Config { builtin_errors: BuiltinErrors::Undefined, ..Config::default() }, &[POLICY]).unwrap();
    let instances: Vec<_> = (0..2).map(|_| bundle.instance().unwrap()).collect();
    assert_eq!(instances.iter().map(Instance::panics).sum::<u64>(), 0);
    std::thread::scope(|scope| drop(scope.spawn(move || instances.len())));
}
