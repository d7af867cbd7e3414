use super::*;
use crate::policy::Bundle;
use crate::policy::Config;

fn merged(files: &[(&str, &str)]) -> Result<Value, Vec<String>> {
    let files: Vec<_> = files.iter().map(|(path, text)| Loaded::of(path, text)).collect();
    merge(&files).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn json(text: &str) -> Value {
    Value::from_json_str(text).unwrap()
}

#[test]
fn data_has_its_root_where_its_directory_says() {
    let data = merged(&[
        ("data.json", r#"{"a": 1}"#),
        ("any-name.yaml", "b: {c: 2}"),
        ("roles/data.json", r#"{"admin": ["x"]}"#),
        ("roles/deep/list.json", "[1, 2]"),
    ]);
    assert_eq!(data.unwrap(), json(r#"{"a": 1, "b": {"c": 2}, "roles": {"admin": ["x"], "deep": [1, 2]}}"#));
}

#[test]
fn yaml_names_become_text() {
    let data = merged(&[("a.yaml", "1: one\ntrue: yes\nlist: [{2: two}]\nbig: 18446744073709551615\n")]).unwrap();
    assert_eq!(data, json(r#"{"1": "one", "true": "yes", "list": [{"2": "two"}], "big": 18446744073709551615}"#));
}

#[test]
fn a_path_has_one_value() {
    let problems = merged(&[
        ("a.json", r#"{"x": {"y": 1, "z": {}}}"#),
        ("b.json", r#"{"x": {"y": 1}}"#),
        ("c.json", r#"{"x": {"z": {"w": 1}}}"#),
        ("d.json", r#"{"x": {"z": 5}}"#),
    ]);
    let problems = problems.unwrap_err();
    assert_eq!(problems[0], "b.json: error: `data.x.y` is defined in a file before this one");
    assert_eq!(problems[1], "d.json: error: `data.x.z` is defined in a file before this one");
    assert_eq!(problems.len(), 2);
}

#[test]
fn h11_what_is_too_deep_or_too_large_is_refused() {
    let deep = |depth| format!("{{\"a\": {}1{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(merged(&[("a.json", &deep(120))]).is_ok());
    for depth in [128, 200, 100_000] {
        assert!(merged(&[("a.json", &deep(depth))]).is_err(), "{depth}");
        assert!(merged(&[("a.yaml", &deep(depth))]).is_err(), "{depth}");
    }
    assert!(merged(&[("a.json", r#"{"a": 1e999999999}"#)]).is_err());
}

#[test]
fn a_rule_never_hides_behind_data() {
    let policy = "package envoy.authz\n\nallow if input.ok\n\nroles contains \"x\"\n\nf(x) := x\n";
    for (data, rule) in [
        (r#"{"envoy": {"authz": {"allow": true}}}"#, "data.envoy.authz.allow"),
        (r#"{"envoy": {"authz": {"roles": {}}}}"#, "data.envoy.authz.roles"),
        (r#"{"envoy": {"authz": true}}"#, "data.envoy.authz.allow"),
        (r#"{"envoy": null}"#, "data.envoy.authz.allow"),
    ] {
        let problems = Bundle::of(&Config::default(), &[("a.rego", policy), ("d.json", data)]).map(drop).unwrap_err();
        let expected = format!("`{rule}` is a rule, and there is data too");
        assert!(problems.iter().any(|problem| problem.message == expected), "{data}: {problems:?}");
    }
    Bundle::of(&Config::default(), &[("a.rego", policy), ("d.json", r#"{"envoy": {"authz": {"other": 1}}}"#)]).unwrap();
}

#[test]
fn data_that_is_copied_at_every_evaluation_is_a_warning() {
    let entries = |count: usize| {
        let entries: Vec<_> = (0..count).map(|number| format!("\"k{number}\": 1")).collect();
        format!("{{{}}}", entries.join(", "))
    };
    let warnings = |path: &str, count| {
        let files = [("a.rego", "package envoy.authz\n\nallow := true\n"), (path, &entries(count))];
        let bundle = Bundle::of(&Config::default(), &files).unwrap();
        bundle.warnings().iter().map(|warning| warning.message.clone()).collect::<Vec<_>>()
    };
    assert_eq!(warnings("envoy/authz/d.json", 100), [""; 0]);
    assert_eq!(
        warnings("envoy/authz/d.json", 101),
        ["the 101 entries of data under `data.envoy.authz` are copied at every evaluation"]
    );
    assert_eq!(warnings("d.json", 5000).len(), 1);
    assert_eq!(warnings("users/d.json", 5000), [""; 0]);
    assert_eq!(warnings("envoy/authz/users/d.json", 5000), [""; 0]);
}
