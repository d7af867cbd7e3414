use super::*;
use crate::policy::Bundle;
use crate::policy::Config;

/// What is wrong with rules of the package `a`, which has a neighbour `lib`.
fn problems(rules: &str) -> Vec<String> {
    let lib = "package lib\n\nf(x) := x + 1\n\nnested.g(x, y) := x + y\n";
    let policy =
        format!("package a\n\nimport data.lib\nimport data.lib as other\nimport data.lib.f as renamed\n\n{rules}\n");
    match Bundle::of(&Config::default(), &[("a.rego", &policy), ("lib.rego", lib)]) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn h6_what_reaches_beyond_the_request_is_refused() {
    for (call, name) in [
        ("http.send({\"method\": \"get\", \"url\": input.url})", "http.send"),
        ("opa.runtime()", "opa.runtime"),
        ("net.lookup_ip_addr(input.host)", "net.lookup_ip_addr"),
        ("graph.reachable_paths({}, [])", "graph.reachable_paths"),
    ] {
        for rule in [
            format!("r := {call}"),
            format!("r if not {call}"),
            format!("r contains x if some x in [y | y := {call}]"),
            format!("f(x) := {{\"k\": [{call}]}}\n\nr := f(1)"),
            format!("default r := false\n\nr if {{ every x in [1] {{ x == {call} }} }}"),
            format!("r if {{ true }} else := {call}"),
            format!("r if {{ input.x with input as {call} }}"),
            format!("r[{call}] := 1 if true"),
        ] {
            let found = problems(&rule);
            let told = found.iter().any(|problem| problem.contains(&format!("error: `{name}` is refused (")));
            assert!(told, "{rule}: {found:?}");
        }
    }
}

#[test]
fn unknown_functions_are_named_all_at_once() {
    let found = problems(
        "r1 := nope(1)\nr2 := data.lib.h(1)\nr3 := lib.h(1)\nr4 := io.jwt.decode(input.t)\nr5 := crypto.sha256(input.t)\nr6 := re_match(\"a\", \"b\")\nr7 := strings.coutn(1, 2)",
    );
    let expected = [
        "a.rego:7: error: there is no function `nope`",
        "a.rego:8: error: there is no function `data.lib.h`",
        "a.rego:9: error: there is no function `lib.h`",
        "a.rego:10: error: `io.jwt.decode` is a function of OPA that is not supported",
        "a.rego:11: error: `crypto.sha256` is a function of OPA that is not supported",
        "a.rego:12: error: `re_match` is deprecated and not supported (use `regex.match`)",
        "a.rego:13: error: there is no function `strings.coutn`",
    ];
    assert_eq!(found, expected);
}

#[test]
fn known_functions_are_found_by_all_their_names() {
    let rules = "
r1 := f(1)
f(x) := x
r2 := data.lib.f(1)
r3 := lib.f(1)
r4 := other.nested.g(1, 2)
r5 := renamed(1)
r6 := data.a.f(1)
r7 if { walk(input, [path, value]); path == value }
r8 if { count([1], n); n == 1 }
r9 if { print(1, 2, 3); trace(\"x\") }
r10 := time.now_ns()
r11 := [1 | some x in [1]; f(x, y); y == 1]
r12 := {1, 2} & {2} | {3}
r13 := strings.count(\"a\", \"a\") + sum([1]) - product([2])
default g(_) := 5
r14 := g(1)
";
    assert_eq!(problems(rules), [""; 0]);
}

#[test]
fn arguments_are_counted() {
    for (call, message) in [
        ("count()", "`count` takes 1 arguments, not 0"),
        ("count(1, 2, 3)", "`count` takes 1 arguments, not 3"),
        ("time.now_ns(1, 2)", "`time.now_ns` takes 0 arguments, not 2"),
        ("lib.f()", "`lib.f` takes 1 arguments, not 0"),
        ("lib.nested.g(1)", "`lib.nested.g` takes 2 arguments, not 1"),
    ] {
        assert_eq!(problems(&format!("r := {call}")), [format!("a.rego:7: error: {message}")], "{call}");
    }
}

/// The engine would follow them until the stack ends, and the process with it.
#[test]
fn recursive_functions_are_refused() {
    let found = problems("f(x) := f(x)\n\nr := f(1)");
    assert!(
        matches!(found.as_slice(), [one] if one.starts_with("a.rego:7: error: the function `data.a.f` calls itself")),
        "{found:?}"
    );
    let found = problems(
        "f(x) := data.a.g(x)\n\ng(x) := [y | y := h(x)]\n\nh(x) := 1 if { not f(x) } else := 2\n\nk(x) := f(x)",
    );
    let named: Vec<_> = found.iter().filter_map(|problem| problem.split('`').nth(1)).collect();
    assert_eq!(named, ["data.a.f", "data.a.g", "data.a.h"]);
    assert_eq!(problems("f(x) := g(x)\n\ng(x) := h(x) + h(x)\n\nh(x) := x"), [""; 0]);
}

#[test]
fn deep_expressions_are_refused() {
    let found = problems(&format!("r := input{}", "[\n0]".repeat(300)));
    assert_eq!(found, ["a.rego:7: error: `data.a.r` nests its expressions too deep"]);
}

#[test]
fn every_listed_builtin_is_one_of_the_engines() {
    let ambient = std::sync::Arc::new(Ambient::default());
    for errors in [crate::policy::BuiltinErrors::Deny, crate::policy::BuiltinErrors::Undefined] {
        install(&mut regorus::Engine::new(), &ambient, errors).unwrap();
    }
}
