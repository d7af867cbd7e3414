use super::*;

fn outline_of(rules: &str) -> Outline {
    let mut engine = Engine::new();
    engine.add_policy("a.rego".to_owned(), format!("package a[\"x.y\"]\n\n{rules}\n")).unwrap();
    outlines(&mut engine).remove(0)
}

#[test]
fn rules_have_their_constant_path() {
    let outline = outline_of(
        "plain := 1
set contains x if some x in [1]
object[key] := 1 if some key in [1]
deep.er[\"x.y\"].z := 1
variable[x].tail := 1 if some x in [1]
function(x, y) := x + y
default plain := true
default function(_, _) := 0",
    );
    let rules: Vec<_> = outline
        .rules
        .iter()
        .map(|rule| (rule.path[2..].join("/"), rule.addressable, rule.parameters, rule.default, rule.lines.0))
        .collect();
    let rule =
        |path: &str, addressable, parameters, default, line| (path.to_owned(), addressable, parameters, default, line);
    assert_eq!(
        rules,
        [
            rule("plain", true, None, None, 3),
            rule("set", true, None, None, 4),
            rule("object", true, None, None, 5),
            rule("deep/er/x.y/z", true, None, None, 6),
            rule("variable", false, None, None, 7),
            rule("function", true, Some(2), None, 8),
            rule("plain", true, None, Some(true), 9),
            rule("function", true, Some(2), Some(false), 10),
        ]
    );
    assert_eq!((outline.file.as_str(), outline.package.join("/")), ("a.rego", "a/x.y".to_owned()));
}

#[test]
fn imports_stand_for_paths() {
    let outline =
        outline_of("import data.lib\nimport data.lib.f as g\nimport input.http as http\nimport rego.v1\nx := 1");
    let imports: Vec<_> = outline.imports.iter().map(|(name, path)| format!("{name}={}", path.join("."))).collect();
    assert_eq!(imports, ["g=data.lib.f", "http=input.http", "lib=data.lib", "v1=rego.v1"]);
}

#[test]
fn a_rule_spans_its_lines() {
    let outline = outline_of("x := {\n  1,\n  2,\n}\n\ny if {\n  x\n  count(x) == 2\n} else := 5");
    assert_eq!(outline.rules.iter().map(|rule| rule.lines).collect::<Vec<_>>(), [(3, 6), (8, 11)]);
    assert_eq!(outline.rules[1].calls[0].line, 10);
}

/// The engine would run out of stack, and take the process with it.
#[test]
fn deep_expressions_are_marked() {
    for (begin, part, end) in [("input", "[\n0]", ""), ("1", "\n+ 1", "")] {
        let is_deep = |count| outline_of(&format!("x := {begin}{}{end}", part.repeat(count))).rules[0].too_deep;
        assert!(!is_deep(90) && is_deep(110) && is_deep(300), "{part}");
    }
}

#[test]
fn a_builtin_can_be_called_by_itself() {
    let count = Builtin::named("count").unwrap();
    assert_eq!(count.arity(), 1);
    assert_eq!(count.call(&[Value::from("abc")], true).unwrap(), Value::from(3));
    assert!(count.call(&[Value::from(1)], true).is_err());
    assert!(Builtin::named("http.send").is_none());
}

fn whole_or(rules: &str) -> String {
    match outline_of(rules).reads {
        Projection::Whole => "*".to_owned(),
        Projection::Entries(names) => names.into_iter().collect::<Vec<_>>().join(" "),
    }
}

#[test]
fn constant_entries_of_the_input_are_told_apart() {
    for (rules, entries) in [
        ("x := 1", ""),
        ("x := data.input.a", ""),
        ("x := data.p.y.input", ""),
        ("x := \"input.a\"", ""),
        ("x := inputs.a\ninputs := {\"a\": 1}", ""),
        ("x := input.a", "a"),
        ("x := input[\"a\"]", "a"),
        ("x := input[`a`]", "a"),
        (r#"x := input["\u0061"]"#, "a"),
        (r#"x := input["a.b"].c"#, "a.b"),
        ("x := input[\n  \"a\"\n]", "a"),
        ("x := input.a.b.c[_].d", "a"),
        ("x := input.a[input.b]", "a b"),
        ("x := data.p[input.a][input.b.c]", "a b"),
        ("x := [input.a, {input.b}, {input.c: input.d}]", "a b c d"),
        ("x := -input.a + (input.b | input.c)", "a b c"),
        ("x if input.a == input.b", "a b"),
        ("x if not input.a", "a"),
        ("x if { y := input.a; z = input.b; y < z }", "a b"),
        ("x if input.a in input.b\ny if input.c, input.d in input.e", "a b c d e"),
        ("x if { some y in input.a; y > 1 }", "a"),
        ("x if { some k, v in input.a; k == v }", "a"),
        ("x if every y in input.a { y == input.b }", "a b"),
        ("x if every k, v in input.a { k == v }", "a"),
        ("x := [y | y := input.a[_]]", "a"),
        ("x := {y | some y in input.a; y > input.b}", "a b"),
        ("x := {input.a: input.b | input.c}", "a b c"),
        ("x := walk(input.a)", "a"),
        ("x := object.get(input.a, \"b\", input.c)", "a c"),
        ("x := f(input.a)\nf(y) := y + input.b", "a b"),
        ("f(input.a) := 1", "a"),
        ("x contains input.a if input.b", "a b"),
        ("x[input.a] := input.b if input.c", "a b c"),
        ("x.y[input.a][\"b\"] contains 1", "a"),
        ("x := input.a if input.b\nelse := input.c if input.d\nelse := input.e", "a b c d e"),
        ("default x := 1\nx := input.a", "a"),
        ("x if data.p.y with data.p.z as input.a", "a"),
        ("x if y with data.p[\"input\"] as 1\ny := 2", ""),
        ("import input\nx := input.a", "a"),
        ("import input.a\nx := a.b", "a"),
        ("import input.a as b\nx := b[_]", "a"),
        ("import input.a.b.c\nx := 1", "a"),
        ("import input[\"a.b\"] as c\nx := c", "a.b"),
        ("import data.p as input\nx := input.a", "a"),
    ] {
        assert_eq!(whole_or(rules), entries, "{rules}");
    }
}

/// What may see any entry, or what nobody should have to understand.
const WHOLE: &[&str] = &[
    "x := input",
    "x := input[_]",
    "x := input[y] if some y in [\"a\"]",
    "x := input[data.key]",
    "x := input[1]",
    "x := input[[\"a\"]]",
    "x := input[concat(\"\", [\"a\"])]",
    "x := input[input.a]",
    "x := input[_].a",
    "x := {\"a\": input}",
    "x := {input: 1}",
    "x := [input]",
    "x := {input}",
    "x := data.p[input]",
    "x := input == {}",
    "x := input | {1}",
    "x := -input",
    "x if input",
    "x if not input",
    "x if { y := input; y.a }",
    "x if { input = {\"a\": y}; y }",
    "x if { [input, y] = [{}, 1]; y }",
    "x if \"a\" in input",
    "x if \"a\", 1 in input",
    "x if { some y in input; y }",
    "x if { some k, v in input; k == v }",
    "x if { some [v, input] in [[1, 2]]; v }",
    "x if every y in input { y }",
    "x if every y in [1] { y == input }",
    "x := [y | y := input[_]]",
    "x := [input | true]",
    "x := {y | some y in input}",
    "x := {y: input | y := 1}",
    "x := {input: y | y := 1}",
    "x if walk(input, [[\"a\"], _])",
    "x := json.marshal(input)",
    "x := object.get(input, \"a\", {})",
    "x := object.get(input, [\"a\"], {})",
    "x := count(object.keys(input))",
    "x := f(input)\nf(y) := y.a",
    "f(input) := 1",
    "f(y, {\"a\": input}) := y",
    "f(y) := input",
    "x contains input",
    "x[input] := 1",
    "x[input[_]] contains 1",
    "x := 1 if input.a\nelse := input",
    "x := 1 if input.a\nelse := 2 if input",
    "x if print(input)",
    "x if data.p.y with input as {\"a\": 1}",
    "x if data.p.y with input as input.a",
    "x if data.p.y with input.a as 1",
    "x if data.p.y with input.a.b as 1",
    "x if data.p.y with input[\"a\"] as 1",
    "x if data.p.y with data.p.z as input",
    "x if y with f as input\nf(_) := 1\ny := f(1)",
    "import input as i\nx := i.a",
    "import input as i\nx := i",
    "import input as i\nx := 1",
];

#[test]
fn any_other_use_of_the_input_is_all_of_it() {
    for rules in WHOLE {
        assert_eq!(whole_or(rules), "*", "{rules}");
    }
}

/// What is too deep to be looked at may hold anything; such a policy does not load.
#[test]
fn the_unseen_may_read_all_of_the_input() {
    assert_eq!(whole_or(&format!("x := 1{}", " + 1".repeat(110))), "*");
}
