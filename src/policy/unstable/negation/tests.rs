use super::*;
use crate::policy::unstable::outlines;

fn rewritten_module(text: &str, v0: bool) -> Result<Option<String>, Vec<String>> {
    let mut engine = Engine::new();
    engine.set_rego_v0(v0);
    engine.add_policy("a.rego".to_owned(), text.to_owned()).unwrap();
    let outlines = outlines(&mut engine);
    let texts = rewritten(&mut engine, &outlines, v0);
    texts.map(|mut texts| texts.remove(0)).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// What becomes of the lines after the package.
fn of(rules: &str) -> String {
    let package = "package a\n";
    let text = rewritten_module(&format!("{package}{rules}"), false).unwrap();
    text.map_or_else(|| "-".to_owned(), |text| text.strip_prefix(package).unwrap().to_owned())
}

/// What is after the `-` is what is added before the negation.
const MOVED: &[(&str, &str)] = &[
    (r#""x" in input.roles"#, "[input.roles]"),
    (r#""k", input.v in input.o"#, "[input.v, input.o]"),
    (r#"startswith(input.path, "/x")"#, "[input.path]"),
    (r#"startswith(input["path"], `/"x`)"#, r#"[input["path"]]"#),
    ("input.n != 1", "[input.n]"),
    ("input.n > input.m", "[input.n, input.m]"),
    ("input.n + 1 == 2", "[(input.n + 1)]"),
    ("input.a + 1 + 2 == 2", "[(input.a + 1 + 2)]"),
    ("input.a - (1 - 2) == 2", "[(input.a - (1 - 2))]"),
    ("input.a * (1 + 2) == 2", "[(input.a * (1 + 2))]"),
    ("lower(input.n) == \"x\"", "[lower(input.n)]"),
    ("\"x\" = lower(input.n)", "[lower(input.n)]"),
    ("lower(input.n)", "[input.n]"),
    ("f(lower(input.n), 1)", "[lower(input.n)]"),
    ("data.a.f(input.n)", "[input.n]"),
    ("{\"x\"} & input.n == set()", "[({\"x\"} & input.n)]"),
    ("input.n | {\"x\"}", "[input.n]"),
    ("data.b[input.n]", "[input.n]"),
    ("input.o[input.n][lower(input.m)] == 1", "[input.n, lower(input.m)]"),
    ("input.o[input.n[input.m]]", "[input.n[input.m]]"),
    ("[input.n] == [1]", "[[input.n]]"),
    ("{input.n, 1} == {1}", "[{input.n, 1}]"),
    ("{\"a\": input.n, \"b\": 2} == {\"a\": 1}", r#"[{"a": input.n, "b": 2}]"#),
    ("{input.n: 1} == {\"a\": 1}", "[{input.n: 1}]"),
    ("[input.n]", "[[input.n]]"),
    ("[1, 2][input.n] == 1", "[input.n]"),
    ("[input.m][input.n] == 1", "[[input.m], input.n]"),
    ("lower(input.n)[0] == 1", "[lower(input.n)]"),
    ("u > 1", "[u]"),
    ("f(u)", "[u]"),
    ("\"x\" in u", "[u]"),
    ("imported.x > 1", "[imported.x]"),
    ("imported > 1", "[imported]"),
    ("f(input)", "[input]"),
    ("(input.n > 1)", "[input.n]"),
    ("(input.n == 1) == true", "[(input.n == 1)]"),
    ("f([x | x := input.n[_]])", "-"),
    ("f(count([x | x := input.n[_]]))", "[count([x | x := input.n[_]])]"),
    ("f(input.n) with input as {\"n\": u}", r#"[input.n] with input as {"n": u}"#),
    ("f(input.n) with input.a as 1 with data.b as u", "[input.n] with input.a as 1 with data.b as u"),
    ("f(1/0)", "[(1 / 0)]"),
    ("f(-1, input.n)", "[input.n]"),
    ("f(\"\\u00e4\\n\", input[\"\\t\"])", r#"[input["\t"]]"#),
    ("f(input.n, # not \"this\"\n  1 # nor this\n  )", "[input.n]"),
    ("f(\n  input\n  )", "[input]"),
    ("input.n", "-"),
    ("input.n.roles", "-"),
    ("input.n == 1", "-"),
    ("1 == input.n", "-"),
    ("input.n = input.m", "-"),
    ("data.b[\"x\"].y[1]", "-"),
    ("u", "-"),
    ("u == 1", "-"),
    ("f(1)", "-"),
    ("f([1, {\"a\": null}])", "-"),
    ("local > 1", "-"),
    ("f([local])", "-"),
    ("local[local]", "-"),
    ("f(local.x)", "[local.x]"),
    ("[x | x := input.n[_]] == [1]", "-"),
    ("print(input.n)", "-"),
    ("\"not f(input.n)\" == local", "-"),
];

const RULES: &str = "import data.imported\nu := 1 if input.u\nf(_) := 1\ng(_) := 1\n";

fn negated(expression: &str, before: &str) -> String {
    match before {
        "-" => format!("{RULES}r if {{ local := 1; not {expression} }}\n"),
        _ => format!("{RULES}r if {{ local := 1; {before}; not {expression} }}\n"),
    }
}

#[test]
fn what_is_nested_is_moved_before_the_negation() {
    for (expression, moved) in MOVED {
        let text = negated(expression, "-");
        let expected = if *moved == "-" { "-".to_owned() } else { negated(expression, moved) };
        assert_eq!(of(&text), expected, "{expression}");
    }
}

/// Rules, and what becomes of them.
const REWRITTEN: &[(&str, &str)] = &[
    ("r if not f(input.n)", "r if { [input.n]; not f(input.n) }"),
    ("r if not f(input.n) == \"x\" # \"not\"\n", "r if { [f(input.n)]; not f(input.n) == \"x\" } # \"not\"\n"),
    ("r if not input.n > `x`", "r if { [input.n]; not input.n > `x` }"),
    ("r if not (input.n > (1))", "r if { [input.n]; not (input.n > (1)) }"),
    (
        "r if not f(input.n) with input as {}\n  with data.b as \"x\"\ns := 1",
        "r if { [input.n] with input as {} with data.b as \"x\"; not f(input.n) with input as {}\n  with data.b as \"x\" }\ns := 1",
    ),
    (
        "r := 1 if not f(input.n)\nelse := 2 if not f(input.m)\nelse := 3",
        "r := 1 if { [input.n]; not f(input.n) }\nelse := 2 if { [input.m]; not f(input.m) }\nelse := 3",
    ),
    (
        "r if {\n  input.a # a\n  not f( # not\n    input.n,\n  )\n  not input.b\n}",
        "r if {\n  input.a # a\n  [input.n]; not f( # not\n    input.n,\n  )\n  not input.b\n}",
    ),
    ("r := [x | some x in u; not f(x.y)]", "r := [x | some x in u; [x.y]; not f(x.y)]"),
    ("r := {x | not f(input.n); x := 1}", "r := {x | [input.n]; not f(input.n); x := 1}"),
    ("r if { every x in u { not f(x.y) } }", "r if { every x in u { [x.y]; not f(x.y) } }"),
    ("h(x) := 1 if not f(x.y)", "h(x) := 1 if { [x.y]; not f(x.y) }"),
    (
        "p contains x if { some x in u; not x in input.n }",
        "p contains x if { some x in u; [input.n]; not x in input.n }",
    ),
    ("o[x] := 1 if { some x in u; not input.o[x.y] }", "o[x] := 1 if { some x in u; [x.y]; not input.o[x.y] }"),
    ("r if { not f(input.n); not f(input.m) }", "r if { [input.n]; not f(input.n); [input.m]; not f(input.m) }"),
    // In a negation's comprehension there may be another negation.
    (
        "r if not f(count([x | some x in u; not f(x.y)]))",
        "r if { [count([x | some x in u; [x.y]; not f(x.y)])]; not f(count([x | some x in u; [x.y]; not f(x.y)])) }",
    ),
    (
        "r if not f(count({x: 1 | every y in u { not g(y.z) }; some x; f(x) with input as 1}))",
        "r if { [count({x: 1 | every y in u { [y.z]; not g(y.z) }; some x; f(x) with input as 1})]; \
         not f(count({x: 1 | every y in u { [y.z]; not g(y.z) }; some x; f(x) with input as 1})) }",
    ),
    // `_` is the same before and in the negation.
    ("r if not f(lower(input.l[_]))", "r if { [lower(input.l[_any0])]; not f(lower(input.l[_any0])) }"),
    (
        "r if not f(lower(input._any[_][_]))",
        "r if { [lower(input._any[_any_0][_any_1])]; not f(lower(input._any[_any_0][_any_1])) }",
    ),
    // Memberships nested in anything else.
    ("r := 1 in input.n", "r := [(1 in input.n), input.n][0]"),
    ("r := \"a\" in {\"a\", input.n}", "r := [(\"a\" in {\"a\", input.n}), {\"a\", input.n}][0]"),
    ("r if (input.n in [`a`]) == false", "r if ([(input.n in [`a`]), input.n][0]) == false"),
    ("r if f(input.n in \"a\")", "r if f([(input.n in \"a\"), input.n][0])"),
    (
        "r if { x := input.n in u in [1]; x }",
        "r if { x := [([(input.n in u), input.n, u][0] in [1]), [(input.n in u), input.n, u][0]][0]; x }",
    ),
    ("r if { \"k\", input.n in input.o }", "r if { [(\"k\", input.n in input.o), input.n, input.o][0] }"),
    ("r if not f(input.n in [1])", "r if { [[(input.n in [1]), input.n][0]]; not f([(input.n in [1]), input.n][0]) }"),
    ("r if not \"k\", input.n in input.o", "r if { [input.n, input.o]; not \"k\", input.n in input.o }"),
    ("r if input.n in input.o", "-"),
    ("r if { some x in input.n; not x }", "-"),
    ("r := 1 in [1, 2]", "-"),
    ("r if { x := 1; y := x in [2]; not y }", "-"),
];

#[test]
fn lines_stay_what_they_are() {
    for (rule, expected) in REWRITTEN {
        let found = of(&format!("{RULES}{rule}"));
        assert_eq!(found.strip_prefix(RULES).unwrap_or(&found), *expected, "{rule}");
        assert!(found == "-" || found.matches('\n').count() == format!("{RULES}{rule}").matches('\n').count());
    }
}

#[test]
fn the_old_syntax_has_it_too() {
    for (rule, expected) in [
        ("r { not f(input.n) }", "r { [input.n]; not f(input.n) }"),
        (
            "r = 1 { not f(input.n) } else = 2 { not f(input.m) }",
            "r = 1 { [input.n]; not f(input.n) } else = 2 { [input.m]; not f(input.m) }",
        ),
        ("r { input.a } { not f(input.n) }", "r { input.a } { [input.n]; not f(input.n) }"),
        ("p[x] { x = input.l[_]; not f(x.y) }", "p[x] { x = input.l[_]; [x.y]; not f(x.y) }"),
    ] {
        let before = "package a\nf(x) = 1 { x }\n";
        let text = rewritten_module(&format!("{before}{rule}"), true).unwrap().unwrap();
        assert_eq!(text.strip_prefix(before), Some(expected));
    }
}

#[test]
fn h13_what_cannot_be_given_its_meaning_is_refused() {
    let long = format!("input[\n\"{}\"]", "n".repeat(900));
    let deep = (0..12).fold(long, |inner, _| format!("count([1 |\nnot f({inner})])"));
    for (rule, expected) in [
        ("r if not input.l[_] == 1", "a.rego:6: error: `_` under `not` is unsafe"),
        ("r if {\n  not f(input.l[_])\n}", "a.rego:7: error: `_` under `not` is unsafe"),
        ("r if not [_] = input.l", "a.rego:6: error: `_` under `not` is unsafe"),
        // A set comprehension whose change would read as a body.
        ("r if { 1 | not f(input.n) }", "a.rego:6: error: this rule's `not` or `in` cannot be read safely"),
        (&format!("r if not f({deep})"), "a.rego: error: negations nest too deep in comprehensions"),
        (&format!("r if not f({}1{})", "(input.n - ".repeat(28), ")".repeat(28)), "-"),
    ] {
        let found = rewritten_module(&format!("package a\n{RULES}{rule}"), false);
        match found {
            Ok(_) => assert_eq!(expected, "-", "{rule}"),
            Err(problems) => assert!(problems[0].starts_with(expected), "{}", problems[0]),
        }
    }
}

/// A policy that needs nothing of it costs nothing.
#[test]
fn a_policy_of_plain_negations_stays_what_it_is() {
    let text = include_str!("../../../../benches/fixture/rbac.rego");
    assert!(text.contains("not denied") && text.contains(" in claims.aud"));
    assert_eq!(rewritten_module(text, false), Ok(None));
}
