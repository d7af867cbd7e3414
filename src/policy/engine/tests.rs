use std::time::Duration;

use serde_json::Value as Json;
use serde_json::json;

use super::*;
use crate::clock::UnixTime;
use crate::policy::Compatibility;
use crate::policy::OutputRules;

mod hostile;
mod negation;
mod projection;

/// Policies under the package `a`, and one who asks them.
struct Asked {
    instance: Instance,
    output: OutputRules,
}

/// Debug builds are slow, and machines that test are busy.
fn patient() -> Config {
    Config { time_limit: Duration::from_secs(5), ..Config::default() }
}

impl Asked {
    fn new(rules: &str) -> Self {
        Self::with(&patient(), rules)
    }

    fn lenient(rules: &str) -> Self {
        Self::with(&Config { builtin_errors: BuiltinErrors::Undefined, ..patient() }, rules)
    }

    fn with(config: &Config, rules: &str) -> Self {
        Self::of(config, &[("a.rego", &format!("package a\n\n{rules}\n"))])
    }

    fn of(config: &Config, files: &[(&str, &str)]) -> Self {
        let instance = Bundle::of(config, files).unwrap().instance().unwrap();
        let output = OutputRules { compatibility: Compatibility::Strict, owned_prefix: "x-countersign-".to_owned() };
        Self { instance, output }
    }

    fn ask(&mut self, entry_point: &str, input: &Json) -> Decision {
        self.ask_at(entry_point, input, 0)
    }

    fn ask_at(&mut self, entry_point: &str, input: &Json, seed: u128) -> Decision {
        let now = UnixTime::parse_rfc3339("2026-11-24T10:11:12.5Z").unwrap();
        self.instance.decide(&Query { entry_point, facts: input, user: None, now, seed, output: &self.output })
    }

    fn denial(&mut self, rule: &str, input: &Json) -> Denial {
        match self.ask(&format!("a/{rule}"), input) {
            Decision::Deny(denial) => denial,
            Decision::Allow(_) => panic!("{rule} allows {input}"),
        }
    }

    fn reason(&mut self, rule: &str) -> Option<Reason> {
        match self.ask(&format!("a/{rule}"), &json!({})) {
            Decision::Allow(_) => None,
            Decision::Deny(denial) => Some(denial.reason),
        }
    }

    /// What a rule gives as the name of a header.
    fn text(&mut self, rule: &str, seed: u128) -> String {
        match self.ask_at(&format!("a/{rule}"), &json!({}), seed) {
            Decision::Deny(denial) if denial.reason == Reason::PolicyDenied => denial.detail,
            other => panic!("{rule}: {other:?}"),
        }
    }
}

#[test]
fn entry_points_are_read_as_opa_envoy_reads_them() {
    let rules = r#"
allow := input.ok

nested := {"x.y": [true, false], "0": "text", "m": {"1": true}}

p[key] := true if some key in ["k", "x.y"]

p["const"] := true

q.r.s := true

members contains "m"
"#;
    let config = patient();
    let data = ("base/d.json", r#"{"flag": true, "list": [false, true]}"#);
    let mut asked = Asked::of(
        &config,
        &[("a.rego", &format!("package a\n{rules}")), data, ("b.rego", "package b[\"x.y\"]\nallowed := true\n")],
    );
    let mut reason = |path: &str| match asked.ask(path, &json!({"ok": true})) {
        Decision::Allow(_) => None,
        Decision::Deny(denial) => Some(denial.reason),
    };
    for allowing in [
        "a/allow",
        "/a/allow/",
        "a//allow",
        "a/nested/x.y/0",
        "a/nested/x.y/+0",
        "a/p/k",
        "a/p/x.y",
        "a/p/const",
        "a/q/r/s",
        "base/flag",
        "base/list/1",
        "b/x.y",
        "b/x.y/allowed",
    ] {
        assert_eq!(reason(allowing), None, "{allowing}");
    }
    for undefined in [
        "a/nested/x.y/2",
        "a/nested/x.y/-1",
        "a/nested/x",
        "a/nested/0",
        "a/nested/m/1",
        "a/p/none",
        "a/nope",
        "nope",
        "0",
        "a/0",
        "a/allow/deeper",
        "base/none",
    ] {
        assert_eq!(reason(undefined), Some(Reason::PolicyUndefined), "{undefined}");
    }
    for no_decision in ["", "/", "a", "a/q", "a/members", "a/members/m", "a/nested"] {
        assert_eq!(reason(no_decision), Some(Reason::PolicyResultType), "{no_decision}");
    }
}

#[test]
fn questions_are_kept_and_bounded() {
    let mut asked = Asked::new("allow := true");
    for number in 0..1000 {
        assert!(matches!(asked.ask(&format!("a/{number}x"), &json!({})), Decision::Deny(_)));
        assert!(matches!(asked.ask("a/allow", &json!({})), Decision::Allow(_)));
    }
    assert!(asked.instance.questions.get("a/allow", &asked.instance.rules).entry == EntryPoint::parse("/a/allow"));
}

/// The engine lets another definition of a function stand in for one that failed.
#[test]
fn an_owned_header_is_refused_with_the_rules_place() {
    let mut asked =
        Asked::new("other := 1\n\nallow := {\"allowed\": true, \"headers\": {\"x-countersign-user\": \"root\"}}");
    let denial = asked.denial("allow", &json!({}));
    assert_eq!(denial.reason, Reason::PolicyOwnedHeader);
    assert_eq!(denial.detail, "a.rego:5: `headers`: `x-countersign-user` is a header that only Countersign may set");
}

#[test]
fn explains_which_rules_fired() {
    let rules = r#"default allow := false

allow if {
    is_admin
    input.method == "GET"
}

allow if {
    is_admin
    input.method == "DELETE"
}

is_admin if "admin" in roles

roles contains role if some role in input.roles

default level := "low"

level := "high" if is_admin

unrelated if input.method == "GET"
"#;
    let asked = Asked::new(rules);
    let explain = |input: &Json| {
        let now = UnixTime::default();
        let explanation = asked.instance.explain(&Query {
            entry_point: "a/allow",
            facts: input,
            user: None,
            now,
            seed: 0,
            output: &asked.output,
        });
        assert_eq!(explanation.error, None);
        let rules = explanation
            .rules
            .iter()
            .map(|rule| format!("{}:{} {}", rule.file, rule.line, rule.rule))
            .collect::<Vec<_>>();
        (explanation.value, rules)
    };
    let (value, rules) = explain(&json!({"method": "GET", "roles": ["admin"]}));
    assert_eq!(value, Some(json!(true)));
    assert_eq!(rules, ["a.rego:5 data.a.allow", "a.rego:15 data.a.is_admin", "a.rego:17 data.a.roles"]);
    let (value, rules) = explain(&json!({"method": "GET", "roles": []}));
    assert_eq!(value, Some(json!(false)));
    assert_eq!(rules, ["a.rego:3 data.a.allow"]);
}

#[test]
fn explains_what_failed_and_what_was_printed() {
    let asked = Asked::new("allow if { print(\"x is\", input.x); startswith(input.x, \"a\") }");
    let facts = &json!({"x": 5});
    let query =
        Query { entry_point: "a/allow", facts, user: None, now: UnixTime::default(), seed: 0, output: &asked.output };
    let explanation = asked.instance.explain(&query);
    assert_eq!(explanation.value, None);
    assert_eq!(explanation.error.unwrap(), "a.rego:3: `startswith` expects string argument. Got `5` instead");
    assert_eq!(explanation.prints, ["a.rego:3: x is 5"]);
}
