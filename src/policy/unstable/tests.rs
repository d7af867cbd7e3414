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
