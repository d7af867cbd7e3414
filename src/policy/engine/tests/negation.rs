//! What `not` and `in` mean of something undefined.

use super::*;

/// What OPA makes of conditions in which something is undefined. `tests/e2e/negation.rs` asks it.
const CONDITIONS: &str = include_str!("../../../../tests/parity/negation.txt");

const RULES: &str = "import input.zzz as imported\ng(x) if x == input.one\nu := 1 if input.nope == 1\n";

#[test]
fn h13_what_is_undefined_under_a_negation_does_not_allow() {
    let input = json!({"one": 1, "obj": {"a": 1}, "text": "abc", "no": false, "roles": ["x", "y"]});
    let lines = CONDITIONS.lines().filter(|line| !line.starts_with('#'));
    for (outcome, condition) in lines.map(|line| line.split_once('\t').unwrap()) {
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
            assert_eq!(matches!(decision, Decision::Allow(_)), outcome == "holds", "{body}: {decision:?}");
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

/// RE2 reads more than the engine does, which must not open what a pattern closes.
#[test]
fn h13_a_pattern_that_cannot_be_read_allows_nothing() {
    let input = json!({"path": "/admin", "pattern": "("});
    for condition in [
        r#"not regex.match("^/\\Qadmin\\E", input.path)"#,
        "not regex.match(`^/[\\w-.]+`, input.path)",
        "not regex.match(input.pattern, input.path)",
        "count(regex.find_n(`\\101`, input.path, -1)) == 0",
        r#"not regex.replace(input.path, "a{,2}[[]", "") == "/""#,
        r#"not glob.match("{", [], input.path)"#,
    ] {
        let mut asked = Asked::lenient(&format!("allow if {condition}\nother if {{ {condition} }}"));
        for rule in ["allow", "other"] {
            let denial = asked.denial(rule, &input);
            assert_eq!(denial.reason, Reason::PolicyBuiltinError, "{condition}: {}", denial.detail);
        }
    }
}
