use regorus::Engine;
use regorus::Value;

use super::*;

/// What a real evaluation of the rule `data.a.r` with a secret as `input.s` ends in.
fn failed(rules: &str, strict: bool) -> Error {
    let mut engine = Engine::new();
    engine.add_policy("dir/a.rego".to_owned(), format!("package a\n{rules}\n")).unwrap();
    engine.set_strict_builtin_errors(strict);
    engine.set_input(Value::from_json_str(r#"{"s": "canary", "o": {"token": "canary"}, "zero": 0}"#).unwrap());
    engine.eval_rule("data.a.r".to_owned()).unwrap_err()
}

#[test]
fn real_errors_are_told_apart_and_hold_no_values() {
    for (rules, reason, detail) in [
        (
            "r := 1 if true\nr := 2 if true",
            Reason::PolicyConflict,
            "dir/a.rego:3: two definitions give different values",
        ),
        (
            "r[k] := v if { k := input.s; some v in [1, 2] }",
            Reason::PolicyConflict,
            "dir/a.rego:2: two definitions give different values",
        ),
        (
            "f(x) := 1 if x\nf(x) := 2 if x\nr := f(input.s)",
            Reason::PolicyConflict,
            "dir/a.rego:4: two definitions give different values",
        ),
        (
            "r := {k: v | k := input.s; some v in [input.s, 2]}",
            Reason::PolicyConflict,
            "dir/a.rego:2: two definitions give different values",
        ),
        (
            "r := startswith(input.o, \"a\")",
            Reason::PolicyBuiltinError,
            "dir/a.rego:2: `startswith` expects string argument.",
        ),
        ("r := input.s + 1", Reason::PolicyBuiltinError, "dir/a.rego:2: `add` expects numeric argument."),
        ("r := 1 / input.zero", Reason::PolicyBuiltinError, "dir/a.rego:2: divide by zero"),
        ("r := 1 % input.zero", Reason::PolicyBuiltinError, "dir/a.rego:2: modulo by zero"),
        ("r := to_number(input.s)", Reason::PolicyBuiltinError, "dir/a.rego:2: could not parse string as number"),
        ("r := json.unmarshal(input.s)", Reason::PolicyBuiltinError, "dir/a.rego:2: could not deserialize json."),
        ("r := regex.match(\"(\", input.s)", Reason::PolicyBuiltinError, "dir/a.rego:2: invalid regex"),
        (
            "r := net.cidr_contains(input.s, \"10.0.0.1\")",
            Reason::PolicyBuiltinError,
            "dir/a.rego:2: a builtin function failed",
        ),
        ("r := net.cidr_expand(input.s)", Reason::PolicyBuiltinError, "a builtin function failed"),
        ("r := base64.decode(input.s)", Reason::PolicyBuiltinError, "dir/a.rego:2: decode failed"),
        (
            "r := regex.match(\"(a{1000}){1000}\", input.s)",
            Reason::PolicyBuiltinError,
            "compiled regex exceeded size limit (102400 bytes)",
        ),
        ("r := q\nq := r", Reason::PolicyError, "dir/a.rego:2: a rule depends on itself"),
        ("r := nope(input.s)", Reason::PolicyError, "dir/a.rego:2: the engine cannot evaluate the policy"),
        (
            "f(x) := x\nr := f(input.s, 2, 3)",
            Reason::PolicyError,
            "dir/a.rego:3: the engine cannot evaluate the policy",
        ),
    ] {
        let error = failed(rules, true);
        let denial = denial(&error);
        assert_eq!((denial.reason, denial.detail.as_str()), (reason, detail), "{rules}: {error}");
        assert!(!denial.detail.contains("canary"), "{}", denial.detail);
    }
}

#[test]
fn what_stays_an_error_in_opas_way_is_told_apart_too() {
    assert_eq!(denial(&failed("r := input.s + 1", false)).reason, Reason::PolicyBuiltinError);
    assert_eq!(denial(&failed("r := 1 if true\nr := 2 if true", false)).reason, Reason::PolicyConflict);
}

#[test]
fn a_message_is_one_line_with_its_place() {
    let error = failed("r := base64.decode(input.s)", true);
    assert!(error.to_string().lines().count() > 4, "the engine's own message has several lines: {error}");
    assert_eq!(flattened(&error), "dir/a.rego:2: decode failed");
}

#[test]
fn a_problem_keeps_the_engines_words() {
    let error = Engine::new().add_policy("x.rego".to_owned(), "package a\n\nr := )\n".to_owned()).unwrap_err();
    assert_eq!(problem(&error, Some("x.rego")).to_string(), "x.rego:3: error: expecting expression");
    let unplaced = anyhow::anyhow!("something else");
    assert_eq!(problem(&unplaced, Some("y.rego")).to_string(), "y.rego: error: something else");
}

#[test]
fn a_refusal_has_the_place_where_the_error_has_it() {
    let error = anyhow::anyhow!("\n--> a.rego:7:3\n  |\n7 | x\n  |  ^\nerror: `replace` would");
    assert_eq!(refused("`replace` would make", Some(&error)).detail, "a.rego:7: `replace` would make");
    assert_eq!(refused("`replace` would make", None).detail, "`replace` would make");
}
