//! What `not` and `in` mean of something undefined.

use super::*;

/// Conditions that do not hold under OPA, since something nested in them is undefined.
const UNDEFINED: &[&str] = &[
    r#"not "x" in input.nope.roles"#,
    r#"not startswith(input.nope, "x")"#,
    "not input.nope != 1",
    "not input.nope > 0",
    r#"not lower(input.nope) == "x""#,
    "not g(input.nope)",
    "not count(input.nope) > 0",
    r#"not {"x"} & input.nope == set()"#,
    "not input.nope + 1 == 2",
    r#"not input.nope & {"x"}"#,
    "not data.foo.bar[input.nope]",
    "not input.one[input.nope]",
    "not [input.nope] == [1]",
    r#"not {"a": input.nope} == {"a": 1}"#,
    "not [input.nope]",
    "not is_null(input.nope)",
    r#"not object.get(input, "a", input.nope)"#,
    "not u > 1",
    "not g(u)",
    r#"not "x" in u"#,
    "not input.obj[input.nope] == 1",
    "not input.obj[lower(input.nope)] == 1",
    "not g(input.nope) == true",
    r#"not input.nope in ["a"]"#,
    r#"not "a" in ["b", input.nope]"#,
    r#"not "k", input.nope in {"k": 1}"#,
    r#"not sprintf("%v", [input.nope]) == "x""#,
    r#"not g(to_number("a"))"#,
    "not g(input.nope in [1])",
    "not imported > 1",
    "every x in [1] { not g(input.nope[x]) }",
    "[1 | not g(input.nope)] == [1]",
    "(input.nope in [1]) == false",
    "g(1 in input.nope) == false",
    "[1 in input.nope] == [false]",
    "{\"a\": 1 in input.nope} == {\"a\": false}",
    r#""k", input.nope in {"a": 1}"#,
];

/// Conditions that hold under OPA.
const HOLD: &[&str] = &[
    "not input.nope",
    "not input.nope.roles",
    "not input.nope == 1",
    "not 1 == input.nope",
    "not input.nope = 1",
    r#"not data.foo.bar["x"]"#,
    "not u",
    "not u == 1",
    "not [x | x := input.nope[_]] == [1]",
    r#"not g(input.nope) with input as {"nope": 2}"#,
    "not g(input.no)",
    "not to_number(\"a\")",
    r#"not "z" in input.roles"#,
    r#"not startswith(input.text, "x")"#,
    r#"not "k", 1 in input.obj"#,
    "not g(lower(input.roles[_]))",
    "(input.one in [2]) == false",
    r#""a", 1 in input.obj"#,
    "[1 | not g(input.nope)] == []",
];

const RULES: &str = "import input.zzz as imported\ng(x) if x == 1\nu := 1 if input.nope == 1\n";

#[test]
fn h13_what_is_undefined_under_a_negation_does_not_allow() {
    let input = json!({"one": 1, "obj": {"a": 1}, "text": "abc", "no": false, "roles": ["x", "y"]});
    for (conditions, holds) in [(UNDEFINED, false), (HOLD, true)] {
        for condition in conditions {
            let mut bodies = vec![
                format!("allow if {{ {condition} }}"),
                format!("default allow := false\nallow if {{\n  true\n  {condition}\n}}"),
            ];
            if condition.starts_with("not") {
                bodies.push(format!("allow if {condition}"));
                bodies.push(format!("allow := false if input.nope\nelse if {condition}"));
            }
            for body in bodies {
                let mut asked = Asked::lenient(&format!("{RULES}{body}"));
                let decision = asked.ask("a/allow", &input);
                assert_eq!(matches!(decision, Decision::Allow(_)), holds, "{body}: {decision:?}");
            }
        }
    }
}

#[test]
fn h13_tests_and_explanations_see_the_same_negation() {
    let policy = ("a.rego", "package a\n\nallow if not \"x\" in input.roles\n");
    let tests = (
        "a_test.rego",
        "package a_test\n\ntest_it if not data.a.allow with input as {}\n\ntest_not if not startswith(data.b.c, \"x\")\n",
    );
    let bundle = Bundle::of(&patient(), &[policy, tests]).unwrap();
    let options =
        crate::policy::suite::Options { now: UnixTime::from_seconds(1), filter: String::new(), coverage: true };
    let report = crate::policy::suite::run(&bundle, &options).unwrap();
    let outcomes: Vec<_> = report.tests.iter().map(|test| &test.outcome).collect();
    assert_eq!(format!("{outcomes:?}"), "[Passed, Failed]");
    assert_eq!(report.coverage.unwrap().files[0].covered, [3]);
    let asked = Asked::with(&patient(), "allow if not \"x\" in input.roles");
    let fired = |input: &Json| {
        let now = UnixTime::from_seconds(1);
        let query = Query { entry_point: "a/allow", facts: input, user: None, now, seed: 0, output: &asked.output };
        asked.instance.explain(&query).rules.len()
    };
    assert_eq!((fired(&json!({})), fired(&json!({"roles": []}))), (0, 1));
}

#[test]
fn h13_what_has_no_safe_meaning_does_not_load() {
    let problems =
        Bundle::of(&patient(), &[("a.rego", "package a\n\nallow if not input.roles[_] == \"x\"\n")]).unwrap_err();
    assert!(problems[0].to_string().starts_with("a.rego:3: error: `_` under `not` is unsafe"), "{}", problems[0]);
}

/// What is added stands on the negation's line, which the engine takes at any length.
#[test]
fn long_negations_load() {
    let parts: Vec<_> = (0..50).map(|at| format!("input.part_{at:020}")).collect();
    let mut asked = Asked::new(&format!("allow if not [\n  {},\n] == [1]", parts.join(",\n  ")));
    assert_eq!(asked.reason("allow"), Some(Reason::PolicyUndefined));
}
