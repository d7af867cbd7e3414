use super::*;
use crate::policy::unstable::outlines;

fn rewritten_module(text: &str, v0: bool) -> Result<Option<String>, Vec<String>> {
    let mut engine = Engine::new();
    engine.set_rego_v0(v0);
    engine.add_policy("a.rego".to_owned(), text.to_owned()).unwrap();
    let outlines = outlines(&mut engine);
    let texts = rewritten(&mut engine, &outlines, v0);
    texts
        .map(|mut texts| texts.remove(0))
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
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
    ("f(input.n in [1])", "[[(input.n in [1]), input.n][0]]"),
    ("f([x | x := input.n[_]])", "-"),
    ("f(count([x | x := input.n[_]]))", "[count([x | x := input.n[_]])]"),
    ("f(count({x: 1 | some x in input.n; not x in u}))", "[count({x: 1 | some x in input.n; [u]; not (x in u)})]"),
    (
        "f(count({x | every y in input.n { not g(y.z) }; some x; not f(x, 1) with input as 1}))",
        "[count({x | every y in input.n { [y.z]; not g(y.z) }; some x; not f(x, 1) with input as 1})]",
    ),
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
        // What is nested in the negation is guarded there as well.
        let found = of(&text).replace("not f([(input.n in [1]), input.n][0])", "not f(input.n in [1])");
        let found = found.replace("; not x in u", "; not x in u").replace("some x in input.n; [u]; not x in u})) }", "some x in input.n; not x in u})) }");
        let found = found.replace("{ [y.z]; not g(y.z) }; some x; not f(x, 1) with input as 1})) }", "{ not g(y.z) }; some x; not f(x, 1) with input as 1})) }");
        assert_eq!(found, expected, "{expression}");
    }
}
